-- One row per completed checkpoint or restartpoint (log_checkpoints): seconds, buffers, and WAL files. Its reason comes
-- from the latest line of its start; "wal" is a checkpoint by volume, "time" one by timeout, the others were requested.
WITH lines AS (
  SELECT event_time, source_role, server_name, pid, session_id, line_num, source_offset, message,
    regexp_extract(message, '^(checkpoint|restartpoint) (?:starting|complete):', 1) AS kind,
    regexp_extract(message, '^(?:checkpoint|restartpoint) starting:((?: [a-z-]+)*)$', 1) AS flags,
    message LIKE '%point complete:%' AS is_end
  FROM logs
  WHERE parse_status <> 'rejected' AND severity = 'LOG'
    AND (message LIKE 'checkpoint starting:%' OR message LIKE 'restartpoint starting:%'
      OR message LIKE 'checkpoint complete:%' OR message LIKE 'restartpoint complete:%')
),
paired AS (
  SELECT *,
    lag(is_end) OVER points AS previous_is_end,
    lag(event_time) OVER points AS previous_at,
    lag(flags) OVER points AS previous_flags
  FROM lines
  WINDOW points AS (PARTITION BY source_role, server_name, session_id, pid, kind
    ORDER BY CASE WHEN session_id IS NOT NULL THEN line_num END, event_time, source_offset)
)
SELECT kind,
  CASE WHEN NOT previous_is_end THEN previous_at END AS started_at,
  event_time AS ended_at, source_role, server_name, pid, session_id, line_num,
  CASE WHEN NOT previous_is_end THEN nullif(trim(previous_flags), '') END AS reason,
  TRY_CAST(nullif(regexp_extract(message, 'wrote ([0-9]+) buffers', 1), '') AS BIGINT) AS buffers,
  TRY_CAST(nullif(regexp_extract(message, 'buffers [(]([0-9.]+)%[)]', 1), '') AS DOUBLE) AS buffers_pct,
  TRY_CAST(nullif(regexp_extract(message, 'wrote ([0-9]+) SLRU buffers', 1), '') AS BIGINT) AS slru_buffers,
  TRY_CAST(nullif(regexp_extract(message, '; ([0-9]+) WAL file[(]s[)] added', 1), '') AS BIGINT) AS wal_added,
  TRY_CAST(nullif(regexp_extract(message, ' added, ([0-9]+) removed', 1), '') AS BIGINT) AS wal_removed,
  TRY_CAST(nullif(regexp_extract(message, ' removed, ([0-9]+) recycled', 1), '') AS BIGINT) AS wal_recycled,
  TRY_CAST(nullif(regexp_extract(message, '; write=([0-9.]+) s', 1), '') AS DOUBLE) AS write_s,
  TRY_CAST(nullif(regexp_extract(message, ', sync=([0-9.]+) s', 1), '') AS DOUBLE) AS sync_s,
  TRY_CAST(nullif(regexp_extract(message, ', total=([0-9.]+) s', 1), '') AS DOUBLE) AS total_s,
  TRY_CAST(nullif(regexp_extract(message, 'sync files=([0-9]+)', 1), '') AS BIGINT) AS sync_files,
  TRY_CAST(nullif(regexp_extract(message, ', longest=([0-9.]+) s', 1), '') AS DOUBLE) AS longest_s,
  TRY_CAST(nullif(regexp_extract(message, ', average=([0-9.]+) s', 1), '') AS DOUBLE) AS average_s,
  TRY_CAST(nullif(regexp_extract(message, '; distance=([0-9]+) kB', 1), '') AS BIGINT) AS distance_kb,
  TRY_CAST(nullif(regexp_extract(message, ', estimate=([0-9]+) kB', 1), '') AS BIGINT) AS estimate_kb,
  nullif(regexp_extract(message, '; lsn=([^ ,;]+)', 1), '') AS lsn,
  nullif(regexp_extract(message, 'redo lsn=([^ ,;]+)', 1), '') AS redo_lsn
FROM paired
WHERE is_end
