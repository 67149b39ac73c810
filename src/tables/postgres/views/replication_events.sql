-- One row per event of streaming or logical replication.
WITH found AS (
  SELECT event_time, source_role, server_name, user_name, client_addr, application_name, backend_type, pid, session_id,
    line_num, severity, coalesce(severity_level, severity_level(severity)) AS level, sqlstate, message
  FROM logs
  WHERE parse_status <> 'rejected'
),
events AS (
  SELECT event_time, source_role, server_name, user_name, client_addr, application_name, backend_type, pid, session_id,
    line_num, severity, sqlstate, message, level,
    CASE
      WHEN level IN ('FATAL', 'ERROR') AND regexp_extract(backend_type, '^(?:walreceiver|walsender|logical replication .*)$', 0) <> '' THEN 'error'
      WHEN level IN ('FATAL', 'ERROR') AND backend_type IS NULL AND regexp_extract(message, '^(?:could not (?:connect to the (?:primary server|publisher)|start WAL streaming|(?:receive|send) data (?:from|to) WAL stream)|requested WAL segment .* has already been removed|terminating walreceiver |replication slot |logical replication )', 0) <> '' THEN 'error'
      WHEN severity <> 'LOG' THEN NULL
      WHEN message LIKE 'replication connection authorized: user=%' THEN 'authorized'
      WHEN regexp_extract(message, '^received replication command: [A-Z_]+', 0) <> '' THEN 'command'
      WHEN regexp_extract(message, '^started streaming WAL from primary at [^ ]+ on timeline [0-9]+$', 0) <> '' THEN 'started streaming'
      WHEN message LIKE 'restarted WAL streaming at %' THEN 'restarted streaming'
      WHEN message LIKE 'replication terminated by primary server%' THEN 'terminated by primary'
      WHEN message LIKE 'terminating walsender process due to replication timeout%' THEN 'timeout'
      WHEN regexp_extract(message, '^standby ".+" is now a(?: candidate for)? synchronous standby', 0) <> '' THEN 'synchronous standby'
      WHEN message LIKE 'starting logical decoding for slot "%' THEN 'logical decoding started'
      WHEN regexp_extract(message, '^logical decoding found (?:initial )?(?:starting|consistent) point at', 0) <> '' THEN 'logical decoding point'
      WHEN regexp_extract(message, '^invalidating (?:obsolete replication )?slot "', 0) <> '' THEN 'slot invalidated'
      WHEN message LIKE 'waiting for WAL to become available at %' THEN 'waiting for WAL'
      WHEN message LIKE 'recovery restart point at %' THEN 'restart point'
      WHEN regexp_extract(message, '^could not (?:receive data from|send data to) WAL stream', 0) <> '' THEN 'error'
    END AS kind
  FROM found
  WHERE (level IN ('FATAL', 'ERROR') OR message LIKE '%replication%' OR message LIKE '%WAL%'
      OR message LIKE 'standby "%' OR message LIKE '%logical decoding%' OR message LIKE 'invalidating %slot%'
      OR message LIKE 'recovery restart point at %')
)
SELECT event_time, source_role, server_name, user_name, client_addr, application_name, backend_type, pid, session_id,
  line_num, severity, sqlstate, kind,
  nullif(regexp_extract(message, '^received replication command: ([A-Z_]+)', 1), '') AS command,
  nullif(regexp_extract(message, '(?:slot|SLOT) "([^"]+)"', 1), '') AS slot,
  nullif(regexp_extract(message, '(?:at|point at) ([0-9A-F]+/[0-9A-F]+)', 1), '') AS lsn,
  TRY_CAST(nullif(regexp_extract(message, ' on timeline ([0-9]+)', 1), '') AS BIGINT) AS timeline,
  message
FROM events
WHERE kind IS NOT NULL
