import { cutText } from '../../reporting/cell-text.ts'
import { escapeText } from '../../reporting/escape-text.ts'
import { searchColumns } from './search-sql.ts'

type SearchColumn = (typeof searchColumns)[number]

/** A record that a search found, or one beside it. */
export type FoundRecord = Readonly<Record<SearchColumn, string | number | null>>

/** @param row values in the order of `searchColumns` */
export function foundRecord(row: readonly unknown[]): FoundRecord {
  return Object.fromEntries(searchColumns.map((column, index) => [column, row[index] ?? null])) as FoundRecord
}

/** Identifies a record among all of a table. */
export function recordKey(record: FoundRecord): string {
  const { source_blob, source_generation, source_offset, source_index } = record
  return [source_blob, source_generation, source_offset, source_index].join('\n')
}

/** @returns an instant of a row in milliseconds since the epoch; NaN for NULL */
export function millisecondsOf(value: string | number | null): number {
  // The engine writes `2026-11-24 10:00:00.5+00`, a warehouse ISO 8601.
  const text = String(value ?? '')
    .replace(' ', 'T')
    .replace(/([+-]\d\d)$/, '$1:00')
  return Date.parse(text)
}

/** How records are printed. */
export interface LineStyle {
  /** The searched text, which is marked where there are colors. */
  readonly text?: string | undefined
  readonly hasColors: boolean
  /** Columns of the terminal after which a line is cut; undefined: never. */
  readonly maxWidth?: number | undefined
}

const reset = '\u001b[0m'
const bold = '\u001b[1m'
const dim = '\u001b[2m'
const red = '\u001b[31m'
const yellow = '\u001b[33m'
const severityColors: Readonly<Record<string, string>> = {
  WARNING: yellow,
  ERROR: red,
  FATAL: red,
  PANIC: red,
}

/**
 * @param isMatch false for a record that is only beside a match
 * @returns the lines of a record: its message, and indented its detail, hint and statement
 */
export function recordLines(record: FoundRecord, isMatch: boolean, style: LineStyle): string {
  const { severity, server_name, source_role, db_name, user_name, pid, message, raw } = record
  const atMs = millisecondsOf(record.event_time)
  const time = Number.isNaN(atMs) ? '(no time)' : new Date(atMs).toISOString().replace('T', ' ')
  const session = [db_name, user_name].filter((one) => one !== null).join('/')
  const head = [time, server_name ?? source_role, session, pid === null ? null : `[${pid}]`]
    .filter((one) => one !== null && one !== '')
    .map((one) => escapeText(String(one)))
    .join(' ')
  const level = escapeText(String(severity ?? 'REJECTED')).padEnd(7)
  const color = severityColors[level.trim()] ?? ''
  const more = (['detail', 'hint', 'statement'] as const).flatMap((name) =>
    // PostgreSQL repeats a timed statement, which the message has already.
    record[name] === null || String(message ?? '').includes(String(record[name]))
      ? []
      : [`    ${name.toUpperCase()}: ${record[name]}`],
  )
  const shown = [String(message ?? raw ?? ''), ...more].map((line) =>
    marked(oneLine(line, style.maxWidth), style),
  )
  const [first = '', ...rest] = shown
  const sign = isMatch ? ' ' : '-'
  const begin = style.hasColors
    ? `${dim}${head}${reset} ${color}${level}${color === '' ? '' : reset}`
    : `${head} ${level}`
  return [`${sign}${begin} ${first}`, ...rest].map((line) => `${line}\n`).join('')
}

function oneLine(text: string, maxWidth: number | undefined): string {
  return cutText(escapeText(text).replaceAll('\n', '↵').replaceAll('\t', '⇥'), maxWidth)
}

/** Marks the searched text. It is compared as the engine does, in any case of letters. */
function marked(line: string, { text, hasColors }: LineStyle): string {
  if (!hasColors || text === undefined || text === '') return line
  const pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi')
  return line.replace(pattern, (found) => `${bold}${found}${reset}`)
}
