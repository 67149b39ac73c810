-- One row per minute and server: connections by stage (log_connections, log_disconnections). A stage that the server
-- does not log counts 0.
WITH lines AS (
  SELECT event_time, source_role, server_name, coalesce(severity_level, severity_level(severity)) AS severity, message
  FROM logs
  WHERE parse_status <> 'rejected' AND event_time IS NOT NULL
    AND (message LIKE 'connection %' OR message LIKE 'replication connection %' OR message LIKE 'disconnection: %'
      OR (coalesce(severity_level, severity_level(severity)) = 'FATAL'
        AND CASE WHEN sqlstate IS NOT NULL THEN sqlstate LIKE '28%' OR sqlstate IN ('3D000', '53300', '57P03')
          ELSE message LIKE '% authentication failed for user "%' OR message LIKE 'no pg_hba.conf entry for %'
            OR message LIKE 'pg_hba.conf rejects %' OR message LIKE 'role "%" does not exist'
            OR message LIKE 'role "%" is not permitted to log in' OR message LIKE 'database "%" does not exist'
            OR message LIKE 'database "%" is not currently accepting connections' OR message LIKE 'too many connections for %'
            OR message LIKE 'sorry, too many clients already' OR message LIKE 'remaining connection slots are reserved %'
            OR message LIKE 'the database system is %' END))
)
SELECT date_trunc('minute', event_time) AS minute, source_role, server_name,
  count(*) FILTER (WHERE severity = 'LOG' AND message LIKE 'connection received: host=%') AS received,
  count(*) FILTER (WHERE severity = 'LOG' AND message LIKE 'connection received: host=[local]%') AS received_local,
  count(*) FILTER (WHERE severity = 'LOG' AND message LIKE 'connection authenticated: %') AS authenticated,
  count(*) FILTER (WHERE severity = 'LOG' AND message LIKE 'connection authorized: user=%') AS authorized,
  count(*) FILTER (WHERE severity = 'LOG' AND message LIKE 'replication connection authorized: user=%') AS authorized_replication,
  count(*) FILTER (WHERE severity = 'FATAL') AS failed,
  count(*) FILTER (WHERE severity = 'LOG' AND message LIKE 'disconnection: session time: %') AS disconnections
FROM lines
GROUP BY date_trunc('minute', event_time), source_role, server_name
