-- One row per normalized statement, server and database: calls, milliseconds and errors. The milliseconds of parse and
-- bind are in columns of their own and in no other figure. Sampling and thresholds of the server's settings make the
-- counts lower bounds.
WITH failed AS (
  SELECT source_role, server_name, db_name, normalize_sql(statement) AS statement_normalized
  FROM log_records
  WHERE severity <> 'LOG' AND severity_level IN ('ERROR', 'FATAL', 'PANIC') AND statement IS NOT NULL
),
gathered AS (
  SELECT source_role, server_name, db_name, statement_normalized, statement_type, phase, is_execution, duration_ms,
    event_time, 0 AS error
  FROM statement_timings
  -- Not of the normalized text: an engine would then normalize each text several times.
  WHERE statement IS NOT NULL
  UNION ALL
  SELECT source_role, server_name, db_name, statement_normalized, NULL, NULL, false, NULL, NULL, 1
  FROM failed
)
SELECT source_role, server_name, db_name, statement_normalized,
  max(statement_type) AS statement_type,
  count(*) FILTER (WHERE is_execution) AS calls,
  sum(CASE WHEN statement_normalized <> '' THEN error ELSE 0 END) AS errors,
  round(sum(duration_ms) FILTER (WHERE is_execution), 3) AS total_ms,
  round(avg(duration_ms) FILTER (WHERE is_execution), 3) AS mean_ms,
  min(duration_ms) FILTER (WHERE is_execution) AS min_ms,
  max(duration_ms) FILTER (WHERE is_execution) AS max_ms,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY CASE WHEN is_execution THEN duration_ms END) AS p50_ms,
  percentile_cont(0.95) WITHIN GROUP (ORDER BY CASE WHEN is_execution THEN duration_ms END) AS p95_ms,
  percentile_cont(0.99) WITHIN GROUP (ORDER BY CASE WHEN is_execution THEN duration_ms END) AS p99_ms,
  round(coalesce(sum(duration_ms) FILTER (WHERE phase = 'parse'), 0), 3) AS parse_ms,
  round(coalesce(sum(duration_ms) FILTER (WHERE phase = 'bind'), 0), 3) AS bind_ms,
  min(event_time) AS first_at,
  max(event_time) AS last_at
FROM gathered
GROUP BY source_role, server_name, db_name, statement_normalized
-- A failed text of nothing but comments is no statement.
HAVING statement_normalized <> '' OR sum(error) < count(*)
