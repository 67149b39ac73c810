const totalMs = 'round(coalesce(sum(duration_ms), 0), 3)'
const rank = `lpad((row_number() OVER ranks)::VARCHAR, 2, '0')`

/** UTC text of an instant's second. */
function second(sql: string): string {
  return `strftime(${utc(sql)}, '%Y-%m-%d %H:%M:%S')`
}

function minute(sql: string): string {
  return `strftime(${utc(sql)}, '%Y-%m-%d %H:%M')`
}

/** Text of an instant as jsonlog writes it. */
function instant(sql: string): string {
  return `strftime(${utc(sql)}, '%Y-%m-%d %H:%M:%S.%g UTC')`
}

function utc(sql: string): string {
  return `make_timestamp(epoch_us(${sql}))`
}

/** Count, total and maximum of the milliseconds of some rows. */
function measures(key: string, from: string, column = 'duration_ms'): readonly string[] {
  return [
    `SELECT '${key}.count', count(*) FROM ${from}`,
    `SELECT '${key}.total_ms', round(coalesce(sum(${column}), 0), 3) FROM ${from}`,
    `SELECT '${key}.max_ms', coalesce(max(${column}), 0) FROM ${from}`,
  ]
}

/** The same for each value of a column of the executed statements. */
function grouped(key: string, column: string): readonly string[] {
  return [
    `SELECT '${key}' || ${column} || '.count', count(*) FROM slow_statements GROUP BY ${column}`,
    `SELECT '${key}' || ${column} || '.total_ms', ${totalMs} FROM slow_statements GROUP BY ${column}`,
  ]
}

/** Columns of the twenty statements with the largest totals. */
function topTotal(columns: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(columns).map(
    ([key, sql]) => `SELECT 'top_total.' || ${rank} || '.${key}', value FROM
      (SELECT ${sql} AS value, sum(total_ms) AS total FROM statements GROUP BY statement_normalized
       ORDER BY total DESC NULLS LAST LIMIT 20) WINDOW ranks AS (ORDER BY total DESC)`,
  )
}

/**
 * Figures of a report over PostgreSQL logs, as queries over the views: each gives rows of a key and a value. Values of
 * milliseconds are rounded to the three decimals that the server writes.
 */
export const figureQueries: readonly string[] = [
  `SELECT 'lines', count(*) FROM logs`,
  `SELECT 'lines.html_log_entries', count(*) FROM logs`,
  `SELECT 'first_event', ${second('min(event_time)')} FROM logs`,
  `SELECT 'last_event', ${second('max(event_time)')} FROM logs`,
  `SELECT 'severity.' || severity, count(*) FROM logs GROUP BY severity`,
  `SELECT 'sqlstate.' || CASE sqlstate WHEN '00000' THEN '(none)' ELSE sqlstate END, count(*) FROM logs GROUP BY sqlstate`,
  `SELECT 'severity_sqlstate.' || severity || '.' || sqlstate, count(*) FROM errors GROUP BY severity, sqlstate`,
  `SELECT 'severity_sqlstate.LOG.08006', count(*) FROM lost_clients`,
  `SELECT 'sqlstate_class_warning_or_worse.' || sqlstate_class, count(*) FROM errors GROUP BY sqlstate_class`,
  `SELECT 'sqlstate_class_warning_or_worse.total', count(*) FROM errors`,
  `SELECT 'events.count', count(*) FROM errors`,

  ...['count', 'count_without_plans(pgbadger minus plans)', 'histogram_total'].map(
    (key) => `SELECT 'queries.${key}', count(*) FROM slow_statements`,
  ),
  ...[0, 1, 5, 10, 25, 50, 100, 500, 1000, 10000].map(
    (from, index, bounds) =>
      `SELECT 'queries.histogram_from_${from}_ms', count(*) FROM slow_statements
       WHERE duration_ms >= ${from} AND duration_ms < ${bounds[index + 1] ?? 1e300}`,
  ),
  ...['statement+execute', 'pgbadger minus plans'].map(
    (key) => `SELECT 'queries.total_ms(${key})', ${totalMs} FROM slow_statements`,
  ),
  `SELECT 'queries.max_ms', max(duration_ms) FROM slow_statements`,
  `SELECT 'queries.p95_disc_ms', percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) FROM slow_statements`,
  `SELECT 'queries.p99_disc_ms', percentile_disc(0.99) WITHIN GROUP (ORDER BY duration_ms) FROM slow_statements`,
  `SELECT 'queries.distinct_normalized', count(DISTINCT statement_normalized) FROM statements WHERE calls > 0`,
  `SELECT 'statements.all', count(DISTINCT statement_normalized) FROM statements WHERE calls > 0`,
  `SELECT 'queries.distinct_query_id', count(DISTINCT query_id) FROM slow_statements`,
  `SELECT 'queries.peak_per_second', max(n) FROM (SELECT count(*) AS n FROM slow_statements GROUP BY ${second('event_time')})`,
  `SELECT 'queries.peak_at', min_by(moment, (-n, moment)) FROM
     (SELECT ${second('event_time')} AS moment, count(*) AS n FROM slow_statements GROUP BY moment)`,
  `SELECT 'queries.minute.' || ${minute('event_time')}, count(*) FROM slow_statements GROUP BY ALL`,
  ...['statement', 'parse', 'bind', 'execute', 'execute fetch'].flatMap((phase) =>
    measures(
      `phase.${phase.replace('execute fetch', 'fetch')}`,
      `statement_timings WHERE phase = '${phase}'`,
    ),
  ),
  ...grouped('type.', 'statement_type'),
  ...grouped('queries_by_user.', 'user_name'),
  ...grouped('queries_by_db.', 'db_name'),
  ...grouped('queries_by_host.', 'client_addr'),
  ...grouped('queries_by_app.', 'application_name'),

  ...topTotal({
    calls: 'sum(calls)',
    total_ms: 'round(sum(total_ms), 3)',
    max_ms: 'max(max_ms)',
    min_ms: 'min(min_ms)',
    parse_ms: 'round(sum(parse_ms), 3)',
    bind_ms: 'round(sum(bind_ms), 3)',
    statement: 'statement_normalized',
  }),
  ...['mean_ms', 'p95_disc_ms', 'p95_cont_ms'].map(
    (key) => `SELECT 'top_total.' || ${rank} || '.${key}', ${key} FROM
      (SELECT statement_normalized, round(avg(duration_ms), 3) AS mean_ms, sum(duration_ms) AS total_ms,
         percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_disc_ms,
         round(percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms), 3) AS p95_cont_ms
       FROM slow_statements GROUP BY statement_normalized ORDER BY total_ms DESC LIMIT 20)
      WINDOW ranks AS (ORDER BY total_ms DESC)`,
  ),
  `SELECT 'top_total.' || ${rank} || '.by_phase', by_phase FROM
    (SELECT statement_normalized, sum(duration_ms) FILTER (WHERE is_execution) AS total_ms,
       to_json(map_from_entries(list_filter([
         ('statement', count(*) FILTER (WHERE phase = 'statement')), ('parse', count(*) FILTER (WHERE phase = 'parse')),
         ('bind', count(*) FILTER (WHERE phase = 'bind')), ('execute', count(*) FILTER (WHERE phase = 'execute'))],
         lambda pair: pair[2] > 0))) AS by_phase
     FROM statement_timings GROUP BY statement_normalized ORDER BY total_ms DESC NULLS LAST LIMIT 20)
    WINDOW ranks AS (ORDER BY total_ms DESC)`,
  ...(['calls', 'statement'] as const).map(
    (key) => `SELECT 'top_calls.' || ${rank} || '.${key}', ${key} FROM
      (SELECT statement_normalized AS statement, sum(calls) AS calls FROM statements GROUP BY statement_normalized
       ORDER BY calls DESC, statement LIMIT 20) WINDOW ranks AS (ORDER BY calls DESC, statement)`,
  ),
  ...Object.entries({ ms: 'duration_ms', at: instant('event_time'), statement: 'statement_normalized' }).map(
    ([key, sql]) => `SELECT 'slowest.' || ${rank} || '.${key}', ${sql} FROM
      (SELECT * FROM slow_statements ORDER BY duration_ms DESC LIMIT 20) WINDOW ranks AS (ORDER BY duration_ms DESC)`,
  ),
  ...[10, 100, 250].map(
    (ms) => `SELECT 'slow.at_least_${ms}_ms', count(*) FROM slow_statements WHERE duration_ms >= ${ms}`,
  ),

  ...measures('locks.acquired', `lock_waits WHERE outcome = 'acquired'`, 'waited_ms'),
  `SELECT 'locks.still_waiting.count', sum(still_waiting_lines) FROM lock_waits`,
  ...measures(
    "locks.' || mode || ' on ' || object_type || '",
    `lock_waits WHERE outcome = 'acquired' GROUP BY mode, object_type`,
    'waited_ms',
  ),
  ...measures(
    "locks.relation.' || coalesce(relation_name, relation_oid::VARCHAR) || '",
    `lock_waits WHERE outcome = 'acquired' AND coalesce(relation_name, relation_oid::VARCHAR) IS NOT NULL
     GROUP BY coalesce(relation_name, relation_oid::VARCHAR)`,
    'waited_ms',
  ),
  `SELECT 'locks.statement.' || statement_normalized, to_json({ count: count(*), total_ms: round(sum(waited_ms), 3), max_ms: max(waited_ms) })
   FROM lock_waits WHERE outcome = 'acquired' GROUP BY statement_normalized`,
  `SELECT 'locks.detected_deadlock.count', count(*) FROM lock_waits WHERE outcome = 'deadlock'`,
  `SELECT 'locks.detected_deadlock.total_ms', round(coalesce(sum(waited_ms), 0), 3) FROM lock_waits WHERE outcome = 'deadlock'`,
  `SELECT 'locks.still_waiting_never_acquired', count(*) FROM lock_waits WHERE outcome IS NULL`,
  `SELECT 'locks.acquired_without_still_waiting', count(*) FROM lock_waits WHERE outcome = 'acquired' AND still_waiting_lines = 0`,
  `SELECT 'deadlocks.errors_40P01', count(*) FROM deadlocks`,

  ...Object.entries({
    complete: 'count(*)',
    buffers: 'sum(buffers)',
    wal_added: 'sum(wal_added)',
    wal_removed: 'sum(wal_removed)',
    wal_recycled: 'sum(wal_recycled)',
    write_s: 'round(sum(write_s), 3)',
    sync_s: 'round(sum(sync_s), 3)',
    total_s: 'round(sum(total_s), 3)',
    distance_kb: 'sum(distance_kb)',
    max_write_s: 'max(write_s)',
    max_sync_s: 'max(sync_s)',
    max_total_s: 'max(total_s)',
    sync_files: 'sum(sync_files)',
  }).map(([key, sql]) => `SELECT 'checkpoints.' || kind || '.${key}', ${sql} FROM checkpoints GROUP BY kind`),
  `SELECT 'checkpoints.started.' || kind || ': ' || reason, count(*) FROM checkpoint_starts WHERE reason IS NOT NULL GROUP BY kind, reason`,
  `SELECT 'checkpoints.too_frequent.count', count(*) FROM checkpoint_starts WHERE kind = 'too frequent'`,
  `SELECT 'checkpoints.too_frequent.seconds', coalesce(sum(seconds_apart), 0) FROM checkpoint_starts WHERE kind = 'too frequent'`,

  `SELECT 'temp_files.count', count(*) FROM temp_files`,
  `SELECT 'temp_files.bytes', coalesce(sum(bytes), 0) FROM temp_files`,
  `SELECT 'temp_files.max_bytes', coalesce(max(bytes), 0) FROM temp_files`,
  `SELECT 'temp_files.top.' || ${rank}, to_json({ statement: statement, count: count, bytes: bytes, max_bytes: max_bytes }) FROM
    (SELECT statement_normalized AS statement, count(*) AS count, sum(bytes)::BIGINT AS bytes, max(bytes) AS max_bytes
     FROM temp_files GROUP BY statement_normalized) WINDOW ranks AS (ORDER BY bytes DESC)`,

  ...['vacuum', 'analyze'].flatMap((action) => [
    `SELECT 'auto${action}.count', count(*) FROM autovacuums WHERE action = '${action}'`,
    `SELECT 'auto${action}.elapsed_s', round(coalesce(sum(elapsed_s), 0), 2) FROM autovacuums WHERE action = '${action}'`,
    `SELECT 'auto${action}.' || db_name || '.' || schema_name || '.' || table_name || '.count', count(*)
     FROM autovacuums WHERE action = '${action}' GROUP BY db_name, schema_name, table_name`,
    `SELECT 'auto${action}.' || db_name || '.' || schema_name || '.' || table_name || '.elapsed_s', round(sum(elapsed_s), 2)
     FROM autovacuums WHERE action = '${action}' GROUP BY db_name, schema_name, table_name`,
  ]),
  `SELECT 'autovacuum.aggressive', count(*) FROM autovacuums WHERE action = 'vacuum' AND is_aggressive`,
  `SELECT 'autovacuum.tuples_removed', coalesce(sum(tuples_removed), 0) FROM autovacuums`,
  `SELECT 'autovacuum.pages_removed', coalesce(sum(pages_removed), 0) FROM autovacuums`,
  ...Object.entries({
    index_scans: 'sum(index_scans)',
    pages_removed: 'sum(pages_removed)',
    pages_remain: 'sum(pages_remain)',
    tuples_removed: 'sum(tuples_removed)',
    tuples_remain: 'sum(tuples_remain)',
    dead_not_removable: 'sum(tuples_dead_not_removable)',
    hits: 'sum(buffer_hits)',
    misses: 'sum(buffer_misses)',
    dirtied: 'sum(buffer_dirtied)',
    wal_records: 'sum(wal_records)',
    wal_fpi: 'sum(wal_fpi)',
    wal_bytes: 'sum(wal_bytes)',
  }).map(
    ([
      key,
      sql,
    ]) => `SELECT 'autovacuum.' || db_name || '.' || schema_name || '.' || table_name || '.${key}', ${sql}
      FROM autovacuums WHERE action = 'vacuum' GROUP BY db_name, schema_name, table_name`,
  ),

  `SELECT 'sessions.count', count(*) FROM ended`,
  `SELECT 'sessions.client_backends', count(*) FROM ended WHERE backend_type = 'client backend'`,
  `SELECT 'sessions.walsenders', count(*) FROM ended WHERE backend_type = 'walsender'`,
  `SELECT 'sessions.total_ms', sum(duration_ms) FROM ended`,
  `SELECT 'sessions.client_total_ms', sum(duration_ms) FROM ended WHERE backend_type = 'client backend'`,
  ...Object.entries({
    user: 'user_name',
    db: "coalesce(db_name, '')",
    host: 'client_addr',
    app: 'application_name',
  }).flatMap(([key, column]) => [
    `SELECT 'sessions.by_${key}.' || ${column} || '.count', count(*) FROM ended GROUP BY ALL`,
    `SELECT 'sessions.by_${key}.' || ${column} || '.total_ms', sum(duration_ms) FROM ended GROUP BY ${column}`,
    `SELECT 'connections.by_${key}.' || ${column}, count(*) FROM sessions WHERE is_authorized GROUP BY ${column}`,
  ]),
  ...[0, 500, 1000, 30_000, 60_000, 600_000, 1_800_000, 3_600_000, 28_800_000].map(
    (from, index, bounds) =>
      `SELECT 'sessions.histogram_from_${from}_ms', count(*) FROM ended
       WHERE duration_ms >= ${from} AND duration_ms < ${bounds[index + 1] ?? 1e300}`,
  ),
  `SELECT 'sessions.authorized_without_disconnection', count(*) FROM sessions WHERE ended_at IS NULL`,
  `SELECT 'sessions.peak_concurrent', max(open) FROM concurrent`,
  `SELECT 'sessions.peak_at', ${instant('min(moment)')} FROM concurrent WHERE open = (SELECT max(open) FROM concurrent)`,

  ...['received', 'received_local', 'authenticated', 'authorized_replication', 'disconnections'].map(
    (key) => `SELECT 'connections.${key}', sum(${key}) FROM connections_per_minute`,
  ),
  `SELECT 'connections.received_tcp', sum(received - received_local) FROM connections_per_minute`,
  `SELECT 'connections.authenticated.' || auth_method, count(*) FROM sessions WHERE auth_method IS NOT NULL GROUP BY auth_method`,
  `SELECT 'connections.authorized', sum(authorized + authorized_replication) FROM connections_per_minute`,
  `SELECT 'connections.authorized_client', sum(authorized) FROM connections_per_minute`,
  `SELECT 'connections.received.minute.' || ${minute('minute')}, received FROM connections_per_minute`,
  `SELECT 'connections.peak_per_second', max(n) FROM
    (SELECT count(*) AS n FROM sessions WHERE is_authorized GROUP BY ${second('authorized_at')})`,
  `SELECT 'connections.peak_at', min_by(moment, (-n, moment)) FROM
    (SELECT ${second('authorized_at')} AS moment, count(*) AS n FROM sessions WHERE is_authorized GROUP BY moment)`,

  ...['autovacuum task', 'conflict with recovery', 'lock timeout', 'statement timeout', 'user request'].map(
    (cause) =>
      `SELECT 'cancelled.${cause}', count(*) FROM cancellations WHERE severity = 'ERROR' AND cause = '${cause}'`,
  ),
  `SELECT 'cancelled.total', count(*) FROM cancellations WHERE severity = 'ERROR'`,
  `SELECT 'terminated.FATAL ' || backend_type || ': ' || cause, count(*) FROM cancellations
   WHERE severity = 'FATAL' AND kind <> 'statement' GROUP BY backend_type, cause`,
  ...[true, false].flatMap((isEnd) =>
    measures(
      `recovery_conflict.${isEnd ? 'finished' : 'still'} waiting`,
      `recovery_conflicts WHERE is_end = ${isEnd}`,
      'waited_ms',
    ),
  ),
  `SELECT 'replication.command', count(*) FROM replication_events WHERE kind = 'command' HAVING count(*) > 0`,
  `SELECT 'replication.command.' || command, count(*) FROM replication_events WHERE kind = 'command' GROUP BY command`,
  `SELECT 'replication.replication terminated by primary', count(*) FROM replication_events WHERE kind = 'terminated by primary' HAVING count(*) > 0`,
  `SELECT 'replication.started streaming', count(*) FROM replication_events WHERE kind = 'started streaming' HAVING count(*) > 0`,
  `SELECT 'replication.' || backend_type || ' ' || severity, count(*) FROM replication_events WHERE kind = 'error' AND severity <> 'LOG' GROUP BY ALL`,

  `SELECT 'plans.count', count(*) FROM plans`,
  `SELECT 'plans.total_ms', round(coalesce(sum(duration_ms), 0), 3) FROM plans`,
  `SELECT 'plans.format.' || format, count(*) FROM plans GROUP BY format`,

  `SELECT 'parameter_changes', count(*) FROM changes WHERE kind = 'parameter'`,
  ...Object.entries({
    start: 'starting',
    ready: 'ready',
    ready_read_only: 'ready_read_only',
    shutdown_request: 'shutdown_request',
    shut_down: 'shut_down',
    child_signal: 'process_signaled',
    child_exit: 'process_exited',
    reinitializing: 'reinitializing',
    interrupted: 'interrupted',
    not_properly_shut_down: 'not_properly_shut_down',
    was_shut_down: 'was_shut_down',
    redo_done: 'redo_done',
  }).map(([key, event]) => `SELECT 'lifecycle.${key}', count(*) FROM changes WHERE event = '${event}'`),
  `SELECT 'lifecycle.lost_client', count(*) FROM lost_clients`,
]

/** Relations of these queries beside the views. */
export const figureRelations: readonly string[] = [
  `CREATE OR REPLACE VIEW ended AS SELECT * FROM sessions WHERE ended_at IS NOT NULL`,
  // At the same instant, an end counts before a start.
  `CREATE OR REPLACE VIEW concurrent AS
   SELECT moment, sum(step) OVER (ORDER BY moment, step ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS open FROM
     (SELECT authorized_at AS moment, 1 AS step FROM sessions WHERE is_authorized
      UNION ALL SELECT coalesce(ended_at, last_at), -1 FROM sessions WHERE is_authorized)`,
]
