-- One row per deadlock: its victim, whose statement was canceled (SQLSTATE 40P01, in every language). A deadlock whose
-- error a function caught leaves a row in lock_waits only.
WITH victims AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, query_id, detail, context, statement
  FROM logs
  WHERE parse_status <> 'rejected' AND severity = 'ERROR' AND sqlstate = '40P01'
),
detected AS (
  SELECT event_time, source_role, server_name, NULL AS db_name, NULL AS user_name, NULL AS client_addr,
    NULL AS application_name, NULL AS pid, session_id, line_num, NULL AS query_id, NULL AS detail, NULL AS context,
    NULL AS statement,
    CAST(regexp_extract(message, ' after ([0-9]+[.][0-9]{3}) ms$', 1) AS DOUBLE) AS waited_ms
  FROM logs
  WHERE parse_status <> 'rejected' AND severity = 'LOG' AND message LIKE 'process % detected deadlock while waiting for % ms'
),
lines AS (
  SELECT *, CAST(NULL AS DOUBLE) AS waited_ms, true AS is_victim FROM victims
  UNION ALL
  SELECT *, false FROM detected
),
paired AS (
  SELECT *, lag(waited_ms) OVER (PARTITION BY source_role, server_name, session_id ORDER BY line_num) AS detected_ms
  FROM lines
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
  line_num, query_id, detected_ms AS waited_ms, statement, normalize_sql(statement) AS statement_normalized,
  regexp_extract(detail, '^(?s:(Process .*? waits for .*?))(?:(?s:.)Process [0-9]+: |$)', 1) AS participants,
  nullif(regexp_extract(detail, '(?s:.)(Process [0-9]+: (?s:.*))$', 1), '') AS queries,
  context
FROM paired
WHERE is_victim
