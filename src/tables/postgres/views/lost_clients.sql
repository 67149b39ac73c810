-- One row per client whose connection broke. The server logs them as LOG with SQLSTATE 08006: they are no errors. In a
-- log without SQLSTATEs they are known by an English message.
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, pid, session_id,
  line_num, message
FROM logs
WHERE parse_status <> 'rejected' AND severity = 'LOG'
  AND (sqlstate LIKE '08%' OR (sqlstate IS NULL AND (message LIKE 'could not receive data from client%'
    OR message LIKE 'could not send data to client%' OR message LIKE 'unexpected EOF on client connection%')))
