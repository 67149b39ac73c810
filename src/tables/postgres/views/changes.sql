-- One row per change of a setting, and per start, stop, crash, recovery or promotion of a server. One crash is one
-- event "reinitializing", however many processes were ended with it.
WITH events AS (
  SELECT event_time, source_role, server_name, pid, session_id, line_num, severity, message, detail,
    CASE
      WHEN regexp_extract(message, '^parameter ".+?" (?:changed to|removed from configuration file|cannot be changed without restarting)', 0) <> '' THEN 'parameter'
      WHEN message LIKE 'received SIGHUP, reloading configuration files%' THEN 'reload'
      WHEN regexp_extract(message, '^configuration file ".*" contains errors', 0) <> '' THEN 'reload'
      WHEN regexp_extract(message, '^starting PostgreSQL [0-9]', 0) <> '' THEN 'starting'
      WHEN message LIKE 'database system is ready to accept connections%' THEN 'ready'
      WHEN regexp_extract(message, '^database system is ready to accept read[- ]only connections', 0) <> '' THEN 'ready_read_only'
      WHEN regexp_extract(message, '^received (?:smart|fast|immediate) shutdown request', 0) <> '' THEN 'shutdown_request'
      WHEN message LIKE 'database system is shut down%' THEN 'shut_down'
      WHEN regexp_extract(message, '[(]PID [0-9]+[)] was terminated by signal [0-9]+', 0) <> '' THEN 'process_signaled'
      WHEN regexp_extract(message, '[(]PID [0-9]+[)] exited with exit code [0-9]+', 0) <> '' THEN 'process_exited'
      WHEN message LIKE 'all server processes terminated; reinitializing%' THEN 'reinitializing'
      WHEN message LIKE 'database system was interrupted%' THEN 'interrupted'
      WHEN message LIKE 'database system was not properly shut down%' THEN 'not_properly_shut_down'
      WHEN message LIKE 'database system was shut down%' THEN 'was_shut_down'
      WHEN message LIKE 'redo starts at %' THEN 'redo_starts'
      WHEN message LIKE 'redo done at %' THEN 'redo_done'
      WHEN message LIKE 'selected new timeline ID: %' THEN 'new_timeline'
      WHEN message LIKE 'archive recovery complete%' THEN 'archive_recovery_complete'
      WHEN message LIKE 'received promote request%' THEN 'promotion'
    END AS event
  FROM log_records
  WHERE severity IN ('LOG', 'ERROR', 'WARNING')
    AND (message LIKE 'parameter "%' OR message LIKE 'received %' OR message LIKE 'configuration file "%'
      OR message LIKE 'starting PostgreSQL %' OR message LIKE 'database system %' OR message LIKE '%(PID %)%'
      OR message LIKE 'all server processes terminated%' OR message LIKE 'redo %'
      OR message LIKE 'selected new timeline%' OR message LIKE 'archive recovery complete%')
)
SELECT event_time, source_role, server_name, pid, session_id, line_num,
  CASE event
    WHEN 'parameter' THEN 'parameter' WHEN 'reload' THEN 'reload'
    WHEN 'starting' THEN 'start' WHEN 'ready' THEN 'start' WHEN 'ready_read_only' THEN 'start'
    WHEN 'shutdown_request' THEN 'stop' WHEN 'shut_down' THEN 'stop'
    WHEN 'process_signaled' THEN 'crash' WHEN 'reinitializing' THEN 'crash'
    -- A background worker that ends with a code is replaced; that of a session means a crash.
    WHEN 'process_exited' THEN CASE WHEN message LIKE 'server process %' THEN 'crash' ELSE 'worker' END
    WHEN 'promotion' THEN 'promotion'
    ELSE 'recovery' END AS kind,
  event,
  nullif(regexp_extract(message, '^parameter "(.+?)" ', 1), '') AS parameter,
  CASE WHEN event = 'parameter' THEN nullif(regexp_extract(message, '^parameter ".+?" changed to "((?s:.*))"$', 1), '') END AS value,
  message, detail
FROM events
WHERE event IS NOT NULL
