import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Histogram, maxSeries } from '../../../src/page/api.ts'
import { withOlder } from '../../../src/page/ui/explore/older-counts.ts'

function histogramOf(by: Histogram['by'], counts: Readonly<Record<string, number>>): Histogram {
  const series = Object.entries(counts).map(([name, count]) => ({ name, counts: [count] }))
  const total = series.reduce((sum, one) => sum + one.counts[0]!, 0)
  const rest = { estimated: undefined, countedFromMs: undefined, next: undefined }
  return {
    fromMs: 0,
    bucketMs: 1,
    buckets: 1,
    by,
    series,
    total,
    elapsedMs: 1,
    files: 1,
    filesRead: 1,
    ...rest,
  }
}

const countsOf = ({ series }: Histogram): readonly (readonly [string, number])[] =>
  series.map(({ name, counts }) => [name, counts[0]!])

test('a level that only older records have comes in its place among the others', () => {
  const merged = withOlder(
    histogramOf('severity', { ERROR: 1, LOG: 5 }),
    histogramOf('severity', { PANIC: 2, WARNING: 3, LOG: 4 }),
  )
  assert.deepEqual(countsOf(merged), [
    ['PANIC', 2],
    ['ERROR', 1],
    ['WARNING', 3],
    ['LOG', 9],
  ])
})

test('replies together have no more series than one, lose no count, and keep the places of those they had', () => {
  const names = (from: number, count: number): Readonly<Record<string, number>> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`server ${from + index}`, 1]))
  const first = histogramOf('server', names(0, 8))
  const second = withOlder(first, histogramOf('server', { ...names(6, 8), others: 7 }))
  const third = withOlder(second, histogramOf('server', { 'server 99': 3, 'server 0': 1 }))
  for (const merged of [second, third]) {
    assert.equal(merged.series.length, maxSeries)
    assert.deepEqual(
      merged.series.slice(0, 8).map(({ name }) => name),
      first.series.map(({ name }) => name),
    )
    assert.equal(merged.series.at(-1)!.name, 'others')
    const sum = countsOf(merged).reduce((total, [, count]) => total + count, 0)
    assert.equal(sum, merged.total)
  }
  assert.equal(countsOf(third)[0]![1], 2)
})
