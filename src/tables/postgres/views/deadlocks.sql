-- One row per deadlock: its victim, whose statement was canceled (SQLSTATE 40P01, in every language; in a log without
-- SQLSTATEs, an English message). A deadlock whose error a function caught leaves a row in lock_waits only.
WITH victims AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, source_offset, query_id, detail, context, statement
  FROM log_records
  WHERE severity <> 'LOG' AND severity_level = 'ERROR' AND (sqlstate = '40P01' OR (sqlstate IS NULL AND message LIKE 'deadlock detected%'))
),
detected AS (
  SELECT event_time, source_role, server_name, NULL AS db_name, NULL AS user_name, NULL AS client_addr,
    NULL AS application_name, pid, session_id, line_num, source_offset, NULL AS query_id, NULL AS detail, NULL AS context,
    NULL AS statement,
    CAST(regexp_extract(message, ' after ([0-9]+[.][0-9]{3}) ms(?: at character [0-9]+)?$', 1) AS DOUBLE) AS waited_ms
  FROM log_records
  WHERE severity = 'LOG' AND message LIKE 'process % detected deadlock while waiting for % ms%'
),
lines AS (
  SELECT *, CAST(NULL AS DOUBLE) AS waited_ms, true AS is_victim FROM victims
  UNION ALL
  SELECT *, false FROM detected
),
paired AS (
  SELECT *, lag(waited_ms) OVER (PARTITION BY source_role, server_name, session_id, pid ORDER BY CASE WHEN session_id IS NOT NULL THEN line_num END, event_time, source_offset) AS detected_ms
  FROM lines
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
  line_num, query_id, detected_ms AS waited_ms, statement, normalize_sql(statement) AS statement_normalized,
  regexp_extract(detail, '^(?s:(Process .*? waits for .*?))(?:(?s:.)Process [0-9]+: |$)', 1) AS participants,
  nullif(regexp_extract(detail, '(?s:.)(Process [0-9]+: (?s:.*))$', 1), '') AS queries,
  context
FROM paired
WHERE is_victim
