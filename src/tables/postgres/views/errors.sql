-- One row per record of severity WARNING or higher. Works in every language of the server's messages.
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id, txid, severity, sqlstate,
  substring(sqlstate, 1, 2) AS sqlstate_class,
  message, normalize_message(message) AS message_normalized,
  detail, hint, context, statement
FROM log_records
-- Nearly all rows are of level LOG: a comparison with a constant leaves them out before their texts are read.
WHERE severity <> 'LOG' AND severity_level IN ('WARNING', 'ERROR', 'FATAL', 'PANIC')
