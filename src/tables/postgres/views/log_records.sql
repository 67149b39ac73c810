-- One row per record of the server's log, with the lines of DETAIL, HINT, CONTEXT, STATEMENT and QUERY that text logs have
-- as rows of their own: such a line belongs to the last record of its process before it in its blob. A line whose record
-- is not in the table has no severity. Further lines of a message, which name no process, stay rows of the tables.
WITH lines AS (
  SELECT source_blob, source_generation, source_offset, source_index, event_time, source_role, server_name, db_name,
    user_name, client_addr, application_name, backend_type, pid, session_id, line_num, query_id, txid, severity,
    coalesce(severity_level, severity_level(severity)) AS level, sqlstate, event, duration_ms, message, detail, hint,
    context, statement, internal_query
  FROM logs
  WHERE parse_status <> 'rejected' AND severity IS NOT NULL AND coalesce(record_kind, 'server_log') IN ('server_log', 'audit')
),
numbered AS (
  SELECT *,
    CASE WHEN level IS NULL THEN 1 ELSE 0 END AS is_part,
    sum(CASE WHEN level IS NULL THEN 0 ELSE 1 END) OVER (PARTITION BY source_blob, source_generation, pid
      ORDER BY source_offset, source_index ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS record_number
  FROM lines
)
SELECT min(event_time) AS event_time, max(source_role) AS source_role, max(server_name) AS server_name,
  max(db_name) AS db_name, max(user_name) AS user_name, max(client_addr) AS client_addr,
  max(application_name) AS application_name, max(backend_type) AS backend_type, pid, max(session_id) AS session_id,
  min(line_num) AS line_num, max(query_id) AS query_id, max(txid) AS txid,
  max(CASE WHEN is_part = 0 THEN severity END) AS severity, max(level) AS severity_level, max(sqlstate) AS sqlstate,
  max(event) AS event, max(duration_ms) AS duration_ms, max(CASE WHEN is_part = 0 THEN message END) AS message,
  max(detail) AS detail, max(hint) AS hint, max(context) AS context, max(statement) AS statement,
  max(internal_query) AS internal_query, sum(is_part) AS joined_lines, source_blob, source_generation,
  min(source_offset) AS source_offset
FROM numbered
GROUP BY source_blob, source_generation, pid, record_number,
  -- Records of other producers can share a place, as elements of one line do.
  CASE WHEN pid IS NULL THEN source_offset END, CASE WHEN pid IS NULL THEN source_index END
