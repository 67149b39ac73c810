import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Entry } from '../../../src/records.ts'
import { spoolRow, spoolRowTexts } from '../../../src/streams/staging/spool.ts'

test('the texts of a row are the row, and only those of a short one are put together', () => {
  const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    fc.option(value, { nil: undefined })
  const entry: fc.Arbitrary<Entry> = fc.record({
    offset: fc.nat(),
    length: fc.nat(),
    index: fc.constantFrom(0, 1, 12),
    raw: fc
      .tuple(fc.string(), fc.constantFrom(1, 3, 200_000))
      .map(([text, times]) => `${text}|`.repeat(times)),
    form: optional(fc.constantFrom('flat', 'written')),
    json: optional(fc.constantFrom('{}', `{"a":"${'x'.repeat(100_000)}"}`)),
    reject: optional(fc.constantFrom('not_json', 'not_object')),
    note: optional(fc.string()),
  })
  fc.assert(
    fc.property(entry, fc.nat({ max: 9 }), (one, spanIndex) => {
      const texts = spoolRowTexts(one, spanIndex)
      assert.equal(texts.join(''), spoolRow(one, spanIndex))
      assert.equal(texts.length > 1, one.raw.length > 64 * 1024)
    }),
    { numRuns: 60 },
  )
})
