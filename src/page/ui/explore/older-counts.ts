import { type Histogram, maxSeries, otherSeries } from '../../api.ts'
import { levelRank } from '../parts/colors.ts'

type Series = Histogram['series'][number]

/** @returns a histogram with the counts of its continuation, whose buckets are the same */
export function withOlder(histogram: Histogram, older: Histogram): Histogram {
  return {
    ...histogram,
    series: merged(histogram, older.series),
    total: histogram.total + older.total,
    estimated: older.estimated,
    countedFromMs: older.countedFromMs,
    next: older.next,
    elapsedMs: histogram.elapsedMs + older.elapsedMs,
    filesRead: histogram.filesRead + older.filesRead,
  }
}

function merged({ by, series }: Histogram, older: readonly Series[]): readonly Series[] {
  const counts = new Map(series.map((one) => [one.name, one.counts]))
  const add = (name: string, more: readonly number[]): void => {
    const known = counts.get(name)
    counts.set(name, known === undefined ? more : known.map((one, index) => one + more[index]!))
  }
  // Once some are counted together, a new name may be one of them.
  const isFull = counts.has(otherSeries)
  for (const one of older) add(isFull && !counts.has(one.name) ? otherSeries : one.name, one.counts)
  // By severity the loud ones come first; else a series keeps its place, and with it its color.
  const names = [...counts.keys()].filter((name) => name !== otherSeries)
  if (by === 'severity') names.sort((a, b) => levelRank(a) - levelRank(b))
  if (counts.size > maxSeries) {
    for (const name of names.splice(maxSeries - 1)) add(otherSeries, counts.get(name)!)
  }
  if (counts.has(otherSeries)) names.push(otherSeries)
  return names.map((name) => ({ name, counts: counts.get(name)! }))
}
