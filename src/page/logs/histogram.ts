import { TailraceError } from '../../errors.ts'
import { type Histogram, type HistogramRequest, maxSeries, otherSeries, type RecordFilter } from '../api.ts'
import { bucketLength, severityOrder } from './buckets.ts'
import { countByStatements } from './counts/by-statements.ts'
import { countByUnits, unitsToCount } from './counts/by-units.ts'
import { unitsOf } from './counts/count-units.ts'
import { type Grid, type Limits, Tally } from './counts/counting.ts'
import type { RecordCounts } from './counts/record-counts.ts'
import { estimatedRows, type FoundTable, recordedRange } from './found-tables.ts'
import type { LogTables } from './log-tables.ts'

/**
 * Counts the records of a filter over time, from the newest on, as far as one reply may take. Without a range of its own,
 * the filter covers all records.
 *
 * Counts by severity, server and event are kept for each data file, so that no file is read twice for them. Other filters
 * need statements, which read part by part.
 */
export async function readHistogram(
  { tables, counts }: { readonly tables: LogTables; readonly counts: RecordCounts },
  filter: RecordFilter,
  request: HistogramRequest,
  limits: Limits,
): Promise<Histogram> {
  const { buckets: maxBuckets = 120, by = 'severity' } = request
  const { clock } = limits
  const begunAtMs = clock.now()
  const found = await tables.find(filter.table)
  const grid =
    request.before === undefined ? gridOf(found, filter, maxBuckets, begunAtMs) : parsed(request.before)
  const { fromMs, toMs, bucketMs } = grid
  const firstMs = Math.floor(fromMs / bucketMs) * bucketMs
  const buckets = Math.ceil((toMs - firstMs) / bucketMs)
  if (buckets > maxGridBuckets) throw invalidCursor()
  const tally = new Tally(by, { firstMs, bucketMs, buckets })
  const units = unitsToCount(found, filter, grid)
  const { countedFromMs, filesRead } =
    units === undefined
      ? await countByStatements(tables, { found, filter, grid, tally }, limits)
      : await countByUnits({ tables, counts }, { found, filter, grid, tally, units }, limits)
  const isCounted = countedFromMs <= fromMs
  // Only all tables together say which counts are of no table any more.
  if ((filter.table ?? []).length === 0) void counts.clean(found.flatMap((table) => unitsOf(table) ?? []))
  return {
    fromMs: firstMs,
    bucketMs,
    buckets,
    by,
    series: joined(sorted(tally.series, by), buckets),
    total: tally.total,
    estimated:
      isCounted || isFiltered(filter)
        ? undefined
        : estimated(found, firstMs, countedFromMs, { bucketMs, buckets }),
    countedFromMs: isCounted ? undefined : countedFromMs,
    next: isCounted ? undefined : cursorText({ ...grid, beforeMs: countedFromMs }),
    elapsedMs: clock.now() - begunAtMs,
    files: found.reduce((sum, { files }) => sum + files.length, 0),
    filesRead,
  }
}

/** Length of the histogram of a table without records. */
const emptyMs = 3_600_000

function gridOf(found: readonly FoundTable[], filter: RecordFilter, maxBuckets: number, nowMs: number): Grid {
  const recorded = recordedRange(found)
  const fromMs = filter.fromMs ?? recorded?.fromMs ?? nowMs - emptyMs
  const toMs = Math.max(fromMs + 1, filter.toMs ?? recorded?.toMs ?? nowMs)
  return { fromMs, toMs, bucketMs: bucketLength(fromMs, toMs, maxBuckets), beforeMs: toMs }
}

/** Only conditions that leave no record out: then the number of records in files is a number of matches. */
function isFiltered({ fromMs: _from, toMs: _to, table: _table, ...conditions }: RecordFilter): boolean {
  return Object.values(conditions).some((value) => value !== undefined && value.length > 0)
}

/** Spreads the records of each file evenly over its time, for the time that has not been counted. */
function estimated(
  found: readonly FoundTable[],
  firstMs: number,
  countedFromMs: number,
  { bucketMs, buckets }: { readonly bucketMs: number; readonly buckets: number },
): Histogram['estimated'] {
  return Array.from({ length: buckets }, (_, bucket) => {
    const fromMs = firstMs + bucket * bucketMs
    const toMs = Math.min(fromMs + bucketMs, countedFromMs)
    return fromMs >= toMs ? 0 : Math.round(estimatedRows(found, fromMs, toMs))
  })
}

/** Of a cursor; the buckets of a first reply are fewer. */
const maxGridBuckets = 1_000

function cursorText(grid: Grid): string {
  return Buffer.from(JSON.stringify(grid)).toString('base64url')
}

function invalidCursor(cause?: unknown): TailraceError {
  return new TailraceError('USAGE', 'before: found no cursor of an earlier histogram.', { cause })
}

function parsed(before: string): Grid {
  let grid: Partial<Grid> | null
  try {
    grid = JSON.parse(Buffer.from(before, 'base64url').toString()) as Partial<Grid> | null
  } catch (error) {
    throw invalidCursor(error)
  }
  const { fromMs = 0, toMs = 0, bucketMs = 0, beforeMs = 0 } = grid ?? {}
  if (![fromMs, toMs, bucketMs, beforeMs].every((one) => Number.isSafeInteger(one))) throw invalidCursor()
  if (bucketMs < 1 || fromMs >= toMs || fromMs >= beforeMs || beforeMs > toMs) throw invalidCursor()
  return { fromMs, toMs, bucketMs, beforeMs }
}

type Series = Histogram['series'][number]

function sorted(series: ReadonlyMap<string, readonly number[]>, by: Histogram['by']): readonly Series[] {
  const all = Array.from(series, ([name, counts]) => ({ name, counts }))
  const total = ({ counts }: Series): number => counts.reduce((sum, one) => sum + one, 0)
  const rank = ({ name }: Series): number => {
    const place = by === 'severity' ? severityOrder.indexOf(name) : -1
    return place < 0 ? severityOrder.length : place
  }
  return all.sort((a, b) => rank(a) - rank(b) || total(b) - total(a))
}

function joined(series: readonly Series[], count: number): readonly Series[] {
  if (series.length <= maxSeries) return series
  const counts = Array<number>(count).fill(0)
  for (const other of series.slice(maxSeries - 1)) {
    for (const [index, one] of other.counts.entries()) counts[index]! += one
  }
  return [...series.slice(0, maxSeries - 1), { name: otherSeries, counts }]
}
