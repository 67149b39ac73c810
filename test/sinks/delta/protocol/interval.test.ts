import assert from 'node:assert/strict'
import test from 'node:test'
import { intervalMs } from '../../../../src/sinks/delta/protocol/interval.ts'

test('intervals are read as Spark writes them', () => {
  const cases: [string, number][] = [
    ['interval 30 days', 2_592_000_000],
    ['interval 1 week 2 hours', 612_000_000],
    ['INTERVAL 1 Week', 604_800_000],
    ['  2 days  12 hours 5 minutes 1.5 seconds ', 216_301_500],
    ['interval 1 day -1 hour', 82_800_000],
    ['interval 250 milliseconds 1000 microseconds', 251],
    ['interval 0 seconds', 0],
  ]
  for (const [text, expected] of cases) assert.equal(intervalMs(text), expected, text)
})

test('an interval without a fixed length, or any other text, is no duration', () => {
  for (const text of [
    '',
    'interval',
    'interval 1 month',
    '2 years',
    '30',
    'days 3',
    'interval 3 days and',
    '1w',
  ]) {
    assert.equal(intervalMs(text), undefined, text)
  }
})
