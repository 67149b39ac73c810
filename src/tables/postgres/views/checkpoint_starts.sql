-- One row per start of a checkpoint or restartpoint, completed or not, and per warning that checkpoints come too often.
SELECT event_time, source_role, server_name, pid, session_id, line_num,
  CASE WHEN message LIKE 'checkpoints are%' THEN 'too frequent'
    ELSE regexp_extract(message, '^(checkpoint|restartpoint)', 1) END AS kind,
  nullif(trim(regexp_extract(message, ' starting:((?: [a-z-]+)*)$', 1)), '') AS reason,
  TRY_CAST(nullif(regexp_extract(message, '[(]([0-9]+) seconds? apart[)]$', 1), '') AS BIGINT) AS seconds_apart
FROM logs
WHERE parse_status <> 'rejected' AND severity = 'LOG'
  AND regexp_extract(message, '^(?:(?:checkpoint|restartpoint) starting:|checkpoints are occurring too frequently [(])', 0) <> ''
