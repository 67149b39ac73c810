-- One row per temporary file (log_temp_files), written when the file is deleted.
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id,
  regexp_extract(message, '^temporary file: path "(.*)", size [0-9]+$', 1) AS path,
  CAST(regexp_extract(message, '", size ([0-9]+)$', 1) AS BIGINT) AS bytes,
  statement, normalize_sql(statement) AS statement_normalized
FROM log_records
WHERE severity = 'LOG'
  AND regexp_extract(message, '^temporary file: path ".*", size [0-9]+$', 0) <> ''
