-- One row per session that was authorized or ended (log_connections, log_disconnections). A session without a
-- disconnection still runs, broke, or was ended: end_sqlstate is then that of its last FATAL error.
-- Without a session_id (a text log whose prefix has none), a session is what a process logs up to its end.
WITH lines AS (
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, client_port, application_name,
    backend_type, pid, session_id, line_num, session_start, sqlstate, message, source_offset,
    coalesce(severity_level, severity_level(severity)) AS level,
    severity = 'LOG' AND regexp_extract(message, '^(?:replication )?connection authorized: user=', 0) <> '' AS authorizes,
    severity = 'LOG' AND message LIKE 'replication connection authorized: %' AS replicates,
    CASE WHEN severity = 'LOG' AND message LIKE 'disconnection: session time: %'
      THEN regexp_extract(message, '^disconnection: session time: ([0-9]+:[0-9][0-9]:[0-9][0-9][.][0-9]{3}) user=', 1) END AS session_time,
    CASE WHEN severity = 'LOG' AND message LIKE 'connection authenticated: %' THEN message END AS authenticated,
    severity = 'LOG' AND message LIKE 'connection received: %' AS begins,
    severity = 'LOG' AND (regexp_extract(message, '^duration: [0-9.]+ ms  (?:statement|execute)', 0) <> '') AS is_statement
  FROM logs
  WHERE parse_status <> 'rejected'
),
unnamed AS (
  SELECT *,
    lag(level = 'FATAL' OR session_time <> '') OVER (PARTITION BY source_role, server_name, pid ORDER BY event_time, source_offset) AS follows_end
  FROM lines
  WHERE session_id IS NULL AND pid IS NOT NULL AND level IS NOT NULL
),
named AS (
  SELECT *, CAST(NULL AS INTEGER) AS process, CAST(NULL AS BIGINT) AS life
  FROM lines
  WHERE session_id IS NOT NULL
  UNION ALL
  SELECT event_time, source_role, server_name, db_name, user_name, client_addr, client_port, application_name,
    backend_type, pid, session_id, line_num, session_start, sqlstate, message, source_offset, level, authorizes, replicates,
    session_time, authenticated, begins, is_statement, pid,
    CAST(sum(CASE WHEN begins OR (follows_end AND coalesce(session_time, '') = '') THEN 1 ELSE 0 END) OVER (PARTITION BY source_role, server_name, pid
      ORDER BY event_time, source_offset ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS BIGINT)
  FROM unnamed
),
gathered AS (
  SELECT source_role, server_name, session_id,
    min(session_start) AS session_start, min(event_time) AS first_at, max(event_time) AS last_at,
    min(CASE WHEN authorizes THEN event_time END) AS authorized_at,
    max(CASE WHEN session_time <> '' THEN event_time END) AS disconnected_at,
    max(CASE WHEN session_time <> '' THEN session_time END) AS session_time,
    max(user_name) AS user_name, max(db_name) AS db_name, max(client_addr) AS client_addr,
    max(client_port) AS client_port,
    -- A client may change its name; the last one counts. PostgreSQL has it on every line of the session.
    max_by(application_name, CASE WHEN application_name IS NOT NULL THEN coalesce(line_num, source_offset) END) AS application_name,
    max(CASE WHEN backend_type <> 'not initialized' THEN backend_type END) AS backend_type, max(pid) AS pid,
    max(CASE WHEN replicates THEN 1 ELSE 0 END) AS replicates,
    max(authenticated) AS authenticated,
    max_by(sqlstate, CASE WHEN level = 'FATAL' AND sqlstate IS NOT NULL THEN coalesce(line_num, source_offset) END) AS end_sqlstate,
    max(CASE WHEN level = 'FATAL' THEN 1 ELSE 0 END) AS is_ended,
    sum(CASE WHEN is_statement THEN 1 ELSE 0 END) AS statements,
    sum(CASE WHEN level IN ('ERROR', 'FATAL', 'PANIC') THEN 1 ELSE 0 END) AS errors
  FROM named
  GROUP BY source_role, server_name, session_id, process, life
)
SELECT source_role, server_name, session_id, coalesce(session_start, first_at) AS started_at, authorized_at,
  disconnected_at AS ended_at, last_at,
  CASE WHEN session_time IS NOT NULL THEN
    CAST(split_part(session_time, ':', 1) AS BIGINT) * 3600000 + CAST(split_part(session_time, ':', 2) AS BIGINT) * 60000
    + CAST(round(CAST(split_part(session_time, ':', 3) AS DOUBLE) * 1000) AS BIGINT) END AS duration_ms,
  user_name, db_name, client_addr, client_port, application_name, backend_type, pid,
  authorized_at IS NOT NULL AS is_authorized, replicates = 1 AS is_replication,
  nullif(regexp_extract(authenticated, '^connection authenticated: (?:identity|user)=".*" method=([^ ]+)', 1), '') AS auth_method,
  nullif(regexp_extract(authenticated, '^connection authenticated: (?:identity|user)="(.*)" method=', 1), '') AS auth_identity,
  CASE WHEN disconnected_at IS NOT NULL THEN 'disconnection' WHEN is_ended = 1 THEN 'error' END AS end_reason,
  end_sqlstate, statements, errors
FROM gathered
WHERE authorized_at IS NOT NULL OR disconnected_at IS NOT NULL
