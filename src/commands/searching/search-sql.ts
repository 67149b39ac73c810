import type { SinkTarget } from '../../sinks/sink.ts'
import { severityWords } from '../../tables/postgres/levels.ts'
import { recordContainsSql, searchedColumns } from '../../tables/postgres/text-search.ts'
import { quoteText } from '../../tables/spark-sql.ts'
import { sqlString } from '../../tables/sql.ts'
import type { ViewDialect } from '../../tables/views.ts'

/** Conditions that a record has to meet, all of them. */
export interface SearchFilter {
  /** Part of the message, detail, hint, context or statement, in any case of letters. */
  readonly text?: string | undefined
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
  readonly severities?: readonly string[] | undefined
  readonly database?: string | undefined
  readonly user?: string | undefined
  /** A server's name, or `primary` or `replica`. */
  readonly server?: string | undefined
}

/** The columns that a search reads, in this order. */
export const searchColumns = [
  'event_time',
  'severity',
  'server_name',
  'source_role',
  'db_name',
  'user_name',
  'application_name',
  'pid',
  'session_id',
  'message',
  'detail',
  'hint',
  'statement',
  'raw',
  'source_blob',
  'source_generation',
  'source_offset',
  'source_index',
  'ingest_ts',
] as const

/** A table as a statement names it. */
export interface SearchedTable {
  readonly relation: string
  readonly dialect: ViewDialect
}

/** @returns whether a table has the columns of PostgreSQL logs */
export function isSearchable({ table }: SinkTarget): boolean {
  const names = new Set(table.columns.map(({ name }) => name))
  return [...searchColumns, ...searchedColumns].every((column) => names.has(column))
}

/** SQL of the newest records that match. */
export function matchesSql(table: SearchedTable, filter: SearchFilter, limit: number): string {
  const conditions = conditionsOf(table.dialect, filter)
  return `SELECT ${searchColumns.join(', ')} FROM ${table.relation}${where(conditions)} ORDER BY event_time DESC, source_offset DESC LIMIT ${limit}`
}

/**
 * SQL of the records that match and were ingested since an instant, in the order of their time; of more than the limit, the
 * latest ingested.
 */
export function newMatchesSql(
  table: SearchedTable,
  filter: SearchFilter,
  ingestedSinceMs: number,
  limit: number,
): string {
  const conditions = [
    `ingest_ts >= ${instantSql(table.dialect, ingestedSinceMs)}`,
    ...conditionsOf(table.dialect, filter),
  ]
  const latest = `SELECT ${searchColumns.join(', ')} FROM ${table.relation}${where(conditions)} ORDER BY ingest_ts DESC, event_time DESC, source_offset DESC LIMIT ${limit}`
  return `SELECT * FROM (${latest}) AS latest ORDER BY event_time, source_offset`
}

/** SQL of one row: the latest instant of ingestion, and the number of rows that were ingested since an instant. */
export function landedSinceSql(
  { relation, dialect }: SearchedTable,
  ingestedSinceMs: number | undefined,
): string {
  const conditions =
    ingestedSinceMs === undefined ? [] : [`ingest_ts >= ${instantSql(dialect, ingestedSinceMs)}`]
  return `SELECT max(ingest_ts) AS newest, count(*) AS landed FROM ${relation}${where(conditions)}`
}

/** SQL of all records of some sessions in a range of time, session by session in the order of their time. */
export function sessionsSql(
  { relation, dialect }: SearchedTable,
  sessions: readonly string[],
  fromMs: number,
  toMs: number,
): string {
  const conditions = [
    `event_time >= ${instantSql(dialect, fromMs)}`,
    `event_time <= ${instantSql(dialect, toMs)}`,
    `session_id IN (${sessions.map((session) => textSql(dialect, session)).join(', ')})`,
  ]
  return `SELECT ${searchColumns.join(', ')} FROM ${relation}${where(conditions)} ORDER BY session_id, event_time, line_num, source_offset, source_index`
}

function conditionsOf(dialect: ViewDialect, filter: SearchFilter): string[] {
  const { text, sinceMs, untilMs, severities = [], database, user, server } = filter
  const conditions: string[] = []
  const add = (column: string, value: string | undefined): void => {
    if (value !== undefined) conditions.push(`${column} = ${textSql(dialect, value)}`)
  }
  if (sinceMs !== undefined) conditions.push(`event_time >= ${instantSql(dialect, sinceMs)}`)
  if (untilMs !== undefined) conditions.push(`event_time < ${instantSql(dialect, untilMs)}`)
  if (severities.length > 0) {
    const words = severities.flatMap(severityWords)
    conditions.push(`severity IN (${words.map((one) => textSql(dialect, one)).join(', ')})`)
  }
  add('db_name', database)
  add('user_name', user)
  if (server !== undefined) {
    const value = textSql(dialect, server)
    conditions.push(`(server_name = ${value} OR source_role = ${value})`)
  }
  if (text !== undefined) conditions.push(recordContainsSql(text, (one) => textSql(dialect, one)))
  return conditions
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
}

function textSql(dialect: ViewDialect, text: string): string {
  return dialect === 'spark' ? quoteText(text) : sqlString(text)
}

function instantSql(dialect: ViewDialect, instantMs: number): string {
  const text = new Date(instantMs).toISOString()
  return dialect === 'spark' ? `TIMESTAMP '${text}'` : `TIMESTAMPTZ '${text}'`
}
