-- One row per statement, session or process that somebody or something ended. The cause is read from the SQLSTATE where
-- it is certain, else from an English message, as it is in a log without SQLSTATEs; "canceled" means that the message was in another language.
WITH ended AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
    session_id, line_num, query_id, severity, severity_level AS level, sqlstate, message, context, statement,
    CASE
      WHEN message LIKE 'canceling statement due to statement timeout%' THEN 'statement timeout'
      WHEN message LIKE 'canceling statement due to user request%' THEN 'user request'
      WHEN message LIKE 'canceling statement due to lock timeout%' THEN 'lock timeout'
      WHEN message LIKE 'could not obtain lock on %' THEN 'nowait'
      WHEN message LIKE '% due to conflict with recovery%' THEN 'conflict with recovery'
      WHEN message LIKE 'canceling autovacuum task%' THEN 'autovacuum task'
      WHEN message LIKE 'canceling authentication due to timeout%' THEN 'authentication timeout'
      WHEN message LIKE 'canceling wait for synchronous replication%' THEN 'synchronous replication'
      WHEN message LIKE 'terminating % due to administrator command%' THEN 'administrator command'
      WHEN message LIKE 'terminating connection because of crash of another server process%' THEN 'crash'
      WHEN message LIKE 'terminating connection due to idle-in-transaction timeout%' THEN 'idle-in-transaction timeout'
      WHEN message LIKE 'terminating connection due to idle-session timeout%' THEN 'idle-session timeout'
      WHEN message LIKE 'terminating connection due to transaction timeout%' THEN 'transaction timeout'
      WHEN sqlstate = '25P03' THEN 'idle-in-transaction timeout'
      WHEN sqlstate = '57P05' THEN 'idle-session timeout'
      WHEN sqlstate = '25P04' THEN 'transaction timeout'
      WHEN sqlstate = '57P04' THEN 'conflict with recovery'
      WHEN sqlstate = '57P01' THEN 'administrator command'
      WHEN sqlstate = '57P02' THEN 'crash'
      WHEN sqlstate = '55P03' THEN 'lock timeout'
      WHEN sqlstate = '57014' THEN 'canceled'
    END AS cause
  FROM log_records
  WHERE severity <> 'LOG' AND severity_level IN ('WARNING', 'ERROR', 'FATAL')
    AND (sqlstate IN ('57014', '55P03', '57P01', '57P02', '57P04', '57P05', '25P03', '25P04')
      OR (sqlstate = '40001' AND message LIKE '% due to conflict with recovery%')
      OR (sqlstate IS NULL AND (message LIKE 'canceling %' OR message LIKE 'terminating %' OR message LIKE 'could not obtain lock on %')))
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id, severity, sqlstate, cause,
  CASE WHEN cause = 'autovacuum task' THEN 'autovacuum'
    WHEN level = 'FATAL' AND CASE WHEN backend_type IS NOT NULL THEN backend_type IN ('client backend', 'walsender')
      ELSE regexp_extract(message, '^terminating (?:autovacuum|background worker|logical replication|walreceiver)', 0) = '' END THEN 'session'
    WHEN level = 'FATAL' THEN 'background process' ELSE 'statement' END AS kind,
  statement, normalize_sql(statement) AS statement_normalized, message, context
FROM ended
WHERE sqlstate IS NOT NULL OR cause IS NOT NULL
