import type { RecordRow, RowPlace } from '../api.ts'
import { eventSql } from './record-filter.ts'

/** Characters of a text in a list. */
const maxCharacters = 2_000

/** The columns that a list of records needs. */
const columns = [
  'event_time',
  'severity',
  'server_name',
  'source_role',
  'db_name',
  'user_name',
  'application_name',
  'pid',
  'session_id',
  'line_num',
  'sqlstate',
  'duration_ms',
  'audit_class',
  'record_kind',
  'event',
  'message',
  'detail',
  'statement',
  'raw',
  'parse_status',
  'source_blob',
  'source_generation',
  'source_offset',
  'source_index',
] as const

/** SQL of the columns from which `eventedSql` makes rows of a list. */
export const listColumns = columns.join(', ')

/** SQL that adds what a list shows to rows with `listColumns` and `source_table`; few rows, so that nothing is computed in vain. */
export function eventedSql(rows: string, order: string): string {
  return `SELECT * REPLACE (
      substr(message, 1, ${maxCharacters}) AS message, substr(detail, 1, ${maxCharacters}) AS detail,
      substr(statement, 1, ${maxCharacters}) AS statement, substr(raw, 1, ${maxCharacters}) AS raw,
      ${eventSql()} AS event),
    epoch_us(event_time) AS event_us FROM (${rows}) ORDER BY ${order}`
}

/** @returns the record of a row of `eventedSql` */
export function recordRow(row: Readonly<Record<string, unknown>>): RecordRow {
  const text = (name: string): string | null => (row[name] === null ? null : String(row[name]))
  const us = row.event_us === null ? undefined : BigInt(String(row.event_us))
  return {
    ...placeOfRow(row),
    atMs: us === undefined ? null : Number(us / 1_000n),
    time: us === undefined ? null : isoMicroseconds(us),
    severity: text('severity'),
    server: text('server_name'),
    role: text('source_role'),
    database: text('db_name'),
    user: text('user_name'),
    application: text('application_name'),
    pid: row.pid === null ? null : Number(row.pid),
    session: text('session_id'),
    sqlstate: text('sqlstate'),
    event: text('event'),
    durationMs: row.duration_ms === null ? null : Number(row.duration_ms),
    message: text('message') ?? text('raw'),
    detail: text('detail'),
    statement: text('statement'),
    status: String(row.parse_status),
  }
}

/** @returns the place of a row with the columns of provenance and `source_table` */
export function placeOfRow(row: Readonly<Record<string, unknown>>): RowPlace {
  return {
    table: String(row.source_table),
    blob: String(row.source_blob),
    generation: String(row.source_generation),
    offset: Number(row.source_offset),
    index: Number(row.source_index),
  }
}

/** @param us microseconds since the epoch */
export function isoMicroseconds(us: bigint): string {
  const ms = us >= 0n ? us / 1_000n : (us - 999n) / 1_000n
  const micros = String(us - ms * 1_000n).padStart(3, '0')
  return new Date(Number(ms)).toISOString().replace('Z', `${micros}Z`)
}
