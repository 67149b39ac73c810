import type { Clock } from '../../clock.ts'
import { levelWords } from '../../tables/postgres/levels.ts'
import type { Histogram, HistogramRequest, RecordFilter } from '../api.ts'
import { type FoundTable, instantWithRows, type LogTables, recordedRange } from './log-tables.ts'
import { conditionSql, fieldSql, instantSql, timeColumn } from './record-filter.ts'
import { nextPartRows, replyMs } from './search-parts.ts'

const secondMs = 1_000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Lengths of buckets that a person reads easily. */
const roundMs = [
  ...[1, 5, 10, 50, 100, 500],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * secondMs),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * minuteMs),
  ...[1, 2, 3, 6, 12].map((count) => count * hourMs),
  ...[1, 2, 7, 14, 28, 91, 364].map((count) => count * dayMs),
]

/** Series that are shown apart; the others are counted together. */
const maxSeries = 12

/** The most severe first. */
export const severityOrder: readonly string[] = Object.keys(levelWords).toReversed()

/** @returns the shortest round length with which a range has at most so many buckets */
export function bucketLength(fromMs: number, toMs: number, maxBuckets: number): number {
  const fits = (length: number): boolean =>
    Math.ceil(toMs / length) - Math.floor(fromMs / length) <= Math.max(1, maxBuckets)
  const round = roundMs.find(fits)
  if (round !== undefined) return round
  let length = roundMs.at(-1)!
  while (!fits(length)) length *= 2
  return length
}

/** Rows of a part of a search of texts: those of the first one, and the most that a later one has. */
const partRows = { min: 400_000, max: 20_000_000 }

/**
 * Counts the records of a filter over time. Without a range of its own, the filter covers all records.
 *
 * Every text has to be read for a search, which can take minutes. So its records are counted part by part, from the newest
 * on, as far as a reply may take.
 */
export async function readHistogram(
  tables: LogTables,
  filter: RecordFilter,
  { buckets: maxBuckets = 120, by = 'severity' }: HistogramRequest,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Histogram> {
  const begunAtMs = clock.now()
  const found = await tables.find(filter.table)
  const recorded = recordedRange(found)
  const fromMs = filter.fromMs ?? recorded?.fromMs ?? begunAtMs - hourMs
  const toMs = Math.max(fromMs + 1, filter.toMs ?? recorded?.toMs ?? begunAtMs)
  const bucketMs = bucketLength(fromMs, toMs, maxBuckets)
  const firstMs = Math.floor(fromMs / bucketMs) * bucketMs
  const count = Math.ceil((toMs - firstMs) / bucketMs)
  const series = new Map<string, number[]>()
  let [total, files, filesRead] = [0, 0, 0]
  const isSearch = filter.q !== undefined && filter.q !== ''
  let countedFromMs = toMs
  for (let { min: rows } = partRows; countedFromMs > fromMs && found.length > 0; ) {
    const partAtMs = clock.now()
    if (countedFromMs < toMs && partAtMs - begunAtMs >= replyMs) break
    const part = {
      ...filter,
      fromMs: isSearch ? instantWithRows(found, { fromMs, toMs: countedFromMs, rows }) : fromMs,
      toMs: countedFromMs,
    }
    const counted = await tables.rows(countSql(found, part, { by, firstMs, bucketMs }), signal)
    for (const { name, bucket, n } of counted.rows) {
      const key = name === null ? 'none' : String(name)
      const counts = series.get(key) ?? Array<number>(count).fill(0)
      series.set(key, counts)
      counts[Number(bucket)]! += Number(n)
      total += Number(n)
    }
    files = counted.reading.files
    filesRead += counted.reading.readFiles
    countedFromMs = part.fromMs
    rows = nextPartRows({ rows, tookMs: clock.now() - partAtMs }, partRows)
  }
  return {
    fromMs: firstMs,
    bucketMs,
    buckets: count,
    by,
    series: joined(sorted(series, by), count),
    total,
    countedFromMs: countedFromMs > fromMs && found.length > 0 ? countedFromMs : undefined,
    elapsedMs: clock.now() - begunAtMs,
    files,
    filesRead: Math.min(files, filesRead),
  }
}

function countSql(
  tables: readonly FoundTable[],
  filter: RecordFilter,
  { by, firstMs, bucketMs }: Pick<Histogram, 'by' | 'bucketMs'> & { readonly firstMs: number },
): string {
  const condition = conditionSql(filter)
  const selects = tables.map(
    ({
      relation,
    }) => `SELECT (epoch_us(${timeColumn}) - epoch_us(${instantSql(firstMs)})) // ${bucketMs * 1_000} AS bucket,
      ${fieldSql[by]()} AS name, count(*) AS n FROM ${relation} WHERE ${condition} GROUP BY ALL`,
  )
  const name = by === 'severity' ? 'coalesce(severity_level(name), name)' : 'name'
  return `SELECT bucket::INTEGER AS bucket, ${name} AS name, sum(n)::BIGINT AS n FROM (${selects.join(' UNION ALL ')}) GROUP BY ALL`
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
  return [...series.slice(0, maxSeries - 1), { name: 'others', counts }]
}
