import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogRecord } from '../../src/transforms/record-transform.ts'
import { sampleSeverity } from '../../src/transforms/sample-severity.ts'

const blob = 'logs/resourceId=/y=2026/m=11/d=24/h=08/m=00/PT1H.json'
const places = Array.from({ length: 20_000 }, (_, index) => ({
  pipeline: 'primary',
  blob,
  offset: index * 417,
}))

function kept(record: LogRecord, keep: Readonly<Record<string, number>>): number[] {
  const transform = sampleSeverity({ keep })
  return places.filter((place) => transform(record, place) !== null).map(({ offset }) => offset)
}

test('the wanted part is kept, within a percent of all records', () => {
  for (const part of [0.01, 0.1, 0.5, 0.9]) {
    const found = kept({ error_severity: 'LOG' }, { LOG: part }).length / places.length
    assert.ok(Math.abs(found - part) < 0.01, `${found} of ${part}`)
  }
})

test('0 keeps none and 1 keeps all', () => {
  assert.equal(kept({ error_severity: 'DEBUG1' }, { DEBUG1: 0 }).length, 0)
  assert.equal(kept({ error_severity: 'LOG' }, { LOG: 1 }).length, places.length)
})

test('the same places are kept again by every replay, and a larger part keeps them too', () => {
  const first = kept({ error_severity: 'LOG' }, { LOG: 0.1 })
  assert.deepEqual(kept({ error_severity: 'LOG', message: 'other' }, { LOG: 0.1 }), first)
  const more = new Set(kept({ error_severity: 'LOG' }, { LOG: 0.2 }))
  assert.ok(first.every((offset) => more.has(offset)))
})

test('a severity that is not named is kept, and so is a record without one', () => {
  for (const record of [{ error_severity: 'ERROR' }, { message: 'x' }, { error_severity: 5 }]) {
    assert.equal(kept(record, { LOG: 0 }).length, places.length)
  }
})

test('the severity is found in every shape, in any letters', () => {
  for (const record of [
    { error_severity: 'LOG' },
    { record: { error_severity: 'log' } },
    { properties: { errorLevel: 'LOG' } },
    { severity: 'Log' },
  ]) {
    assert.equal(kept(record, { log: 0 }).length, 0)
  }
})

test('a part that is no part is refused when the transform is made', () => {
  for (const part of [-0.1, 1.1, Number.NaN])
    assert.throws(() => sampleSeverity({ keep: { LOG: part } }), RangeError)
})
