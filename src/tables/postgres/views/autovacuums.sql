-- One row per automatic vacuum or analyze (log_autovacuum_min_duration). The server writes the table's name without
-- quotes, so a dot in a name makes its parts a guess.
WITH runs AS (
  SELECT event_time, source_role, server_name, pid, session_id, line_num, message,
    regexp_extract(message, '^automatic (?:aggressive )?(vacuum|analyze) ', 1) AS action,
    regexp_extract(message, '^automatic .*?of table "(.+?)"(?::|[^!-~]|$)', 1) AS name
  FROM log_records
  WHERE severity = 'LOG'
    AND regexp_extract(message, '^automatic (?:aggressive )?(?:vacuum|analyze) (?:to prevent wraparound )?of table "', 0) <> ''
)
SELECT event_time AS ended_at, source_role, server_name, pid, session_id, line_num, action,
  message LIKE 'automatic aggressive %' AS is_aggressive,
  regexp_extract(message, '^automatic [a-z ]+ to prevent wraparound of table', 0) <> '' AS prevents_wraparound,
  regexp_extract(name, '^([^.]*)[.]', 1) AS db_name,
  regexp_extract(name, '^[^.]*[.](.*)[.][^.]*$', 1) AS schema_name,
  regexp_extract(name, '([^.]*)$', 1) AS table_name,
  TRY_CAST(nullif(regexp_extract(message, 'index scans: ([0-9]+)', 1), '') AS BIGINT) AS index_scans,
  TRY_CAST(nullif(regexp_extract(message, '(?m:^)[^a-z]*pages: ([0-9]+) removed', 1), '') AS BIGINT) AS pages_removed,
  TRY_CAST(nullif(regexp_extract(message, 'pages: [0-9]+ removed, ([0-9]+) remain', 1), '') AS BIGINT) AS pages_remain,
  TRY_CAST(nullif(regexp_extract(message, ' remain, ([0-9]+) scanned', 1), '') AS BIGINT) AS pages_scanned,
  TRY_CAST(nullif(regexp_extract(message, 'tuples: ([0-9]+) removed', 1), '') AS BIGINT) AS tuples_removed,
  TRY_CAST(nullif(regexp_extract(message, 'tuples: [0-9]+ removed, ([0-9]+) remain', 1), '') AS BIGINT) AS tuples_remain,
  TRY_CAST(nullif(regexp_extract(message, ' remain, ([0-9]+) are dead but not yet removable', 1), '') AS BIGINT) AS tuples_dead_not_removable,
  TRY_CAST(nullif(regexp_extract(message, 'buffer usage: ([0-9]+) hits', 1), '') AS BIGINT) AS buffer_hits,
  TRY_CAST(nullif(regexp_extract(message, 'buffer usage: [0-9]+ hits, ([0-9]+) (?:misses|reads)', 1), '') AS BIGINT) AS buffer_misses,
  TRY_CAST(nullif(regexp_extract(message, 'buffer usage: .*?([0-9]+) dirtied', 1), '') AS BIGINT) AS buffer_dirtied,
  TRY_CAST(nullif(regexp_extract(message, 'avg read rate: ([0-9.]+) MB/s', 1), '') AS DOUBLE) AS read_mb_s,
  TRY_CAST(nullif(regexp_extract(message, 'avg write rate: ([0-9.]+) MB/s', 1), '') AS DOUBLE) AS write_mb_s,
  TRY_CAST(nullif(regexp_extract(message, 'I/O timings: read: ([0-9.]+) ms', 1), '') AS DOUBLE) AS io_read_ms,
  TRY_CAST(nullif(regexp_extract(message, 'I/O timings: .*?write: ([0-9.]+) ms', 1), '') AS DOUBLE) AS io_write_ms,
  TRY_CAST(nullif(regexp_extract(message, 'delay time: ([0-9.]+) ms', 1), '') AS DOUBLE) AS delay_ms,
  TRY_CAST(nullif(regexp_extract(message, 'WAL usage: ([0-9]+) records', 1), '') AS BIGINT) AS wal_records,
  TRY_CAST(nullif(regexp_extract(message, 'WAL usage: .*?([0-9]+) full page images', 1), '') AS BIGINT) AS wal_fpi,
  TRY_CAST(nullif(regexp_extract(message, 'WAL usage: .*?([0-9]+) bytes', 1), '') AS BIGINT) AS wal_bytes,
  TRY_CAST(nullif(regexp_extract(message, 'CPU: user: ([0-9.]+) s', 1), '') AS DOUBLE) AS cpu_user_s,
  TRY_CAST(nullif(regexp_extract(message, ', system: ([0-9.]+) s', 1), '') AS DOUBLE) AS cpu_system_s,
  TRY_CAST(nullif(regexp_extract(message, ', elapsed: ([0-9.]+) s', 1), '') AS DOUBLE) AS elapsed_s
FROM runs
