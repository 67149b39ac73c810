/** Statements to begin with. They read the views, which every table of PostgreSQL logs has. */
export const examples: readonly { readonly title: string; readonly sql: string }[] = [
  {
    title: 'Where does the time go?',
    sql: `SELECT statement_normalized, calls, total_ms, mean_ms, p99_ms, errors
FROM statements
ORDER BY total_ms DESC
LIMIT 20`,
  },
  {
    title: 'Errors by second',
    sql: `SELECT date_trunc('second', event_time) AS second, count(*) AS errors, count(DISTINCT session_id) AS sessions
FROM errors
GROUP BY second
ORDER BY second`,
  },
  {
    title: 'Most frequent errors',
    sql: `SELECT sqlstate, message_normalized, count(*) AS occurrences, max(event_time) AS last_at
FROM errors
GROUP BY sqlstate, message_normalized
ORDER BY occurrences DESC
LIMIT 20`,
  },
  {
    title: 'Who waits for locks?',
    sql: `SELECT statement_normalized, mode, coalesce(relation_name, object) AS waited_for,
  count(*) AS waits, sum(waited_ms) AS total_ms
FROM lock_waits
GROUP BY ALL
ORDER BY total_ms DESC
LIMIT 20`,
  },
  {
    title: 'Deadlocks and their queries',
    sql: `SELECT event_time, db_name, user_name, statement, queries
FROM deadlocks
ORDER BY event_time DESC
LIMIT 20`,
  },
  {
    title: 'Which tables keep autovacuum busy?',
    sql: `SELECT db_name, schema_name, table_name, count(*) AS vacuums, sum(elapsed_s) AS seconds,
  sum(tuples_removed) AS removed, max(tuples_dead_not_removable) AS not_removable
FROM autovacuums
WHERE action = 'vacuum'
GROUP BY db_name, schema_name, table_name
ORDER BY seconds DESC
LIMIT 20`,
  },
  {
    title: 'Statements that spill to disk',
    sql: `SELECT statement_normalized, count(*) AS files, sum(bytes) AS bytes, max(bytes) AS largest
FROM temp_files
GROUP BY statement_normalized
ORDER BY bytes DESC
LIMIT 20`,
  },
  {
    title: 'Connections per minute',
    sql: `SELECT minute, source_role, received, authorized, failed
FROM connections_per_minute
ORDER BY minute`,
  },
]
