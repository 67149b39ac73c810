import { createHash } from 'node:crypto'
import type { FileFacts } from '../../../sinks/query-session.ts'
import { viewFunctions } from '../../../tables/postgres/views/view-functions.ts'
import type { FoundTable, LogTable } from '../found-tables.ts'
import { eventSql, timeColumn } from '../record-filter.ts'

/** Data files of one table that are counted together. They never change, so their counts hold for ever. */
export interface CountUnit {
  /** Of the files, and of the way they are counted. */
  readonly key: string
  readonly table: LogTable
  /** Ids of FileFacts. */
  readonly files: readonly string[]
  readonly rows: number
  /** Bounds of the time of its records, both inclusive; infinite when they are not known. */
  readonly fromMs: number
  readonly toMs: number
  /** Records are counted by slots of this length. */
  readonly slotMs: number
  /** Until then, files that land are likely to join these: that makes a unit of another key. */
  readonly openToMs: number
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** Files of fewer rows are counted together with others that begin in the same hour: a statement costs as much as these rows. */
const minRows = 20_000

/** Records of an hour land until about so long after it began. */
const openMs = 2 * hourMs

/** Lengths of slots; each but the last divides the next one. */
const slotLengths = [minuteMs, 5 * minuteMs, 30 * minuteMs, hourMs, 6 * hourMs, 24 * hourMs]

/** So that the counts of a unit stay small. A file of one day has slots of a minute. */
const maxSlots = 1_500

/**
 * SQL of the counts of some rows by the fields that a histogram can show or filter: `slots` and `counts` are lists of one
 * length, one element per slot. At most `maxCounts` elements come in all.
 *
 * Only rows that an earlier release landed are read by their text to find their event, so the texts of all others are not
 * read.
 */
export function countsSql(relation: string, slotMs: number, maxCounts: number): string {
  const slot = `epoch_us(${timeColumn}) // ${slotMs * 1_000} AS slot`
  const fields = 'severity, server_name, source_role'
  const rowsOf = (event: string, condition: string): string =>
    `SELECT ${slot}, ${fields}, ${event} AS event, count(*) AS n FROM ${relation}
      WHERE ${timeColumn} IS NOT NULL AND ${condition} GROUP BY ALL`
  const all = `${rowsOf('event', 'record_kind IS NOT NULL')} UNION ALL ${rowsOf(eventSql(), 'record_kind IS NULL')}`
  return `SELECT severity, severity_level(severity) AS level, server_name AS server, source_role AS role, event,
      list(slot::DOUBLE) AS slots, list(n::DOUBLE) AS counts
    FROM (SELECT * FROM (${all}) LIMIT ${maxCounts}) GROUP BY severity, server_name, source_role, event`
}

/** Of the functions that the counts are made with: a release with other ones counts anew. */
const functionsKey = hashOf(
  viewFunctions
    .filter(({ name }) => countsSql('relation', minuteMs, 0).includes(`${name}(`))
    .map(({ body }) => body.duckdb),
)

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32)
}

const unitsByFiles = new WeakMap<readonly FileFacts[], readonly CountUnit[] | null>()

/**
 * Divides the files of a table into units.
 *
 * @returns undefined when a file has no statistics
 */
export function unitsOf(table: FoundTable): readonly CountUnit[] | undefined {
  const known = unitsByFiles.get(table.files)
  if (known !== undefined) return known ?? undefined
  const units = divided(table)
  unitsByFiles.set(table.files, units ?? null)
  return units
}

function divided({ files, ...table }: FoundTable): readonly CountUnit[] | undefined {
  const whole: (readonly CountedFile[])[] = []
  const withoutBounds: CountedFile[] = []
  const byHour = new Map<number, CountedFile[]>()
  for (const { id, rows, bounds } of files) {
    if (rows === undefined) return undefined
    // Without bounds: a file of rejected rows, which have no time, or one of a writer that knows none.
    const { fromMs, toMs } = bounds ?? { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY }
    const file = { id, rows, fromMs, toMs }
    const hour = Math.floor(fromMs / hourMs)
    const same = byHour.get(hour)
    if (rows >= minRows) whole.push([file])
    else if (bounds === undefined) withoutBounds.push(file)
    else if (same === undefined) byHour.set(hour, [file])
    else same.push(file)
  }
  return [
    ...[...whole, ...partsOf(withoutBounds)].map((some) => unitOf(table, some, Number.NEGATIVE_INFINITY)),
    ...Array.from(byHour, ([hour, some]) => unitOf(table, some, hour * hourMs + openMs)),
  ]
}

/** Divides files in their order, so that those that land later leave all parts but the last as they are. */
function partsOf(files: readonly CountedFile[]): CountedFile[][] {
  const parts: CountedFile[][] = []
  let rows = Number.POSITIVE_INFINITY
  for (const file of files) {
    if (rows >= minRows) {
      parts.push([])
      rows = 0
    }
    parts.at(-1)!.push(file)
    rows += file.rows
  }
  return parts
}

type CountedFile = Pick<FileFacts, 'id'> & Pick<CountUnit, 'rows' | 'fromMs' | 'toMs'>

function unitOf(table: LogTable, some: readonly CountedFile[], openToMs: number): CountUnit {
  const files = some.map(({ id }) => id).toSorted()
  const fromMs = some.reduce((first, one) => Math.min(first, one.fromMs), Number.POSITIVE_INFINITY)
  const toMs = some.reduce((last, one) => Math.max(last, one.toMs), Number.NEGATIVE_INFINITY)
  const isFine = (length: number): boolean => (toMs - fromMs) / length <= maxSlots
  const slotMs = Number.isFinite(fromMs) ? (slotLengths.find(isFine) ?? slotLengths.at(-1)!) : minuteMs
  return {
    key: hashOf([table.place, countsSql('relation', slotMs, 0), functionsKey, files]),
    table,
    files,
    rows: some.reduce((sum, { rows }) => sum + rows, 0),
    fromMs,
    toMs,
    slotMs,
    openToMs,
  }
}
