-- One row per executed statement, with the time of its parse and bind and its plan; sort or filter by duration_ms.
-- The plan is the text that auto_explain wrote directly before the statement's own line.
WITH ordered AS (
  SELECT *,
    -- Numbers the runs of one name that begin with a parse, and those that begin with a bind.
    sum(CASE WHEN phase = 'parse' THEN 1 ELSE 0 END) OVER name_lines AS parse_number,
    sum(CASE WHEN phase = 'bind' THEN 1 ELSE 0 END) OVER name_lines AS bind_number
  FROM statement_timings
  WINDOW name_lines AS (
    PARTITION BY source_role, server_name, session_id, prepared_name ORDER BY line_num
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  )
),
measured AS (
  SELECT *,
    CASE WHEN phase LIKE 'execute%' THEN max(CASE WHEN phase = 'parse' THEN duration_ms END)
      OVER (PARTITION BY source_role, server_name, session_id, prepared_name, parse_number) END AS parse_ms,
    CASE WHEN phase LIKE 'execute%' THEN max(CASE WHEN phase = 'bind' THEN duration_ms END)
      OVER (PARTITION BY source_role, server_name, session_id, prepared_name, bind_number) END AS bind_ms
  FROM ordered
),
plan_lines AS (
  SELECT source_role, server_name, session_id, line_num + 1 AS line_num, max(plan) AS plan
  FROM plans
  WHERE NOT is_nested
  GROUP BY source_role, server_name, session_id, line_num
)
SELECT m.event_time, m.started_at, m.source_role, m.server_name, m.db_name, m.user_name, m.client_addr,
  m.application_name, m.pid, m.session_id, m.line_num, m.query_id, m.txid, m.phase, m.prepared_name, m.duration_ms,
  m.parse_ms, m.bind_ms, m.statement, m.statement_normalized, m.command, m.statement_type, m.parameters, p.plan
FROM measured m
LEFT JOIN plan_lines p
  ON p.session_id = m.session_id AND p.line_num = m.line_num
  AND coalesce(p.server_name, '') = coalesce(m.server_name, '') AND coalesce(p.source_role, '') = coalesce(m.source_role, '')
WHERE m.is_execution
