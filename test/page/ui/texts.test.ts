import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { millisecondsOf, numberOf } from '../../../src/page/ui/ask/result-values.ts'
import {
  agoText,
  bytesText,
  lengthText,
  markText,
  rangeText,
  shownText,
  unitText,
} from '../../../src/page/ui/state/format.ts'
import {
  exploreParameters,
  filterParameters,
  placeOf,
  placeText,
  timeRangeOf,
} from '../../../src/page/ui/state/record-filter.ts'

test('amounts have three digits and a unit, and never one of the next larger unit', () => {
  for (const [bytes, text] of [
    [0, '0 B'],
    [999, '999 B'],
    [999.6, '1 kB'],
    [5_200, '5.2 kB'],
    [39_766_990, '39.8 MB'],
    [999_600_000, '1 GB'],
    [61e9, '61 GB'],
  ] as const)
    assert.equal(bytesText(bytes), text)
  for (const [ms, text] of [
    [0, '0 ms'],
    [0.1234, '0.123 ms'],
    [999.4, '999 ms'],
    [1_234, '1.23 s'],
    [59_949, '59.9 s'],
    [60_000, '1 min'],
    [250_000, '4 min 10 s'],
    [3_660_000, '1 h 1 min'],
    [90_000_000, '1 d 1 h'],
    [-90_000, '−1 min 30 s'],
  ] as const)
    assert.equal(lengthText(ms), text)
  assert.equal(agoText(400), 'just now')
  assert.equal(agoText(12_345), '12 s ago')
  assert.equal(unitText(null, 'ms'), '–')
  assert.equal(unitText(1234567, 'count'), '1,234,567')
  assert.equal(unitText(1.5, 'kB'), '1.5 kB')
})

test('instants are in UTC, with the date where it changes', () => {
  const midnight = Date.UTC(2026, 10, 25)
  assert.equal(rangeText(midnight - 60_000, midnight - 1_000), '2026-11-24 23:59:00.000 – 23:59:59.000')
  assert.equal(rangeText(midnight - 60_000, midnight), '2026-11-24 23:59:00 – 2026-11-25 00:00:00')
  assert.equal(markText(midnight, 3_600_000, false), '25 Nov')
  assert.equal(markText(midnight + 3_600_000, 3_600_000, false), '01:00')
  assert.equal(markText(midnight + 90_000, 30_000, true), '25 Nov 00:01:30')
})

test('a record is found again by the text that names it in a URL, whatever its blob is called', () => {
  const place = fc.record(
    {
      table: fc.stringMatching(/^[a-z][a-z0-9_-]{0,20}$/),
      blob: fc.string({ unit: 'binary' }),
      generation: fc.stringMatching(/^[0-9TZ:.-]{1,30}$/),
      offset: fc.nat(),
      index: fc.nat(),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(place, (one) => {
      const parameters = new URLSearchParams({ record: placeText(one) })
      assert.deepEqual(placeOf(new URLSearchParams(parameters.toString()).get('record')), one)
    }),
  )
  for (const text of [null, '', 'a~b', 'a~b~c~d~e', 'a~b~c~1~x']) assert.equal(placeOf(text), undefined)
})

test('the filter of a place goes to the API, and back into a link to the records behind a row', () => {
  const parameters = new URLSearchParams(
    'server=primary&severity=ERROR&severity=FATAL&q=%20dead%20&record=x&by=event',
  )
  const range = timeRangeOf(new URLSearchParams('last=1h'), 10_000_000)
  assert.deepEqual(range, { fromMs: 6_400_000, toMs: 10_000_000 })
  const query = filterParameters(parameters, range)
  assert.equal(
    query.toString(),
    'fromMs=6400000&toMs=10000000&server=primary&severity=ERROR&severity=FATAL&q=dead',
  )
  assert.equal(
    exploreParameters({ severity: ['ERROR'], fromMs: 7_000_000.5 }, range).toString(),
    'fromMs=7000000&toMs=10000000&severity=ERROR',
  )
  assert.deepEqual(timeRangeOf(new URLSearchParams('fromMs=x&toMs='), 5), {
    fromMs: undefined,
    toMs: undefined,
  })
})

test('no text of a log hides, reorders or ends what is around it', () => {
  assert.equal(shownText('a\u202eb\u001b[31m\u200bc'), 'a\\u202eb\\u001b[31m\\u200bc')
  assert.equal(shownText('größer 📚\n\tzwei'), 'größer 📚\n\tzwei')
})

test('values of a result are instants and numbers as the engine writes them', () => {
  const instant = Date.UTC(2026, 10, 24, 10, 0, 0, 500)
  for (const text of ['2026-11-24 10:00:00.5+00', '2026-11-24 10:00:00.5', '2026-11-24T12:00:00.500+02:00'])
    assert.equal(millisecondsOf(text), instant, text)
  assert.equal(millisecondsOf('2026-11-24'), Date.UTC(2026, 10, 24))
  assert.equal(millisecondsOf('yesterday'), undefined)
  assert.equal(numberOf('9007199254740993'), 9007199254740992)
  assert.equal(numberOf(null), undefined)
  assert.equal(numberOf('NaN'), undefined)
})
