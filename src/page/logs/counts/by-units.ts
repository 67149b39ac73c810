import type { Histogram, RecordFilter } from '../../api.ts'
import type { FoundTable } from '../found-tables.ts'
import type { LogTables } from '../log-tables.ts'
import { fieldsCondition } from '../record-filter.ts'
import { addStatement } from './by-statements.ts'
import { type CountUnit, unitsOf } from './count-units.ts'
import { type Counting, countingMs, type Grid, type Limits, type Reach, Tally } from './counting.ts'
import type { RecordCounts } from './record-counts.ts'
import type { CountedFields } from './unit-counts.ts'

/** @returns the units that hold all records of a histogram, the newest first; undefined when their counts cannot give it */
export function unitsToCount(
  found: readonly FoundTable[],
  filter: RecordFilter,
  { fromMs, beforeMs, bucketMs }: Grid,
): readonly CountUnit[] | undefined {
  const { database = [], user = [], sqlstate = [], session = [], q = '' } = filter
  if (q !== '' || [database, user, sqlstate, session].some(({ length }) => length > 0)) return undefined
  const units: CountUnit[] = []
  for (const table of found) {
    const all = unitsOf(table)
    if (all === undefined) return undefined
    for (const unit of all) if (unit.toMs >= fromMs && unit.fromMs < beforeMs) units.push(unit)
  }
  if (units.some(({ slotMs }) => bucketMs % slotMs !== 0)) return undefined
  return units.sort((a, b) => b.toMs - a.toMs)
}

/** Counts by the counts that are kept for each unit; the ends of the range, which cut slots, by statements. */
export async function countByUnits(
  { tables, counts: kept }: { readonly tables: LogTables; readonly counts: RecordCounts },
  counting: Counting & { readonly units: readonly CountUnit[] },
  limits: Limits,
): Promise<Reach> {
  const { found, filter, grid, tally, units } = counting
  const { fromMs, toMs, bucketMs, beforeMs } = grid
  const { firstMs, buckets } = tally.grid
  const slotMs = units.reduce((longest, unit) => Math.max(longest, unit.slotMs), 1)
  // The slots that lie whole in the range. Records outside of the range of all records have landed since.
  const wholeFromMs = filter.fromMs === undefined ? firstMs : Math.ceil(fromMs / slotMs) * slotMs
  const isEnd = beforeMs === toMs
  const wholeToMs =
    isEnd && filter.toMs === undefined ? firstMs + buckets * bucketMs : Math.floor(beforeMs / slotMs) * slotMs
  const begunAtMs = limits.clock.now()
  const { counts, filesRead } = await kept.counted(units, {
    replyMs: countingMs,
    signal: limits.signal,
  })
  // Units come by the end of their time, so the first one that is missing says how far the others reach. The next reply
  // begins with a whole bucket.
  const reachOf = (known: number): number => {
    const missing = units[known]
    if (missing === undefined) return fromMs
    return Math.min(beforeMs, (Math.floor(missing.toMs / bucketMs) + 1) * bucketMs)
  }
  const whole = { ...filter, fromMs: wholeFromMs, toMs: wholeToMs }
  const tallies = new Map<CountUnit, Tally>()
  let known = 0
  for (; known < counts.length; known += 1) {
    if (counts[known] !== 'none') continue
    // A reply that reached nothing would be repeated for ever.
    if (limits.clock.now() - begunAtMs >= countingMs && reachOf(known) < beforeMs) break
    const unit = units[known]!
    const own = new Tally(tally.by, tally.grid)
    await addStatement(tables, [unit.table], whole, own, limits.signal, unit)
    tallies.set(unit, own)
  }
  const countedFromMs = reachOf(known)
  const isShown = fieldsCondition(filter)
  for (const [index, unit] of units.slice(0, known).entries()) {
    const counted = counts[index]!
    if (counted === 'none') {
      if (countedFromMs === beforeMs) continue
      for (const [name, own] of tallies.get(unit)!.series) {
        for (const [bucket, count] of own.entries())
          if (count > 0 && firstMs + (bucket + 1) * bucketMs > countedFromMs) tally.add(name, bucket, count)
      }
      continue
    }
    const names = counted.fields.map((fields) => (isShown(fields) ? nameOf(fields, tally.by) : undefined))
    for (const [at, slot] of counted.slots.entries()) {
      const atMs = slot * unit.slotMs
      const name = names[counted.kinds[at]!]
      if (name === undefined || atMs < wholeFromMs || atMs < countedFromMs || atMs >= wholeToMs) continue
      tally.add(name, Math.floor((atMs - firstMs) / bucketMs), counted.counts[at]!)
    }
  }
  // Slots at the ends that lie in the range in part.
  const edges = [
    { fromMs, toMs: Math.min(wholeFromMs, beforeMs) },
    { fromMs: Math.max(fromMs, wholeToMs), toMs: beforeMs },
  ]
  for (const [index, edge] of edges.entries()) {
    const isOverlapped = index === 1 && wholeToMs < wholeFromMs
    if (edge.fromMs >= edge.toMs || edge.fromMs < countedFromMs || isOverlapped) continue
    await addStatement(tables, found, { ...filter, ...edge }, tally, limits.signal)
  }
  return { countedFromMs, filesRead }
}

function nameOf({ level, severity, server, role, event }: CountedFields, by: Histogram['by']): string | null {
  if (by === 'severity') return level ?? severity
  return by === 'server' ? (server ?? role) : event
}
