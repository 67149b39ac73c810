-- One row per record of pgaudit, with the fields that have no column of the table. "<not logged>", "<none>" and
-- "<previously logged>" are pgaudit's own marks.
WITH records AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
    line_num, query_id, txid, audit_class, command_tag, object_type, object_name, statement, message,
    regexp_extract(message, '^AUDIT: (SESSION|OBJECT),([0-9]+),([0-9]+),', 0) AS head
  FROM logs
  WHERE parse_status <> 'rejected' AND (audit_class IS NOT NULL OR message LIKE 'AUDIT: %')
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
  line_num, query_id, txid,
  nullif(regexp_extract(head, '^AUDIT: (SESSION|OBJECT),', 1), '') AS audit_type,
  TRY_CAST(nullif(regexp_extract(head, ',([0-9]+),[0-9]+,$', 1), '') AS BIGINT) AS statement_id,
  TRY_CAST(nullif(regexp_extract(head, ',([0-9]+),$', 1), '') AS BIGINT) AS substatement_id,
  audit_class, command_tag AS command, object_type, object_name, statement,
  nullif(regexp_extract(message, '^AUDIT: (?:(?:"(?:[^"]|"")*"|[^,"]*),){8}("(?:[^"]|"")*"|[^,"]*)', 1), '') AS parameters,
  TRY_CAST(nullif(regexp_extract(message, '^AUDIT: (?:(?:"(?:[^"]|"")*"|[^,"]*),){9}([0-9]+)$', 1), '') AS BIGINT) AS row_count
FROM records
