-- One row per wait for a lock (log_lock_waits). A wait may be logged as "still waiting" several times; its
-- milliseconds count from its start. Without an outcome, the wait was canceled, timed out, or is not over.
WITH lines AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, source_offset, query_id, statement, detail, context, message,
    regexp_extract(message, '^process [0-9]+ (still waiting for|acquired|detected deadlock while waiting for|failed to acquire) [^ ]+ on .+ after [0-9]+[.][0-9]{3} ms(?: at character [0-9]+)?$', 1) AS step
  FROM log_records
  WHERE severity = 'LOG' AND message LIKE 'process % after % ms%'
),
parts AS (
  SELECT *,
    regexp_extract(message, '(?:still waiting for|acquired|while waiting for|failed to acquire) ([^ ]+) on ', 1) AS mode,
    regexp_extract(message, ' on (.+) after [0-9]+[.][0-9]{3} ms(?: at character [0-9]+)?$', 1) AS object,
    CAST(regexp_extract(message, ' after ([0-9]+[.][0-9]{3}) ms(?: at character [0-9]+)?$', 1) AS DOUBLE) AS waited_ms,
    step <> 'still waiting for' AS is_end
  FROM lines
  WHERE step <> ''
),
follows AS (
  SELECT *,
    lag(is_end) OVER waits AS after_end,
    lag(event_time) OVER waits AS previous_at,
    lag(waited_ms) OVER waits AS previous_ms,
    -- Of some text logs, times are known to the second.
    CASE WHEN event_time = date_trunc('second', event_time) THEN 1 ELSE 0 END AS unknown_s
  FROM parts
  WINDOW waits AS (PARTITION BY source_role, server_name, session_id, pid, mode, object ORDER BY CASE WHEN session_id IS NOT NULL THEN line_num END, event_time, source_offset)
),
numbered AS (
  SELECT *,
    -- A wait that began after the session's previous line about this lock is another one, whose end was not logged.
    sum(CASE WHEN after_end IS NULL OR after_end OR waited_ms < previous_ms
      OR event_time - INTERVAL '1' SECOND * (waited_ms / 1000 + unknown_s) > previous_at THEN 1 ELSE 0 END)
      OVER (PARTITION BY source_role, server_name, session_id, pid, mode, object ORDER BY CASE WHEN session_id IS NOT NULL THEN line_num END, event_time, source_offset
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS wait_number
  FROM follows
),
waits AS (
  SELECT source_role, server_name, session_id, pid, mode, object, wait_number,
    max(db_name) AS db_name, max(user_name) AS user_name, max(client_addr) AS client_addr,
    max(application_name) AS application_name, min(line_num) AS line_num,
    max(query_id) AS query_id, max(statement) AS statement, max(context) AS context,
    max(event_time) AS last_at,
    max(CASE WHEN is_end THEN event_time END) AS ended_at,
    max(waited_ms) AS waited_ms,
    max(CASE step WHEN 'acquired' THEN 'acquired' WHEN 'detected deadlock while waiting for' THEN 'deadlock'
      WHEN 'failed to acquire' THEN 'failed' END) AS outcome,
    count(*) FILTER (WHERE NOT is_end) AS still_waiting_lines,
    max(CASE WHEN NOT is_end THEN detail END) AS detail
  FROM numbered
  GROUP BY source_role, server_name, session_id, pid, mode, object, wait_number
)
SELECT last_at - INTERVAL '1' SECOND * (waited_ms / 1000) AS started_at, ended_at, source_role, server_name, db_name,
  user_name, client_addr, application_name, pid, session_id, line_num, query_id, mode,
  regexp_extract(object, '^(relation|extension|page|tuple|transaction|virtual transaction|speculative token|object|user lock|advisory lock|remote transaction)', 1) AS object_type,
  object,
  TRY_CAST(nullif(regexp_extract(object, 'relation ([0-9]+) of database', 1), '') AS BIGINT) AS relation_oid,
  TRY_CAST(nullif(regexp_extract(object, ' of database ([0-9]+)', 1), '') AS BIGINT) AS database_oid,
  nullif(regexp_extract(context, 'in relation "(.+?)"', 1), '') AS relation_name,
  waited_ms, outcome, still_waiting_lines,
  nullif(regexp_extract(detail, 'holding the lock: ([0-9, ]+?)[.]', 1), '') AS holders,
  nullif(regexp_extract(detail, 'Wait queue: ([0-9, ]+)', 1), '') AS queue,
  statement, normalize_sql(statement) AS statement_normalized
FROM waits
