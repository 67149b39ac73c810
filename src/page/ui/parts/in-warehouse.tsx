import type { JSX } from 'preact'
import type { About, TableCatalog } from '../../api.ts'
import { hrefOf } from '../state/address.ts'
import { useRequest } from '../state/request.ts'
import { Empty } from './basics.tsx'

interface WarehouseStatement {
  readonly title: string
  readonly sql: (relation: string) => string
  readonly isChart?: boolean
}

/** They read today and yesterday. A limit keeps the order: the page sends a statement inside parentheses. */
const statements: readonly WarehouseStatement[] = [
  {
    title: 'Records and errors by hour',
    isChart: true,
    sql: (relation) => `SELECT date_trunc('HOUR', event_time) AS hour, count(*) AS records,
  count(CASE WHEN coalesce(severity_level, severity) IN ('ERROR', 'FATAL', 'PANIC') THEN 1 END) AS errors
FROM ${relation}
WHERE event_date >= current_date() - INTERVAL 1 DAY
GROUP BY 1
ORDER BY 1
LIMIT 1000`,
  },
  {
    title: 'Newest errors',
    sql: (relation) => `SELECT event_time, severity, sqlstate, db_name, user_name, message, statement
FROM ${relation}
WHERE event_date >= current_date() - INTERVAL 1 DAY AND coalesce(severity_level, severity) IN ('ERROR', 'FATAL', 'PANIC')
ORDER BY event_time DESC
LIMIT 200`,
  },
  {
    title: 'Errors by SQLSTATE',
    sql: (
      relation,
    ) => `SELECT sqlstate, count(*) AS occurrences, max(event_time) AS last_at, max(message) AS a_message
FROM ${relation}
WHERE event_date >= current_date() - INTERVAL 1 DAY AND coalesce(severity_level, severity) IN ('ERROR', 'FATAL', 'PANIC')
GROUP BY sqlstate
ORDER BY occurrences DESC
LIMIT 200`,
  },
  {
    title: 'Slowest statements',
    sql: (relation) => `SELECT event_time, duration_ms, db_name, user_name, message
FROM ${relation}
WHERE event_date >= current_date() - INTERVAL 1 DAY AND duration_ms IS NOT NULL
ORDER BY duration_ms DESC
LIMIT 200`,
  },
]

/** Says why a room shows nothing of tables that a warehouse has, and leads to statements that the reader may run. */
export function InWarehouse(props: {
  readonly room: string
  readonly title: string
  readonly about: About
}): JSX.Element {
  const { room, title, about } = props
  const { data } = useRequest<TableCatalog>(about.ask.isAvailable ? 'tables' : undefined)
  const logs = (data?.relations ?? []).filter(({ columns }) =>
    ['event_date', 'event_time', 'severity', 'severity_level', 'duration_ms'].every((name) =>
      columns.some((column) => column.name === name),
    ),
  )
  return (
    <Empty title={title} room={room}>
      <p>{about.unavailable}</p>
      {logs.map(({ name }) => (
        <section key={name} class="warehouse-statements" aria-label={`Statements over ${name}`}>
          <h2 class="mono">{name}</h2>
          <p>As statements in Ask, which run when you press Run:</p>
          <div class="first-examples">
            {statements.map(({ title: text, sql, isChart }) => (
              <a
                class="button small"
                key={text}
                href={hrefOf(
                  'ask',
                  new URLSearchParams({ sql: sql(name), ...(isChart === true ? { view: 'chart' } : {}) }),
                )}
              >
                {text}
              </a>
            ))}
          </div>
        </section>
      ))}
    </Empty>
  )
}
