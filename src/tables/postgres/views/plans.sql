-- One row per plan of auto_explain. Its duration belongs to a statement that may have a line of its own, so a plan is
-- no further execution. A nested statement (auto_explain.log_nested_statements) has a context.
WITH found AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, source_blob, source_offset, query_id, duration_ms, context, statement,
    coalesce(plan, regexp_extract(message, '^duration: [0-9.]+ ms  plan:(?s:.)((?s:.*))', 1)) AS plan
  FROM log_records
  WHERE plan IS NOT NULL OR (record_kind IS NULL AND message LIKE 'duration: % ms  plan:%')
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
  line_num, query_id, duration_ms,
  CASE WHEN plan LIKE '{%' THEN 'json' WHEN plan LIKE '<%' THEN 'xml' WHEN plan LIKE 'Query Text: "%' THEN 'yaml'
    ELSE 'text' END AS format,
  context IS NOT NULL AS is_nested,
  statement, plan, source_blob, source_offset
FROM found
