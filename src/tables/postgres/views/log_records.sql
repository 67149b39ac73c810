-- One row per record of the server's log, with the lines that text logs have as rows of their own: one of DETAIL, HINT,
-- CONTEXT, STATEMENT or QUERY belongs to the last record of its process before it in its blob, and a further line of a
-- text to the line before it. A line whose record is not in the table has no severity_level.
WITH records AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
    session_id, line_num, query_id, txid, severity, coalesce(severity_level, severity_level(severity)) AS severity_level,
    sqlstate, record_kind, event, duration_ms, message, detail, hint, context, statement, internal_query, plan,
    command_tag, object_type, object_name, audit_type, audit_statement_id, audit_substatement_id, audit_class,
    audit_parameters, audit_rows, source_blob, source_generation, source_offset, source_index
  FROM logs
  WHERE parse_status <> 'rejected' AND CASE WHEN severity IS NULL THEN record_kind = 'audit'
    ELSE coalesce(record_kind, 'server_log') IN ('server_log', 'audit')
      AND (severity_level IS NOT NULL OR text_part(severity) IS NULL) END
),
joined AS (
  SELECT coalesce(r.event_time, t.event_time) AS event_time, t.source_role, t.server_name,
    coalesce(r.db_name, t.db_name) AS db_name, coalesce(r.user_name, t.user_name) AS user_name,
    coalesce(r.client_addr, t.client_addr) AS client_addr, coalesce(r.application_name, t.application_name) AS application_name,
    coalesce(r.backend_type, t.backend_type) AS backend_type, t.pid, coalesce(r.session_id, t.session_id) AS session_id,
    coalesce(r.line_num, t.line_num) AS line_num, coalesce(r.query_id, t.query_id) AS query_id, coalesce(r.txid, t.txid) AS txid,
    r.severity, r.severity_level, r.sqlstate, coalesce(r.record_kind, 'server_log') AS record_kind, r.event, r.duration_ms,
    nullif(coalesce(r.message, '') || coalesce(t.message_rest, ''), '') AS message, coalesce(r.detail, t.detail) AS detail,
    coalesce(r.hint, t.hint) AS hint, coalesce(r.context, t.context) AS context, r.statement, t.statement AS stated,
    coalesce(r.internal_query, t.internal_query) AS internal_query, r.plan, r.command_tag, r.object_type, r.object_name,
    r.audit_type, r.audit_statement_id, r.audit_substatement_id, r.audit_class, r.audit_parameters, r.audit_rows,
    t.joined_lines, t.source_blob, t.source_generation, t.first_offset AS source_offset, r.source_index, t.message_rest,
    regexp_extract(r.message, '^duration: [0-9.]+ ms  plan:$', 0) <> '' AS is_plan
  FROM log_texts t
  LEFT JOIN records r
    ON r.source_blob = t.source_blob AND r.source_generation = t.source_generation
    AND r.source_offset = t.record_offset AND r.source_index = t.record_index
)
-- Two parts, although one outer join would do: over a table without such lines the first one passes its rows as they are.
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id, txid, severity, severity_level, sqlstate, record_kind, event, duration_ms, message,
  detail, hint, context, statement, internal_query, plan, command_tag, object_type, object_name, audit_type,
  audit_statement_id, audit_substatement_id, audit_class, audit_parameters, audit_rows, CAST(0 AS BIGINT) AS joined_lines,
  source_blob, source_generation, source_offset, source_index
FROM records r
ANTI JOIN log_texts t
  ON t.source_blob = r.source_blob AND t.source_generation = r.source_generation
  AND t.record_offset = r.source_offset AND t.record_index = r.source_index
UNION ALL
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id, txid, severity, severity_level, sqlstate, record_kind, event, duration_ms, message,
  detail, hint, context,
  CASE
    WHEN message_rest IS NULL THEN coalesce(statement, stated)
    WHEN is_plan THEN plan_statement(substring(message_rest, 2))
    WHEN message LIKE 'AUDIT: %' THEN audit_statement(message)
    WHEN statement IS NOT NULL THEN statement || message_rest
    WHEN message LIKE 'statement: %' OR message LIKE 'execute %: %' OR message LIKE 'duration: %'
      THEN nullif(regexp_extract(message, '^(?:duration: [0-9.]+ ms  )?(?:statement|(?:execute fetch from|execute|bind|parse) .*?): ((?s:.*))$', 1), '')
    ELSE stated END,
  internal_query, CASE WHEN is_plan THEN substring(message_rest, 2) ELSE plan END, command_tag, object_type, object_name,
  audit_type, audit_statement_id, audit_substatement_id, audit_class, audit_parameters, audit_rows, joined_lines,
  source_blob, source_generation, source_offset, coalesce(source_index, 0)
FROM joined
