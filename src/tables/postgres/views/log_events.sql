-- One row per record, with its kind, the event it reports, and its severity in one form for all producers and languages.
-- Events are read from columns where they are certain, else from English messages: an error in another language is
-- "error", any other message without a known event NULL.
WITH leveled AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
    session_id, line_num, query_id, txid, severity, severity_level(severity) AS severity_level, sqlstate, message,
    duration_ms, audit_class, command_tag,
    -- Only records of Azure without a session have a category that matters; no other text is searched.
    CASE WHEN session_id IS NULL AND raw LIKE '%"category"%'
      THEN nullif(regexp_extract(raw, '"category" *: *"([A-Za-z]*)"', 1), '') END AS category
  FROM logs
  WHERE parse_status <> 'rejected'
)
SELECT event_time, source_role, server_name, db_name, user_name, client_addr, application_name, backend_type, pid,
  session_id, line_num, query_id, txid, severity, severity_level, sqlstate,
  CASE
    WHEN audit_class IS NOT NULL OR message LIKE 'AUDIT: %' THEN 'audit'
    WHEN category LIKE '%QueryStore%' THEN 'query_store'
    WHEN category LIKE '%TableStats%' THEN 'table_stats'
    WHEN category LIKE '%Sessions%' THEN 'session'
    WHEN category LIKE '%PGBouncer%' THEN 'pooler'
    WHEN category LIKE '%Xacts%' THEN 'other'
    WHEN severity IS NULL AND command_tag IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'BEGIN', 'COMMIT', 'MESSAGE', 'READ') THEN 'change'
    WHEN pid IS NULL AND severity = lower(severity) AND severity <> upper(severity) THEN 'operator'
    WHEN severity_level IS NOT NULL THEN 'server_log'
    ELSE 'other'
  END AS record_kind,
  CASE
    WHEN audit_class IS NOT NULL OR message LIKE 'AUDIT: %' THEN 'audit'
    WHEN severity IS NULL THEN NULL
    WHEN sqlstate = '40P01' THEN 'deadlock'
    WHEN sqlstate IN ('28000', '28P01') THEN 'authentication_failed'
    WHEN sqlstate IN ('57014', '55P03', '57P01', '57P04', '57P05', '25P03', '25P04') THEN 'canceled'
    WHEN sqlstate = '57P02' THEN 'crash'
    WHEN message LIKE 'duration: % ms  plan:%' THEN 'plan'
    WHEN message LIKE 'duration: % ms%' THEN 'duration'
    WHEN message LIKE 'statement: %' OR message LIKE 'execute %: %' THEN 'statement'
    WHEN message LIKE 'connection received: %' THEN 'connection_received'
    WHEN message LIKE 'connection authenticated: %' THEN 'connection_authenticated'
    WHEN message LIKE 'connection authorized: %' OR message LIKE 'replication connection authorized: %' THEN 'connection_authorized'
    WHEN message LIKE 'disconnection: session time: %' THEN 'disconnection'
    WHEN message LIKE '% authentication failed for user "%' OR message LIKE 'no pg_hba.conf entry for %'
      OR message LIKE 'pg_hba.conf rejects %' THEN 'authentication_failed'
    WHEN message LIKE 'process % still waiting for % after % ms%' OR message LIKE 'process % acquired % after % ms%'
      OR message LIKE 'process % avoided deadlock for % after % ms%' OR message LIKE 'process % failed to acquire % after % ms%' THEN 'lock_wait'
    WHEN message LIKE 'process % detected deadlock while waiting for %' OR message LIKE 'deadlock detected%' THEN 'deadlock'
    WHEN message LIKE 'canceling %' OR message LIKE 'terminating % due to administrator command%' THEN 'canceled'
    WHEN message LIKE 'checkpoint starting: %' OR message LIKE 'checkpoint complete: %' OR message LIKE 'checkpoints are occurring too frequently %' THEN 'checkpoint'
    WHEN message LIKE 'restartpoint starting: %' OR message LIKE 'restartpoint complete: %' OR message LIKE 'recovery restart point at %' THEN 'restartpoint'
    WHEN message LIKE 'automatic analyze of table %' THEN 'autoanalyze'
    WHEN message LIKE 'automatic % of table %' THEN 'autovacuum'
    WHEN message LIKE 'temporary file: path %' THEN 'temp_file'
    WHEN message LIKE '% was terminated by signal %' OR message LIKE 'terminating any other active server processes%'
      OR message LIKE 'all server processes terminated; reinitializing%' THEN 'crash'
    WHEN message LIKE 'database system was interrupted%' OR message LIKE 'database system was not properly shut down%'
      OR message LIKE 'redo starts at %' OR message LIKE 'redo done at %' OR message LIKE 'consistent recovery state reached at %'
      OR message LIKE 'entering standby mode%' OR message LIKE 'archive recovery complete%' OR message LIKE 'selected new timeline ID: %' THEN 'recovery'
    WHEN message LIKE 'parameter "%" changed to %' OR message LIKE 'parameter "%" removed from configuration file%'
      OR message LIKE 'received SIGHUP, reloading configuration files%' THEN 'parameter_change'
    WHEN message LIKE 'received replication command: %' OR message LIKE 'started streaming WAL from primary at %'
      OR message LIKE 'restarted WAL streaming at %' OR message LIKE 'replication terminated by primary server%'
      OR message LIKE 'terminating walsender process due to replication timeout%' OR message LIKE 'starting logical decoding for slot %'
      OR message LIKE 'logical decoding found %' OR message LIKE 'standby "%" is now a %synchronous standby%' THEN 'replication'
    WHEN message LIKE 'starting PostgreSQL %' OR message LIKE 'database system is ready to accept %' THEN 'startup'
    WHEN message LIKE 'received % shutdown request' OR message LIKE 'database system is shut down%' THEN 'shutdown'
    WHEN severity_level IN ('ERROR', 'FATAL', 'PANIC') THEN 'error'
  END AS event,
  duration_ms, message
FROM leveled
