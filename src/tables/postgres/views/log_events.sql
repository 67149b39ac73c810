-- One row per record, with its kind, the event it reports, and its severity in one form for all producers and languages.
-- A further line of a text log's record is none.
-- Rows that were landed before the table had columns for these are read by their text: an event is then known by the
-- record's SQLSTATE or by an English message.
WITH leveled AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
    session_id, line_num, query_id, txid, severity, coalesce(severity_level, severity_level(severity)) AS level,
    sqlstate, record_kind AS stored_kind, event AS stored_event, message, duration_ms, audit_class, command_tag,
    -- Only records of Azure without a session have a category that matters; no other text is searched.
    CASE WHEN record_kind IS NULL AND session_id IS NULL AND raw LIKE '%"category"%'
      THEN nullif(regexp_extract(raw, '"category" *: *"([A-Za-z]*)"', 1), '') END AS category
  FROM logs
  WHERE parse_status <> 'rejected' AND NOT (severity_level IS NULL
    AND CASE WHEN severity IS NULL THEN coalesce(record_kind, '') = 'server_log' ELSE text_part(severity) IS NOT NULL AND coalesce(record_kind, 'server_log') = 'server_log' END)
),
kinds AS (
  SELECT *,
    CASE
      WHEN stored_kind IS NOT NULL THEN stored_kind
      WHEN audit_class IS NOT NULL OR message LIKE 'AUDIT: %' THEN 'audit'
      WHEN category LIKE '%QueryStore%' THEN 'query_store'
      WHEN category LIKE '%TableStats%' THEN 'table_stats'
      WHEN category LIKE '%Sessions%' THEN 'session'
      WHEN category LIKE '%PGBouncer%' THEN 'pooler'
      WHEN category LIKE '%Xacts%' THEN 'other'
      WHEN severity IS NULL AND command_tag IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'BEGIN', 'COMMIT', 'MESSAGE', 'READ') THEN 'change'
      WHEN pid IS NULL AND severity = lower(severity) AND severity <> upper(severity) THEN 'operator'
      WHEN level IS NOT NULL THEN 'server_log'
      ELSE 'other'
    END AS kind
  FROM leveled
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id, txid, severity, level AS severity_level, sqlstate, kind AS record_kind,
  CASE
    WHEN stored_kind IS NOT NULL THEN stored_event
    WHEN kind = 'audit' THEN 'audit'
    WHEN kind = 'server_log' AND level IS NOT NULL
      THEN coalesce(sqlstate_event(sqlstate), message_event(message), CASE WHEN level IN ('ERROR', 'FATAL', 'PANIC') THEN 'error' END)
  END AS event,
  duration_ms, message
FROM kinds
