import { severityWords } from '../../tables/postgres/levels.ts'
import { recordContainsSql } from '../../tables/postgres/text-search.ts'
import { sqlString } from '../../tables/sql.ts'
import type { RecordFilter } from '../api.ts'
import type { CountedFields } from './counts/unit-counts.ts'

/** The column of the instant of a record. */
export const timeColumn = 'event_time'

/** A field of which the values can be selected. */
export type FilterField = 'severity' | 'server' | 'database' | 'user' | 'event'

/** SQL of the value of a field of a row. */
export const fieldSql: Readonly<Record<FilterField, () => string>> = {
  severity: () => 'severity',
  server: () => 'coalesce(server_name, source_role)',
  database: () => 'db_name',
  user: () => 'user_name',
  event: () => eventSql(),
}

/** SQL of the conditions of a filter on the rows of one table; it has always one. */
export function conditionSql(filter: RecordFilter): string {
  const { fromMs, toMs, server = [], severity = [], event = [], database = [], user = [] } = filter
  const { sqlstate = [], session = [], q } = filter
  const conditions = ['true']
  if (fromMs !== undefined) conditions.push(`${timeColumn} >= ${instantSql(fromMs)}`)
  if (toMs !== undefined) conditions.push(`${timeColumn} < ${instantSql(toMs)}`)
  const among = (sql: string, values: readonly string[]): void => {
    if (values.length > 0) conditions.push(amongSql(sql, values))
  }
  among('severity', severity.flatMap(severityWords))
  if (server.length > 0) conditions.push(serverCondition(server))
  among('db_name', database)
  among('user_name', user)
  among('sqlstate', sqlstate)
  among('session_id', session)
  among(eventSql(), event)
  if (q !== undefined && q !== '') conditions.push(recordContainsSql(q, sqlString))
  return conditions.join(' AND ')
}

/** @returns whether a record with these fields meets the conditions of a filter on severity, server and event */
export function fieldsCondition(filter: RecordFilter): (fields: CountedFields) => boolean {
  const { server = [], severity = [], event = [] } = filter
  const words = severity.flatMap(severityWords)
  const isAmong = (value: string | null, values: readonly string[]): boolean =>
    values.length === 0 || values.includes(value ?? '')
  return (fields) =>
    isAmong(fields.severity, words) &&
    (isAmong(fields.server ?? fields.role, server) || isAmong(fields.role ?? fields.server, server)) &&
    isAmong(fields.event, event)
}

/** A server is selected by its name or by its role; a record of no server has neither. */
function serverCondition(servers: readonly string[]): string {
  const named = servers.filter((server) => server !== '')
  const parts = named.length > 0 ? [amongSql('server_name', named), amongSql('source_role', named)] : []
  if (named.length < servers.length) parts.push('server_name IS NULL AND source_role IS NULL')
  return `(${parts.join(' OR ')})`
}

/** An empty value stands for NULL. */
function amongSql(sql: string, values: readonly string[]): string {
  const some = values.filter((value) => value !== '')
  const parts = [
    ...(some.length > 0 ? [`${sql} IN (${some.map(sqlString).join(', ')})`] : []),
    ...(some.length < values.length ? [`${sql} IS NULL`] : []),
  ]
  return parts.length === 1 ? parts[0]! : `(${parts.join(' OR ')})`
}

/** @returns an instant as SQL; fractions of a millisecond are kept */
export function instantSql(instantMs: number): string {
  const whole = Math.floor(instantMs)
  const micros = String(Math.round((instantMs - whole) * 1_000)).padStart(3, '0')
  return `TIMESTAMPTZ '${new Date(whole).toISOString().replace('Z', `${micros}Z`)}'`
}

/**
 * SQL of the event that a row of a table reports, as the view `log_events` has it. That view has no place of a record.
 * Rows that were landed before the tables had a column for it are read by their text.
 */
export function eventSql(): string {
  const level = 'severity_level(severity)'
  return `(CASE WHEN record_kind IS NOT NULL THEN event
    WHEN audit_class IS NOT NULL OR message LIKE 'AUDIT: %' THEN 'audit'
    WHEN ${level} IS NOT NULL THEN coalesce(sqlstate_event(sqlstate), message_event(message),
      CASE WHEN ${level} IN ('ERROR', 'FATAL', 'PANIC') THEN 'error' END) END)`
}
