-- One row per change of a row, begin or commit, of wal2json, Debezium, test_decoding, DMS or Sequin. A record with several
-- changes (wal2json, format version 1) is one row, and its values are lists.
SELECT event_time, commit_time, source_role, server_name, db_name, txid, lsn, command_tag AS command, object_name,
  old_values, new_values, message
FROM logs
WHERE record_kind = 'change' OR (record_kind IS NULL AND parse_status <> 'rejected' AND severity IS NULL
  AND command_tag IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'BEGIN', 'COMMIT', 'MESSAGE', 'READ'))
