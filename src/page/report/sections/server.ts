import {
  nearSession,
  only,
  onlyServer,
  type SectionDefinition,
  serverColumn,
  serverSql,
} from '../section-definition.ts'

export const locksSection: SectionDefinition = {
  id: 'locks',
  title: 'Lock waits and deadlocks',
  notes: [
    'Needs log_lock_waits. A wait is one row, from its "still waiting" lines to its end; deadlocks are in no sum of waits that were granted.',
  ],
  figures: [
    {
      from: '@lock_waits',
      figures: [
        { id: 'lock_waits', label: 'Waits', unit: 'count', value: 'count(*)' },
        {
          id: 'acquired',
          label: 'Granted in the end',
          unit: 'count',
          value: "count(*) FILTER (WHERE outcome = 'acquired')",
        },
        {
          id: 'acquired_ms',
          label: 'Time until granted',
          unit: 'ms',
          value: "sum(waited_ms) FILTER (WHERE outcome = 'acquired')",
        },
        { id: 'max_waited_ms', label: 'Longest wait', unit: 'ms', value: 'max(waited_ms)' },
      ],
    },
    {
      from: '@deadlocks',
      figures: [{ id: 'deadlocks', label: 'Deadlocks', unit: 'count', value: 'count(*)' }],
    },
  ],
  charts: [
    {
      id: 'lock_waits',
      title: 'Time waited for locks, by outcome',
      unit: 'ms',
      kind: 'bars',
      from: '@lock_waits',
      at: 'coalesce(ended_at, started_at)',
      value: 'sum(waited_ms)',
      series: "coalesce(outcome, 'not ended')",
    },
  ],
  tables: [
    {
      id: 'by_object',
      title: 'Waits by object',
      columns: [
        serverColumn,
        { id: 'mode', label: 'Mode', unit: 'text' },
        { id: 'object', label: 'Object', unit: 'text' },
        { id: 'count', label: 'Waits', unit: 'count' },
        { id: 'waited_ms', label: 'Total', unit: 'ms' },
        { id: 'max_ms', label: 'Longest', unit: 'ms' },
      ],
      sql: `SELECT ${serverSql} AS server, mode, coalesce(relation_name, object_type || coalesce(' ' || relation_oid, '')) AS object,
        count(*) AS count, sum(waited_ms) AS waited_ms, max(waited_ms) AS max_ms
        FROM @lock_waits GROUP BY 1, 2, 3`,
      order: 'waited_ms DESC, object, server',
      maxRows: 30,
      records: ({ server }) => ({ server: onlyServer(server), event: ['lock_wait'] }),
    },
    {
      id: 'longest',
      title: 'Longest waits',
      columns: [
        serverColumn,
        { id: 'at_ms', label: 'Ended', unit: 'instant' },
        { id: 'waited_ms', label: 'Waited', unit: 'ms' },
        { id: 'outcome', label: 'Outcome', unit: 'text' },
        { id: 'mode', label: 'Mode', unit: 'text' },
        { id: 'object', label: 'Object', unit: 'text' },
        { id: 'holders', label: 'Held by', unit: 'text' },
        { id: 'statement', label: 'Statement', unit: 'sql' },
      ],
      sql: `SELECT ${serverSql} AS server, epoch_ms(coalesce(ended_at, started_at)) AS at_ms, waited_ms, outcome, mode, object, holders,
        substr(statement, 1, 2000) AS statement, session_id AS session
        FROM @lock_waits`,
      order: 'waited_ms DESC, at_ms, session',
      maxRows: 20,
      records: nearSession,
    },
    {
      id: 'deadlocks',
      title: 'Deadlocks',
      columns: [
        serverColumn,
        { id: 'at_ms', label: 'At', unit: 'instant' },
        { id: 'database', label: 'Database', unit: 'text' },
        { id: 'user', label: 'User', unit: 'text' },
        { id: 'participants', label: 'Processes', unit: 'text' },
        { id: 'statement', label: 'Canceled statement', unit: 'sql' },
      ],
      sql: `SELECT ${serverSql} AS server, epoch_ms(event_time) AS at_ms, db_name AS database, user_name AS "user",
        substr(participants, 1, 2000) AS participants, substr(statement, 1, 2000) AS statement, session_id AS session
        FROM @deadlocks`,
      order: 'at_ms DESC, session',
      maxRows: 20,
      records: nearSession,
    },
  ],
}

export const checkpointsSection: SectionDefinition = {
  id: 'checkpoints',
  title: 'Checkpoints',
  notes: [
    'Needs log_checkpoints. Checkpoints of a primary and restartpoints of a replica are counted apart, which pgBadger does not do.',
  ],
  figures: [
    {
      from: '@checkpoints',
      figures: [
        {
          id: 'checkpoints',
          label: 'Checkpoints',
          unit: 'count',
          value: "count(*) FILTER (WHERE kind = 'checkpoint')",
        },
        {
          id: 'restartpoints',
          label: 'Restartpoints',
          unit: 'count',
          value: "count(*) FILTER (WHERE kind = 'restartpoint')",
        },
        { id: 'buffers', label: 'Buffers written', unit: 'pages', value: 'sum(buffers)' },
        { id: 'write_s', label: 'Writing', unit: 's', value: 'sum(write_s)' },
        { id: 'sync_s', label: 'Syncing', unit: 's', value: 'sum(sync_s)' },
        { id: 'max_total_s', label: 'Longest', unit: 's', value: 'max(total_s)' },
        { id: 'wal_added', label: 'WAL files added', unit: 'count', value: 'sum(wal_added)' },
        { id: 'wal_removed', label: 'WAL files removed', unit: 'count', value: 'sum(wal_removed)' },
        { id: 'wal_recycled', label: 'WAL files recycled', unit: 'count', value: 'sum(wal_recycled)' },
        { id: 'distance_kb', label: 'WAL between them', unit: 'kB', value: 'sum(distance_kb)' },
      ],
    },
    {
      from: '@checkpoint_starts',
      figures: [
        {
          id: 'too_frequent',
          label: 'Warnings: too frequent',
          unit: 'count',
          value: "count(*) FILTER (WHERE kind = 'too frequent')",
        },
      ],
    },
  ],
  charts: [
    {
      id: 'buffers',
      title: 'Buffers written',
      unit: 'pages',
      kind: 'bars',
      from: '@checkpoints',
      at: 'ended_at',
      value: 'sum(buffers)',
      series: 'kind',
    },
  ],
  tables: [
    {
      id: 'checkpoints',
      title: 'Longest checkpoints and restartpoints',
      columns: [
        serverColumn,
        { id: 'at_ms', label: 'Ended', unit: 'instant' },
        { id: 'kind', label: 'Kind', unit: 'text' },
        { id: 'reason', label: 'Reason', unit: 'text' },
        { id: 'buffers', label: 'Buffers', unit: 'pages' },
        { id: 'write_s', label: 'Write', unit: 's' },
        { id: 'sync_s', label: 'Sync', unit: 's' },
        { id: 'total_s', label: 'Total', unit: 's' },
        { id: 'distance_kb', label: 'WAL', unit: 'kB' },
      ],
      sql: `SELECT ${serverSql} AS server, epoch_ms(ended_at) AS at_ms, kind, reason, buffers, write_s, sync_s, total_s, distance_kb,
        session_id AS session FROM @checkpoints`,
      order: 'total_s DESC, at_ms, server',
      maxRows: 30,
      records: nearSession,
    },
  ],
}

export const autovacuumSection: SectionDefinition = {
  id: 'autovacuum',
  title: 'Autovacuum',
  notes: [
    'Needs log_autovacuum_min_duration; from PostgreSQL 15 on only runs of ten minutes and longer are logged by default.',
  ],
  figures: [
    {
      from: '@autovacuums',
      figures: [
        {
          id: 'vacuums',
          label: 'Vacuums',
          unit: 'count',
          value: "count(*) FILTER (WHERE action = 'vacuum')",
        },
        {
          id: 'analyzes',
          label: 'Analyzes',
          unit: 'count',
          value: "count(*) FILTER (WHERE action = 'analyze')",
        },
        {
          id: 'aggressive',
          label: 'Aggressive',
          unit: 'count',
          value: 'count(*) FILTER (WHERE is_aggressive)',
        },
        { id: 'elapsed_s', label: 'Time', unit: 's', value: 'sum(elapsed_s)' },
        { id: 'tuples_removed', label: 'Rows removed', unit: 'count', value: 'sum(tuples_removed)' },
        { id: 'pages_removed', label: 'Pages removed', unit: 'pages', value: 'sum(pages_removed)' },
      ],
    },
  ],
  charts: [
    {
      id: 'runs',
      title: 'Runs',
      unit: 'count',
      kind: 'bars',
      from: '@autovacuums',
      at: 'ended_at',
      value: 'count(*)',
      series: 'action',
    },
  ],
  tables: [
    {
      id: 'by_table',
      title: 'By table',
      columns: [
        serverColumn,
        { id: 'table', label: 'Table', unit: 'text' },
        { id: 'vacuums', label: 'Vacuums', unit: 'count' },
        { id: 'analyzes', label: 'Analyzes', unit: 'count' },
        { id: 'elapsed_s', label: 'Time', unit: 's' },
        { id: 'tuples_removed', label: 'Rows removed', unit: 'count' },
        { id: 'dead', label: 'Not yet removable', unit: 'count' },
        { id: 'pages_removed', label: 'Pages removed', unit: 'pages' },
        { id: 'buffer_misses', label: 'Pages read', unit: 'pages' },
        { id: 'wal_bytes', label: 'WAL', unit: 'bytes' },
      ],
      sql: `SELECT ${serverSql} AS server, concat_ws('.', db_name, schema_name, table_name) AS "table",
        count(*) FILTER (WHERE action = 'vacuum') AS vacuums, count(*) FILTER (WHERE action = 'analyze') AS analyzes,
        sum(elapsed_s) AS elapsed_s, sum(tuples_removed) AS tuples_removed, sum(tuples_dead_not_removable) AS dead,
        sum(pages_removed) AS pages_removed, sum(buffer_misses) AS buffer_misses, sum(wal_bytes) AS wal_bytes
        FROM @autovacuums GROUP BY 1, 2`,
      order: 'elapsed_s DESC, "table", server',
      maxRows: 50,
      records: ({ server, table }) => ({
        server: onlyServer(server),
        event: ['autovacuum', 'autoanalyze'],
        q: `"${String(table)}"`,
      }),
    },
  ],
}

export const tempFilesSection: SectionDefinition = {
  id: 'temp_files',
  title: 'Temporary files',
  notes: ['Needs log_temp_files. The largest is that of one file; pgBadger adds up those of one process.'],
  figures: [
    {
      from: '@temp_files',
      figures: [
        { id: 'temp_files', label: 'Files', unit: 'count', value: 'count(*)' },
        { id: 'bytes', label: 'Size', unit: 'bytes', value: 'sum(bytes)' },
        { id: 'max_bytes', label: 'Largest', unit: 'bytes', value: 'max(bytes)' },
      ],
    },
  ],
  charts: [
    {
      id: 'bytes',
      title: 'Size of the files',
      unit: 'bytes',
      kind: 'bars',
      from: '@temp_files',
      at: 'event_time',
      value: 'sum(bytes)',
      series: "'size'",
    },
  ],
  tables: [
    {
      id: 'by_statement',
      title: 'By statement',
      columns: [
        serverColumn,
        { id: 'statement', label: 'Statement', unit: 'sql' },
        { id: 'count', label: 'Files', unit: 'count' },
        { id: 'bytes', label: 'Size', unit: 'bytes' },
        { id: 'max_bytes', label: 'Largest', unit: 'bytes' },
      ],
      sql: `SELECT ${serverSql} AS server, statement_normalized AS statement, count(*) AS count, sum(bytes) AS bytes,
        max(bytes) AS max_bytes FROM @temp_files GROUP BY 1, 2`,
      order: 'bytes DESC, statement, server',
      maxRows: 30,
      records: ({ server }) => ({ server: onlyServer(server), event: ['temp_file'] }),
    },
  ],
}

/** Connections begin when they are authorized, and end with their disconnection or last line. */
const simultaneous = `SELECT source_role, server_name, max(running) AS peak FROM (
    SELECT source_role, server_name, sum(step) OVER (PARTITION BY source_role, server_name ORDER BY at_ms, step
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running
    FROM (SELECT source_role, server_name, authorized_at AS at_ms, 1 AS step FROM @sessions WHERE authorized_at IS NOT NULL
      UNION ALL SELECT source_role, server_name, coalesce(ended_at, last_at), -1 FROM @sessions WHERE authorized_at IS NOT NULL))
  GROUP BY ALL`

export const sessionsSection: SectionDefinition = {
  id: 'sessions',
  title: 'Sessions and connections',
  notes: [
    'Needs log_connections and log_disconnections. A session that runs beyond the time of the report counts with its part in it.',
    'Sessions of replication count, too, and names with blanks are whole; pgBadger leaves both out.',
  ],
  figures: [
    {
      from: '@sessions',
      figures: [
        {
          id: 'ended',
          label: 'Sessions ended',
          unit: 'count',
          value: "count(*) FILTER (WHERE end_reason = 'disconnection')",
        },
        { id: 'duration_ms', label: 'Their time', unit: 'ms', value: 'sum(duration_ms)' },
        { id: 'mean_session_ms', label: 'Mean', unit: 'ms', value: 'avg(duration_ms)' },
        { id: 'max_session_ms', label: 'Longest', unit: 'ms', value: 'max(duration_ms)' },
      ],
    },
    {
      from: `(${simultaneous}) AS simultaneous`,
      figures: [{ id: 'peak', label: 'At once, at most', unit: 'count', value: 'max(peak)' }],
    },
    {
      from: '@connections_per_minute',
      figures: [
        { id: 'received', label: 'Connections received', unit: 'count', value: 'sum(received)' },
        { id: 'authorized', label: 'Authorized', unit: 'count', value: 'sum(authorized)' },
        {
          id: 'authorized_replication',
          label: 'Authorized for replication',
          unit: 'count',
          value: 'sum(authorized_replication)',
        },
        { id: 'failed', label: 'Refused', unit: 'count', value: 'sum(failed)' },
      ],
    },
  ],
  charts: [
    {
      id: 'connections',
      title: 'Connections authorized',
      unit: 'count',
      kind: 'bars',
      from: '@connections_per_minute',
      at: 'minute',
      value: 'sum(authorized + authorized_replication)',
      series: "'authorized'",
    },
  ],
  tables: [
    {
      id: 'by_client',
      title: 'By user, database and application',
      columns: [
        serverColumn,
        { id: 'user', label: 'User', unit: 'text' },
        { id: 'database', label: 'Database', unit: 'text' },
        { id: 'application', label: 'Application', unit: 'text' },
        { id: 'count', label: 'Sessions', unit: 'count' },
        { id: 'duration_ms', label: 'Time', unit: 'ms' },
        { id: 'statements', label: 'Statements', unit: 'count' },
        { id: 'errors', label: 'Errors', unit: 'count' },
      ],
      sql: `SELECT ${serverSql} AS server, user_name AS "user", db_name AS database, application_name AS application,
        count(*) AS count, sum(duration_ms) AS duration_ms, sum(s.statements) AS statements, sum(s.errors) AS errors
        FROM @sessions AS s GROUP BY 1, 2, 3, 4`,
      order: 'count DESC, "user", database, application, server',
      maxRows: 50,
      records: ({ server, user, database }) => ({
        server: onlyServer(server),
        user: only(user),
        database: only(database),
        event: ['connection_authorized', 'disconnection'],
      }),
    },
  ],
}
