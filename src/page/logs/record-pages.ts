import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { sqlString } from '../../tables/sql.ts'
import type { RecordFilter, RecordPage, RecordRow } from '../api.ts'
import { limited } from '../limited.ts'
import { type FoundTable, instantWithRows, recordedRange } from './found-tables.ts'
import { isEnded, type LogTables } from './log-tables.ts'
import { conditionSql, instantSql, timeColumn } from './record-filter.ts'
import { eventedSql, listColumns, placeOfRow, recordRow } from './record-rows.ts'
import { nextPartRows, replyMs } from './search-parts.ts'

/**
 * A place in the order of records: newest first, those without a time last, and among those of one instant by table, blob
 * and offset.
 */
interface Cursor {
  /** Microseconds since the epoch, as text, and null for no time; `toMs` when nothing there has been shown. */
  readonly us?: string | null | undefined
  readonly toMs?: number | undefined
  readonly key?: readonly [table: string, blob: string, generation: string, offset: number, index: number]
}

/** No part of a search takes longer. */
const maxPartMs = 20_000

/** Rows of the first part of a search. */
const firstRows = 200_000

/** The most rows of a later part. */
const maxRows = 20_000_000

/** Rows of the first part of a reply that goes on with a search: each part opens its files anew. */
const continuedRows = 1_000_000

/** The columns that identify a row of a table. */
const placeColumns = 'source_blob, source_generation, source_offset, source_index'

const order = `${timeColumn} DESC NULLS LAST, source_table, source_blob, source_generation, source_offset DESC, source_index DESC`

/**
 * Reads the newest records of a filter, part by part from the newest on, so that a frequent record is found without a
 * search of all. Without a range of time, the last part is that of the records without a time, such as rejected lines.
 *
 * @param before the cursor of the page before
 * @throws USAGE for a cursor that no page has given
 */
export async function readRecords(
  tables: LogTables,
  filter: RecordFilter,
  { before, limit }: { readonly before?: string | undefined; readonly limit: number },
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<RecordPage> {
  const begunAtMs = clock.now()
  const found = await tables.find(filter.table)
  const recorded = recordedRange(found)
  const fromMs = filter.fromMs ?? recorded?.fromMs ?? 0
  const cursor = before === undefined ? {} : parseCursor(before)
  const cursorMs = typeof cursor.us === 'string' ? Math.floor(Number(cursor.us) / 1_000) + 1 : cursor.toMs
  const isTimed = cursor.us !== null
  const hasUntimed = filter.fromMs === undefined && filter.toMs === undefined
  let toMs = Math.min(
    filter.toMs ?? Number.POSITIVE_INFINITY,
    cursorMs ?? Number.POSITIVE_INFINITY,
    (recorded?.toMs ?? 0) + 1,
  )
  const records: RecordRow[] = []
  let us: string | null | undefined
  /** Searches one part. @returns false when its time ended: the page then has what the parts before it gave */
  const search = async (isFirst: boolean, condition: string, after: Cursor): Promise<boolean> => {
    const partMs = Math.max(1, (isFirst ? maxPartMs : replyMs) - (clock.now() - begunAtMs))
    try {
      const sql = placesSql(found, condition, after, limit - records.length)
      const rows = await limited(clock, partMs, [signal], async (ending) => {
        const places = (await tables.rows(sql, ending)).rows
        return places.length === 0 ? [] : (await tables.rows(recordsSql(found, places), ending)).rows
      })
      for (const row of rows) {
        records.push(recordRow(row))
        us = row.event_us === null ? null : String(row.event_us)
      }
      return true
    } catch (error) {
      signal.throwIfAborted()
      if (!isEnded(error) || isFirst) throw error
      return false
    }
  }
  const minRows = cursor.toMs === undefined ? firstRows : continuedRows
  let isTimeLeft = true
  for (let rows = minRows; isTimed && isTimeLeft && toMs > fromMs && records.length < limit; ) {
    const partFromMs = instantWithRows(found, { fromMs, toMs, rows })
    const partAtMs = clock.now()
    const condition = conditionSql({ ...filter, fromMs: partFromMs, toMs })
    const isFirst = toMs === cursorMs || records.length === 0
    isTimeLeft = await search(isFirst, condition, cursor)
    if (!isTimeLeft || records.length >= limit) break
    toMs = partFromMs
    us = undefined
    rows = nextPartRows({ rows, tookMs: clock.now() - partAtMs }, { min: minRows, max: maxRows })
    isTimeLeft = clock.now() - begunAtMs < replyMs
  }
  let isSearched = !isTimed || toMs <= fromMs
  if (hasUntimed && isSearched && records.length < limit && found.length > 0) {
    const condition = `${conditionSql(filter)} AND ${timeColumn} IS NULL`
    isSearched = isTimeLeft && (await search(records.length === 0, condition, isTimed ? {} : cursor))
  }
  const elapsedMs = clock.now() - begunAtMs
  const last = records.at(-1)
  if (records.length >= limit && last !== undefined && us !== undefined) {
    const { table, blob, generation, offset, index } = last
    const next = cursorText({ us, key: [table, blob, generation, offset, index] })
    return { records, next, searchedToMs: undefined, elapsedMs }
  }
  if (isSearched || found.length === 0)
    return { records, next: undefined, searchedToMs: undefined, elapsedMs }
  return { records, next: cursorText({ toMs }), searchedToMs: toMs, elapsedMs }
}

/**
 * SQL of the places of the first records that meet a condition. It reads no other columns than the condition: most of a
 * search is reading, and a record has 40 times as much in its other columns.
 */
function placesSql(
  tables: readonly FoundTable[],
  condition: string,
  { us, key }: Cursor,
  limit: number,
): string {
  const selects = tables.map(({ id, relation }) => {
    const conditions = [condition]
    if (us !== undefined && key !== undefined) conditions.push(`(${behindSql(id, us, key)})`)
    return `SELECT ${sqlString(id)} AS source_table, ${placeColumns}, ${timeColumn} FROM ${relation} WHERE ${conditions.join(' AND ')}`
  })
  return `SELECT source_table, ${placeColumns}, epoch_us(${timeColumn}) AS event_us
    FROM (${selects.join(' UNION ALL ')}) ORDER BY ${order} LIMIT ${limit}`
}

/** SQL of the records at places that `placesSql` has given. */
function recordsSql(
  tables: readonly FoundTable[],
  places: readonly Readonly<Record<string, unknown>>[],
): string {
  const selects = tables.flatMap(({ id, relation }) => {
    const own = places.filter(({ source_table }) => source_table === id)
    if (own.length === 0) return []
    const timed = own.filter(({ event_us }) => event_us !== null)
    // All places of a part have a time, or none has.
    const isAtTime = timed.length === 0 ? `${timeColumn} IS NULL` : instantsSql(timed)
    const values = own
      .map(placeOfRow)
      .map(
        ({ blob, generation, offset, index }) =>
          `(${sqlString(blob)}, ${sqlString(generation)}, ${offset}, ${index})`,
      )
    return [
      `SELECT ${sqlString(id)} AS source_table, ${listColumns} FROM ${relation}
        WHERE ${isAtTime} AND (${placeColumns}) IN (SELECT * FROM (VALUES ${values.join(', ')}))`,
    ]
  })
  return eventedSql(selects.join(' UNION ALL '), order)
}

/** Conditions on rows of a table that come behind a place in the order. */
function behindSql(
  id: string,
  us: string | null,
  [table, blob, generation, offset, index]: NonNullable<Cursor['key']>,
): string {
  const instant = `make_timestamptz(${us}::BIGINT)`
  const earlier = us === null ? 'false' : `${timeColumn} < ${instant}`
  const same = us === null ? `${timeColumn} IS NULL` : `${timeColumn} = ${instant}`
  if (id < table) return earlier
  if (id > table) return `${earlier} OR ${same}`
  const [b, g] = [sqlString(blob), sqlString(generation)]
  return `${earlier} OR (${same} AND (source_blob > ${b} OR (source_blob = ${b} AND
    (source_generation > ${g} OR (source_generation = ${g} AND (source_offset < ${offset}
      OR (source_offset = ${offset} AND source_index < ${index})))))))`
}

/** SQL of a condition by which the engine skips whatever holds none of some instants: files by their range, parts of files by the list. */
function instantsSql(rows: readonly Readonly<Record<string, unknown>>[]): string {
  const all = [...new Set(rows.map(({ event_us }) => BigInt(String(event_us))))]
  const sql = all.sort((a, b) => (a < b ? -1 : 1)).map((us) => `make_timestamptz(${us}::BIGINT)`)
  return `${timeColumn} BETWEEN ${sql[0]} AND ${sql.at(-1)} AND ${timeColumn} IN (${sql.join(', ')})`
}

function cursorText(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url')
}

function parseCursor(text: string): Cursor {
  const refused = (cause?: unknown) =>
    new TailraceError('USAGE', 'before: found no cursor of an earlier page.', { cause })
  try {
    const { us, toMs, key } = JSON.parse(Buffer.from(text, 'base64url').toString()) as Cursor
    if (us === undefined && typeof toMs === 'number' && Number.isSafeInteger(toMs)) return { toMs }
    const [table, blob, generation, offset, index] = key ?? []
    const texts = [table, blob, generation]
    const isValid =
      (us === null || /^-?\d{1,18}$/.test(String(us))) &&
      texts.every((one) => typeof one === 'string') &&
      Number.isSafeInteger(offset) &&
      Number.isSafeInteger(index)
    if (isValid)
      return { us: us === null ? null : String(us), key: [table!, blob!, generation!, offset!, index!] }
  } catch (error) {
    throw refused(error)
  }
  throw refused()
}

/**
 * SQL of the newest rows of a table that match a filter, oldest first.
 *
 * @param sinceMs only rows that were ingested since this instant; undefined: all
 */
export function landedSql(
  { id, relation }: FoundTable,
  filter: RecordFilter,
  sinceMs: number | undefined,
  limit: number,
): string {
  const ingested = sinceMs === undefined ? 'true' : `ingest_ts >= ${instantSql(sinceMs)}`
  const newest = `SELECT ${sqlString(id)} AS source_table, ${listColumns} FROM ${relation}
    WHERE ${ingested} AND ${conditionSql(filter)} ORDER BY ${order} LIMIT ${limit}`
  return eventedSql(
    newest,
    `${timeColumn}, source_table, source_blob, source_generation, source_offset, source_index`,
  )
}
