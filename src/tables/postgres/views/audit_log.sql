-- One row per record of pgaudit, with all its fields. "<not logged>", "<none>" and "<previously logged>" are pgaudit's
-- own marks. Of rows that were landed before the table had columns for some fields, these are read from the message.
WITH records AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, query_id, txid, audit_type AS type, audit_statement_id, audit_substatement_id, audit_class, command_tag,
    object_type, object_name, statement, audit_parameters, audit_rows, message,
    regexp_extract(message, '^AUDIT: (SESSION|OBJECT),([0-9]+),([0-9]+),', 0) AS head
  FROM log_records
  WHERE audit_class IS NOT NULL OR message LIKE 'AUDIT: %'
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
  line_num, query_id, txid,
  coalesce(type, nullif(regexp_extract(head, '^AUDIT: (SESSION|OBJECT),', 1), '')) AS audit_type,
  coalesce(audit_statement_id, TRY_CAST(nullif(regexp_extract(head, ',([0-9]+),[0-9]+,$', 1), '') AS BIGINT)) AS statement_id,
  coalesce(audit_substatement_id, TRY_CAST(nullif(regexp_extract(head, ',([0-9]+),$', 1), '') AS BIGINT)) AS substatement_id,
  audit_class, command_tag AS command, object_type, object_name, statement,
  coalesce(audit_parameters, nullif(regexp_extract(message, '^AUDIT: (?:(?:"(?:[^"]|"")*"|[^,"]*),){8}("(?:[^"]|"")*"|[^,"]*)', 1), '')) AS parameters,
  coalesce(audit_rows, TRY_CAST(nullif(regexp_extract(message, '^AUDIT: (?:(?:"(?:[^"]|"")*"|[^,"]*),){9}([0-9]+)$', 1), '') AS BIGINT)) AS row_count
FROM records
