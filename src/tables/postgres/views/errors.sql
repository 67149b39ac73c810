-- One row per line of severity WARNING or higher. Works in every language of the server's messages.
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id, txid, severity, sqlstate,
  substring(sqlstate, 1, 2) AS sqlstate_class,
  message, normalize_message(message) AS message_normalized,
  detail, hint, context, statement
FROM logs
WHERE parse_status <> 'rejected' AND coalesce(severity_level, severity_level(severity)) IN ('WARNING', 'ERROR', 'FATAL', 'PANIC')
