-- One row per record of the server's log, with the lines that text logs have as rows of their own: one of DETAIL, HINT,
-- CONTEXT, STATEMENT or QUERY belongs to the last record of its process before it in its blob, and a further line of a
-- text to the line before it. A line whose record is not in the table has no severity_level. The statement and plan of a
-- message of several lines are complete here only.
WITH lines AS (
  SELECT source_blob, source_generation, source_offset, source_index, event_time, source_role, server_name, db_name,
    user_name, client_addr, application_name, backend_type, pid, session_id, line_num, query_id, txid, severity,
    coalesce(severity_level, severity_level(severity)) AS level, sqlstate, event, duration_ms, message, detail, hint,
    context, statement, internal_query, plan,
    CASE WHEN severity IS NULL THEN 1 ELSE 0 END AS is_rest
  FROM logs
  WHERE parse_status <> 'rejected' AND CASE WHEN severity IS NULL THEN record_kind = 'server_log'
    ELSE coalesce(record_kind, 'server_log') IN ('server_log', 'audit') END
),
texts AS (
  SELECT *,
    CASE WHEN is_rest = 1 THEN NULL WHEN level IS NOT NULL THEN 'message' ELSE text_part(severity) END AS own_text,
    sum(1 - is_rest) OVER (PARTITION BY source_blob, source_generation, server_name
      ORDER BY source_offset, source_index ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_number
  FROM lines
),
owned AS (
  SELECT *,
    max(own_text) OVER (PARTITION BY source_blob, source_generation, server_name, text_number) AS text_of,
    max(pid) OVER (PARTITION BY source_blob, source_generation, server_name, text_number) AS process,
    CASE WHEN is_rest = 1 THEN lpad(CAST(source_offset AS STRING), 20, '0') || lpad(CAST(source_index AS STRING), 10, '0') || coalesce(message, '') END AS placed_rest
  FROM texts
),
numbered AS (
  SELECT *,
    CASE WHEN level IS NULL THEN 1 ELSE 0 END AS is_part,
    sum(CASE WHEN level IS NULL THEN 0 ELSE 1 END) OVER (PARTITION BY source_blob, source_generation, server_name, process
      ORDER BY source_offset, source_index ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS record_number
  FROM owned
),
records AS (
  SELECT min(event_time) AS event_time, max(source_role) AS source_role, server_name,
    max(db_name) AS db_name, max(user_name) AS user_name, max(client_addr) AS client_addr,
    max(application_name) AS application_name, max(backend_type) AS backend_type, process AS pid,
    max(session_id) AS session_id, min(line_num) AS line_num, max(query_id) AS query_id, max(txid) AS txid,
    max(CASE WHEN is_part = 0 THEN severity END) AS severity, max(level) AS severity_level, max(sqlstate) AS sqlstate,
    max(event) AS event, max(duration_ms) AS duration_ms, sum(is_part) AS joined_lines, source_blob, source_generation,
    min(source_offset) AS source_offset, max(CASE WHEN is_part = 0 THEN message END) AS message, max(detail) AS detail,
    max(hint) AS hint, max(context) AS context, max(statement) AS statement, max(internal_query) AS internal_query,
    max(plan) AS plan,
    max(CASE WHEN is_part = 0 AND (statement IS NOT NULL OR message LIKE '%statement: ' OR message LIKE '%execute %: ')
      THEN 1 ELSE 0 END) AS states_own,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'message')) AS message_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'detail')) AS detail_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'hint')) AS hint_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'context')) AS context_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'statement')) AS statement_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'query')) AS query_rest
  FROM numbered
  GROUP BY source_blob, source_generation, server_name, process, record_number
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id, txid, severity, severity_level, sqlstate, event, duration_ms,
  nullif(coalesce(message, '') || message_rest, '') AS message, nullif(coalesce(detail, '') || detail_rest, '') AS detail,
  nullif(coalesce(hint, '') || hint_rest, '') AS hint, nullif(coalesce(context, '') || context_rest, '') AS context,
  nullif(coalesce(statement, '') || CASE WHEN states_own = 1 THEN message_rest ELSE statement_rest END, '') AS statement,
  nullif(coalesce(internal_query, '') || query_rest, '') AS internal_query,
  CASE WHEN event = 'plan' AND message_rest <> '' THEN substring(message_rest, 2) ELSE plan END AS plan,
  joined_lines, source_blob, source_generation, source_offset
FROM records
