-- One row per record of a text log of whose texts lines are rows of their own, with these texts. One of DETAIL, HINT,
-- CONTEXT, STATEMENT or QUERY belongs to the last record of its process before it in its blob, and a further line of a
-- text to the line before it. Lines whose record is not in the table have no record_offset.
WITH further AS (
  SELECT source_blob, source_generation, source_offset, source_index, event_time, source_role, server_name, db_name,
    user_name, client_addr, application_name, backend_type, pid, session_id, line_num, query_id, txid,
    text_part(severity) AS own_text, CASE WHEN severity IS NULL THEN 1 ELSE 0 END AS is_rest, message, detail, hint,
    context, statement, internal_query
  FROM logs
  -- A table without such lines has statistics that say so: this part is then empty at no cost, and so is the whole view.
  WHERE severity_level IS NULL AND parse_status <> 'rejected'
    AND CASE WHEN severity IS NULL THEN record_kind = 'server_log' ELSE text_part(severity) IS NOT NULL AND coalesce(record_kind, 'server_log') = 'server_log' END
),
blobs AS (
  SELECT source_blob, source_generation
  FROM further
  GROUP BY source_blob, source_generation
),
starts AS (
  SELECT l.source_blob, l.source_generation, l.source_offset, l.source_index, l.server_name, l.pid
  FROM logs l
  JOIN blobs b ON b.source_blob = l.source_blob AND b.source_generation = l.source_generation
  WHERE l.severity IS NOT NULL AND l.parse_status <> 'rejected' AND coalesce(l.record_kind, 'server_log') IN ('server_log', 'audit')
    AND (l.severity_level IS NOT NULL OR text_part(l.severity) IS NULL)
),
lines AS (
  SELECT *, 1 AS is_part FROM further
  UNION ALL
  SELECT source_blob, source_generation, source_offset, source_index, NULL, NULL, server_name, NULL, NULL, NULL, NULL, NULL,
    pid, NULL, NULL, NULL, NULL, 'message', 0, NULL, NULL, NULL, NULL, NULL, NULL, 0
  FROM starts
),
texts AS (
  SELECT *,
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
    sum(1 - is_part) OVER (PARTITION BY source_blob, source_generation, server_name, process
      ORDER BY source_offset, source_index ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS record_number
  FROM owned
),
gathered AS (
  SELECT source_blob, source_generation, min(source_offset) AS first_offset,
    max(CASE WHEN is_part = 0 THEN source_offset END) AS record_offset,
    max(CASE WHEN is_part = 0 THEN source_index END) AS record_index,
    CAST(sum(is_part) AS BIGINT) AS joined_lines, min(event_time) AS event_time, max(source_role) AS source_role, server_name,
    max(db_name) AS db_name, max(user_name) AS user_name, max(client_addr) AS client_addr,
    max(application_name) AS application_name, max(backend_type) AS backend_type, process AS pid,
    max(session_id) AS session_id, min(line_num) AS line_num, max(query_id) AS query_id, max(txid) AS txid,
    max(detail) AS detail, max(hint) AS hint,
    max(context) AS context, max(statement) AS statement, max(internal_query) AS internal_query,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'message')) AS message_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'detail')) AS detail_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'hint')) AS hint_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'context')) AS context_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'statement')) AS statement_rest,
    further_lines(array_agg(placed_rest) FILTER (WHERE text_of = 'query')) AS query_rest
  FROM numbered
  GROUP BY source_blob, source_generation, server_name, process, record_number
)
SELECT source_blob, source_generation, record_offset, record_index, first_offset, joined_lines, event_time, source_role,
  server_name, db_name, user_name, client_addr, application_name, backend_type, pid, session_id, line_num, query_id, txid,
  nullif(message_rest, '') AS message_rest,
  nullif(coalesce(detail, '') || detail_rest, '') AS detail, nullif(coalesce(hint, '') || hint_rest, '') AS hint,
  nullif(coalesce(context, '') || context_rest, '') AS context,
  nullif(coalesce(statement, '') || statement_rest, '') AS statement,
  nullif(coalesce(internal_query, '') || query_rest, '') AS internal_query
FROM gathered
WHERE joined_lines > 0
