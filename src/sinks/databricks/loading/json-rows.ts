import type { Column } from '../../../tables/table.ts'
import { type EmbeddedEngine, parquetSql, sqlIdentifier } from '../../encoding/engine.ts'
import type { EncodedBatch } from '../../table-committer.ts'

/** Where a row is in its blob: records of one line, document or gzip member have the same offset. */
export interface BlobPlace {
  readonly offset: number
  readonly index: number
}

/** Rows for one request, as the texts of JSON objects. */
export interface RowChunk {
  /** The place of the first row. */
  readonly first: BlobPlace
  readonly rows: readonly string[]
}

/** `by-place` sorts the rows, which have to be of one blob generation. */
export type RowOrder = 'any' | 'by-place'

/** How timestamps and dates are formatted: as text, or as microseconds and days since 1970. */
export type TimeFormat = 'text' | 'numbers'

export interface ReadRowChunksOptions {
  /** Reads the encoded files. */
  readonly engine: EmbeddedEngine
  readonly files: EncodedBatch['files']
  readonly columns: readonly Column[]
  readonly order: RowOrder
  readonly times: TimeFormat
  /** Bytes of JSON in one chunk; a larger row is a chunk of its own. */
  readonly maxBytes: number
}

/**
 * The largest row, in bytes of its texts and of its JSON. Zerobus takes no larger record
 * (https://docs.databricks.com/ingestion/zerobus-limits, read 2026-11-29), and each copy of a larger one on its way into a
 * statement would exceed the memory that a process may need.
 */
export const maxRowBytes = 10 * 1024 * 1024

/** Characters that a text of a row that is too large keeps. */
const keptCharacters = 64 * 1024

/** Bytes of texts that are read at a time: a gzip member of hundreds of MiB lands in one batch, whatever its rows. */
const maxPartBytes = 16 * 1024 * 1024

/**
 * Reads a batch's rows and passes them on in chunks, one after the other. One chunk is in memory at a time, and a part of
 * the rows in the engine's. A row of more than `maxRowBytes` becomes a rejected one with the beginnings of its texts.
 */
export async function readRowChunks(
  { engine, files, columns, order, times, maxBytes }: ReadRowChunksOptions,
  send: (chunk: RowChunk) => Promise<void>,
): Promise<void> {
  if (files.length === 0) return
  let open: { readonly first: BlobPlace; readonly rows: string[] } | undefined
  let bytes = 0
  const seal = async (): Promise<void> => {
    const sealed = open
    open = undefined
    bytes = 0
    if (sealed !== undefined) await send(sealed)
  }
  const selected = columns.map((column) => selectedValue(column, times)).join(', ')
  const texts = columns.filter(({ type }) => type === 'string').map(({ name }) => sqlIdentifier(name))
  const textBytes = texts.map((text) => `coalesce(strlen(${text}), 0)`).join(' + ')
  // Texts are cut before they reach the memory of this process.
  const cut = texts.map(
    (text) =>
      `CASE WHEN ${textBytes} > ${maxRowBytes} THEN left(${text}, ${keptCharacters}) ELSE ${text} END AS ${text}`,
  )
  const from = parquetSql(files.map(({ path }) => path))
  const sorted = order === 'any' ? '' : ' ORDER BY f.source_offset, f.source_index'
  for (const within of await partsOf(engine, `SELECT ${places}, ${textBytes} FROM ${from}`)) {
    const source = `(SELECT * REPLACE (${cut.join(', ')}), ${textBytes} AS row_text_bytes FROM ${from}${within})`
    // The columns of the file, not their texts of the same names.
    const sql = `SELECT f.source_offset, f.source_index, row_text_bytes, ${selected} FROM ${source} AS f${sorted}`
    await inTransaction(engine, sql, async ([offset, index, bytesOfTexts, ...values]) => {
      const row = rowText(columns, values, { times, textBytes: Number(bytesOfTexts) })
      const size = Buffer.byteLength(row) + 1
      if (bytes + size > maxBytes) await seal()
      open ??= { first: { offset: Number(offset), index: Number(index) }, rows: [] }
      open.rows.push(row)
      bytes += size
    })
  }
  await seal()
}

const places = 'source_offset, source_index'

/**
 * Divides rows by their places, of whichever blobs, so that each part fits into the engine's memory.
 *
 * @param sql places and bytes of all rows
 * @returns a WHERE clause for each part; rows of the same place are in one part
 */
async function partsOf(engine: EmbeddedEngine, sql: string): Promise<readonly string[]> {
  const bounds: BlobPlace[] = []
  let bytes = 0
  await inTransaction(engine, `${sql} ORDER BY ${places}`, async ([offset, index, bytesOfTexts]) => {
    const size = Math.min(Number(bytesOfTexts), maxRowBytes)
    if (bytes + size > maxPartBytes) {
      bounds.push({ offset: Number(offset), index: Number(index) })
      bytes = 0
    }
    bytes += size
  })
  const starts = [undefined, ...bounds]
  return starts.map((start, part) => withinSql(start, bounds[part]))
}

/** @param from the first place, undefined for no bound @param to the place behind the last one */
function withinSql(from: BlobPlace | undefined, to: BlobPlace | undefined): string {
  // Statistics of a column are compared with a constant, so that the rows of a large document are not read for each part.
  const bounds = [
    ...(from === undefined
      ? []
      : [
          `source_offset >= ${from.offset}`,
          from.offset === to?.offset
            ? `source_index >= ${from.index}`
            : `(source_offset > ${from.offset} OR source_index >= ${from.index})`,
        ]),
    ...(to === undefined
      ? []
      : [
          `source_offset <= ${to.offset}`,
          from?.offset === to.offset
            ? `source_index < ${to.index}`
            : `(source_offset < ${to.offset} OR source_index < ${to.index})`,
        ]),
  ]
  return bounds.length === 0 ? '' : ` WHERE ${bounds.join(' AND ')}`
}

/** Only a broken transaction shows that a statement has failed after its first rows. */
async function inTransaction(
  engine: EmbeddedEngine,
  sql: string,
  take: (row: readonly unknown[]) => Promise<void>,
): Promise<void> {
  await engine.rolledBack(() =>
    engine.stream(sql, async ({ rows }) => {
      for (const row of rows) await take(row)
      return true
    }),
  )
}

/** Formats values that JSON has no type for: timestamps with microseconds, integers to their last digit. */
function selectedValue({ name, type }: Column, times: TimeFormat): string {
  const column = sqlIdentifier(name)
  if (type === 'long' || (type === 'date' && times === 'text')) return `${column}::VARCHAR AS ${column}`
  if (type === 'date') return `date_diff('day', DATE '1970-01-01', ${column})::VARCHAR AS ${column}`
  if (type !== 'timestamp') return column
  return times === 'text'
    ? `strftime(timezone('UTC', ${column}), '%Y-%m-%dT%H:%M:%S.%fZ') AS ${column}`
    : `epoch_us(${column})::VARCHAR AS ${column}`
}

/** @param textBytes the bytes of the row's texts before they were cut @returns at most `maxRowBytes` of JSON */
function rowText(
  columns: readonly Column[],
  values: readonly unknown[],
  { times, textBytes }: { readonly times: TimeFormat; readonly textBytes: number },
): string {
  const whole = textBytes > maxRowBytes ? undefined : jsonObject(columns, values, times)
  const bytes = whole === undefined ? textBytes : Buffer.byteLength(whole)
  if (whole !== undefined && bytes <= maxRowBytes) return whole
  const note = `not_encodable: the row has ${bytes} bytes, expected at most ${maxRowBytes}; its texts are cut to ${keptCharacters} characters`
  const kept = columns.map(({ name, isRequired }, index) => {
    if (name === 'parse_status') return 'rejected'
    if (name === 'parse_error') return note
    const value = values[index]
    if (isRequired !== true && name !== 'raw') return null
    // Half of a surrogate pair at the end would make the row one that no service can read.
    return typeof value === 'string' ? value.slice(0, keptCharacters).replace(/[\uD800-\uDBFF]$/, '') : value
  })
  return jsonObject(columns, kept, times)
}

/** Formats a row. Leaves out columns that are NULL, which are about half of a row's. */
function jsonObject(columns: readonly Column[], values: readonly unknown[], times: TimeFormat): string {
  const members = columns.flatMap(({ name, type }, index) => {
    const value = values[index]
    if (value === null || value === undefined) return []
    const isBare =
      type === 'long' ||
      (times === 'numbers' && (type === 'timestamp' || type === 'date')) ||
      (typeof value === 'number' && Number.isFinite(value)) ||
      value === true ||
      value === false
    return [`${JSON.stringify(name)}:${isBare ? value : JSON.stringify(String(value))}`]
  })
  return `{${members.join(',')}}`
}

export function jsonArray(rows: readonly string[]): string {
  return `[${rows.join(',')}]`
}
