import { logViews } from '../../../tables/postgres/views/log-views.ts'
import {
  nearSession,
  only,
  onlyServer,
  type SectionDefinition,
  serverColumn,
  serverSql,
} from '../section-definition.ts'

/** Words of SQL that many statements have. */
const keywords = new Set(
  'select,insert,update,delete,values,where,from,into,order,group,limit,returning,begin,commit,rollback,create,table,index,join,left,inner,outer,having,count,prepare,execute'.split(
    ',',
  ),
)

/** @returns a word that the records of a normalized statement have: its longest name */
export function nameIn(statement: string): string | undefined {
  const names = statement.match(/[a-z_][a-z0-9_]{3,}/g) ?? []
  return names.filter((name) => !keywords.has(name)).toSorted((a, b) => b.length - a.length)[0]
}

export const overviewSection: SectionDefinition = {
  id: 'overview',
  title: 'Overview',
  notes: [
    'Every line of the log counts once, a line that only says that a lock is still waited for as LOG.',
    'Rejected lines have no time and are not counted here.',
  ],
  figures: [
    {
      from: '@log_events',
      figures: [
        { id: 'lines', label: 'Records', unit: 'count', value: 'count(*)' },
        { id: 'first_at', label: 'First record', unit: 'instant', value: 'epoch_ms(min(event_time))' },
        { id: 'last_at', label: 'Last record', unit: 'instant', value: 'epoch_ms(max(event_time))' },
        ...(['PANIC', 'FATAL', 'ERROR', 'WARNING', 'LOG'] as const).map((level) => ({
          id: `severity.${level}`,
          label: level,
          unit: 'count' as const,
          value: `count(*) FILTER (WHERE severity_level = '${level}')`,
        })),
      ],
    },
  ],
  charts: [
    {
      id: 'records',
      title: 'Records by severity',
      unit: 'count',
      kind: 'bars',
      from: '@log_events',
      at: 'event_time',
      value: 'count(*)',
      series: "coalesce(severity_level, 'other')",
    },
  ],
  tables: [
    {
      id: 'events',
      title: 'Events',
      columns: [
        serverColumn,
        { id: 'event', label: 'Event', unit: 'text' },
        { id: 'count', label: 'Records', unit: 'count' },
        { id: 'first_at', label: 'First', unit: 'instant' },
        { id: 'last_at', label: 'Last', unit: 'instant' },
      ],
      // In the words that Explore has for it.
      sql: `SELECT ${serverSql} AS server, replace(event, '_', ' ') AS event, event AS kind, count(*) AS count,
        epoch_ms(min(event_time)) AS first_at, epoch_ms(max(event_time)) AS last_at
        FROM @log_events WHERE event IS NOT NULL GROUP BY ALL`,
      order: 'count DESC, server, event',
      maxRows: 60,
      records: ({ server, kind }) => ({ server: onlyServer(server), event: only(kind) }),
    },
  ],
}

const statementColumns = [
  serverColumn,
  { id: 'database', label: 'Database', unit: 'text' },
  { id: 'statement', label: 'Statement', unit: 'sql' },
  { id: 'calls', label: 'Calls', unit: 'count' },
  { id: 'total_ms', label: 'Total', unit: 'ms' },
  { id: 'mean_ms', label: 'Mean', unit: 'ms' },
  { id: 'p95_ms', label: 'p95', unit: 'ms' },
  { id: 'p99_ms', label: 'p99', unit: 'ms' },
  { id: 'max_ms', label: 'Max', unit: 'ms' },
  { id: 'errors', label: 'Errors', unit: 'count' },
] as const

/** The view `statements` over `@timings`, so that each text is normalized once for charts, figures and tables. */
function statementsSelect(): string {
  const view = logViews.views().find(({ name }) => name === 'statements')!
  return view.sql.replaceAll('FROM statement_timings', 'FROM @timings')
}

/** Of the text itself, only whether there is one: a day can have gigabytes of it. */
const timings = `SELECT source_role, server_name, db_name, event_time, phase, is_execution, duration_ms, statement_type,
  CASE WHEN statement IS NOT NULL THEN '' END AS statement, statement_normalized FROM statement_timings`

const statementsSql = (order: string): string =>
  `SELECT ${serverSql} AS server, db_name AS database, statement_normalized AS statement, calls, total_ms, mean_ms,
    p95_ms, p99_ms, max_ms, errors FROM @statements WHERE ${order} > 0`

const statementTable = (id: string, title: string, order: string) => ({
  id,
  title,
  columns: statementColumns,
  sql: statementsSql(order),
  order: `${order} DESC, statement, server, database`,
  maxRows: 20,
  records: ({ server, database, statement }: Readonly<Record<string, unknown>>) => ({
    server: onlyServer(server),
    database: only(database),
    q: nameIn(String(statement)),
  }),
})

export const statementsSection: SectionDefinition = {
  id: 'statements',
  title: 'Statements',
  relations: {
    timings,
    get statements() {
      return statementsSelect()
    },
  },
  notes: [
    'Needs log_min_duration_statement, or log_duration with log_statement. Below a threshold, and with sampling, the figures are lower bounds.',
    'Plans of auto_explain are not executions, and the time of parse and bind is in no total, so pgBadger counts more where a log has plans.',
  ],
  figures: [
    {
      from: '@timings',
      figures: [
        { id: 'calls', label: 'Calls', unit: 'count', value: 'count(*) FILTER (WHERE is_execution)' },
        {
          id: 'total_ms',
          label: 'Total time',
          unit: 'ms',
          value: 'sum(duration_ms) FILTER (WHERE is_execution)',
        },
        {
          id: 'mean_ms',
          label: 'Mean',
          unit: 'ms',
          value: 'avg(duration_ms) FILTER (WHERE is_execution)',
        },
        {
          id: 'p95_ms',
          label: 'p95',
          unit: 'ms',
          value: 'quantile_cont(CASE WHEN is_execution THEN duration_ms END, 0.95)',
        },
        {
          id: 'p99_ms',
          label: 'p99',
          unit: 'ms',
          value: 'quantile_cont(CASE WHEN is_execution THEN duration_ms END, 0.99)',
        },
        { id: 'max_ms', label: 'Max', unit: 'ms', value: 'max(duration_ms) FILTER (WHERE is_execution)' },
      ],
    },
    {
      from: '@statements',
      figures: [
        {
          id: 'distinct',
          label: 'Different statements',
          unit: 'count',
          value: 'count(DISTINCT statement_normalized) FILTER (WHERE calls > 0)',
        },
      ],
    },
  ],
  charts: [
    {
      id: 'calls',
      title: 'Calls by type',
      unit: 'count',
      kind: 'bars',
      from: '@timings',
      at: 'event_time',
      value: 'count(*) FILTER (WHERE is_execution)',
      series: "coalesce(statement_type, 'others')",
    },
    {
      id: 'p99',
      title: 'p99 of the duration',
      unit: 'ms',
      kind: 'lines',
      from: '@timings',
      at: 'event_time',
      value: 'quantile_cont(CASE WHEN is_execution THEN duration_ms END, 0.99)',
      series: "'p99'",
    },
  ],
  tables: [
    statementTable('by_total', 'By total time', 'total_ms'),
    statementTable('by_p99', 'By p99', 'p99_ms'),
    statementTable('by_calls', 'By calls', 'calls'),
    statementTable('by_errors', 'By errors', 'errors'),
  ],
}

/** More than are shown, so that those of equal length are in a defined order. */
const slowestCandidates = 1_000

export const slowSection: SectionDefinition = {
  id: 'slow',
  title: 'Slow statements',
  relations: {
    timings: 'SELECT source_role, server_name, event_time, is_execution, duration_ms FROM statement_timings',
    slow_statements: `SELECT source_role, server_name, event_time, duration_ms, db_name, user_name, application_name,
      session_id, statement, parameters, plan FROM slow_statements ORDER BY duration_ms DESC LIMIT ${slowestCandidates}`,
  },
  notes: ['Plans are those that auto_explain wrote directly before the line of the statement.'],
  figures: [],
  charts: [
    {
      id: 'slowest',
      title: 'Slowest execution',
      unit: 'ms',
      kind: 'lines',
      from: '(FROM @timings WHERE is_execution) AS executed',
      at: 'event_time',
      value: 'max(duration_ms)',
      series: "'slowest'",
    },
  ],
  tables: [
    {
      id: 'slowest',
      title: 'Slowest executions',
      columns: [
        serverColumn,
        { id: 'at_ms', label: 'Ended', unit: 'instant' },
        { id: 'duration_ms', label: 'Duration', unit: 'ms' },
        { id: 'database', label: 'Database', unit: 'text' },
        { id: 'user', label: 'User', unit: 'text' },
        { id: 'application', label: 'Application', unit: 'text' },
        { id: 'statement', label: 'Statement', unit: 'sql' },
        { id: 'parameters', label: 'Parameters', unit: 'text' },
        { id: 'plan', label: 'Plan', unit: 'text' },
      ],
      sql: `SELECT ${serverSql} AS server, epoch_ms(event_time) AS at_ms, duration_ms, db_name AS database, user_name AS "user",
        application_name AS application, substr(statement, 1, 4000) AS statement, substr(parameters, 1, 1000) AS parameters,
        substr(plan, 1, 8000) AS plan, session_id AS session
        FROM @slow_statements`,
      order: 'duration_ms DESC, at_ms, session, statement',
      maxRows: 20,
      records: nearSession,
    },
  ],
}

export const errorsSection: SectionDefinition = {
  id: 'errors',
  title: 'Errors',
  notes: [
    'Lines of severity WARNING and higher. Quoted names and numbers of a message are folded together.',
    'The SQLSTATE needs jsonlog, csvlog or %e in log_line_prefix. pgBadger 12 shows the class of some errors only.',
  ],
  figures: [
    {
      from: '@errors',
      figures: [
        { id: 'errors', label: 'Warnings and errors', unit: 'count', value: 'count(*)' },
        {
          id: 'distinct_messages',
          label: 'Different messages',
          unit: 'count',
          value: 'count(DISTINCT message_normalized)',
        },
        { id: 'sqlstates', label: 'Different SQLSTATEs', unit: 'count', value: 'count(DISTINCT sqlstate)' },
      ],
    },
    {
      from: '@cancellations',
      figures: [{ id: 'canceled', label: 'Canceled or ended', unit: 'count', value: 'count(*)' }],
    },
    {
      from: '@lost_clients',
      figures: [{ id: 'lost_clients', label: 'Lost clients', unit: 'count', value: 'count(*)' }],
    },
  ],
  charts: [
    {
      id: 'errors',
      title: 'Warnings and errors by severity',
      unit: 'count',
      kind: 'bars',
      from: '@errors',
      at: 'event_time',
      value: 'count(*)',
      series: 'severity',
    },
  ],
  tables: [
    {
      id: 'by_sqlstate',
      title: 'By SQLSTATE',
      columns: [
        serverColumn,
        { id: 'sqlstate', label: 'SQLSTATE', unit: 'text' },
        { id: 'severity', label: 'Severity', unit: 'text' },
        { id: 'count', label: 'Records', unit: 'count' },
        { id: 'last_at', label: 'Last', unit: 'instant' },
        { id: 'message', label: 'An example', unit: 'text' },
      ],
      sql: `SELECT ${serverSql} AS server, sqlstate, severity, count(*) AS count, epoch_ms(max(event_time)) AS last_at,
        substr(min(message), 1, 500) AS message FROM @errors GROUP BY ALL`,
      order: 'count DESC, sqlstate, severity, server',
      maxRows: 100,
      records: ({ server, sqlstate, severity }) => ({
        server: onlyServer(server),
        severity: only(severity),
        sqlstate: only(sqlstate),
      }),
    },
    {
      id: 'by_message',
      title: 'By message',
      columns: [
        serverColumn,
        { id: 'severity', label: 'Severity', unit: 'text' },
        { id: 'message', label: 'Message', unit: 'text' },
        { id: 'count', label: 'Records', unit: 'count' },
        { id: 'first_at', label: 'First', unit: 'instant' },
        { id: 'last_at', label: 'Last', unit: 'instant' },
      ],
      sql: `SELECT ${serverSql} AS server, severity, message_normalized AS message, count(*) AS count,
        epoch_ms(min(event_time)) AS first_at, epoch_ms(max(event_time)) AS last_at, any_value(sqlstate) AS sqlstate
        FROM @errors GROUP BY 1, 2, 3`,
      order: 'count DESC, message, server',
      maxRows: 50,
      records: ({ server, severity, sqlstate }) => ({
        server: onlyServer(server),
        severity: only(severity),
        sqlstate: only(sqlstate),
      }),
    },
    {
      id: 'canceled',
      title: 'Canceled statements and ended sessions',
      columns: [
        serverColumn,
        { id: 'cause', label: 'Cause', unit: 'text' },
        { id: 'kind', label: 'What was ended', unit: 'text' },
        { id: 'count', label: 'Records', unit: 'count' },
        { id: 'last_at', label: 'Last', unit: 'instant' },
      ],
      sql: `SELECT ${serverSql} AS server, cause, kind, count(*) AS count, epoch_ms(max(event_time)) AS last_at
        FROM @cancellations GROUP BY ALL`,
      order: 'count DESC, cause, kind, server',
      maxRows: 50,
      records: ({ server }) => ({ server: onlyServer(server), event: ['canceled'] }),
    },
  ],
}
