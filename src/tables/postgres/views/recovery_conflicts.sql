-- One row per line about a recovery conflict on a standby (log_recovery_conflict_waits): replay waited for a query.
SELECT event_time, source_role, server_name, pid, session_id, line_num,
  regexp_extract(message, '^recovery (still|finished) waiting after ', 1) = 'finished' AS is_end,
  CAST(regexp_extract(message, ' after ([0-9]+[.][0-9]{3}) ms', 1) AS DOUBLE) AS waited_ms,
  regexp_extract(message, ': recovery conflict on (.+)$', 1) AS cause,
  nullif(regexp_extract(detail, '^Conflicting process(?:es)?: ([0-9, ]+)', 1), '') AS conflicting_pids
FROM log_records
WHERE severity = 'LOG'
  AND regexp_extract(message, '^recovery (?:still|finished) waiting after [0-9]+[.][0-9]{3} ms: recovery conflict on ', 0) <> ''
