import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { compareText, lowerBound, upperBound } from '../../../../src/sinks/delta/protocol/statistics.ts'

const a32 = 'a'.repeat(32)
const clef = '𝄞'
const highest = '\u{10ffff}'

test('bounds of texts are cut after 32 code points, and an upper bound is closed by a higher one', () => {
  const cases: [text: string, lower: string, upper: string | undefined][] = [
    ['', '', ''],
    [a32, a32, a32],
    [`${a32}b`, a32, `${a32}\x7f`],
    [`${a32}\x7e`, a32, `${a32}\x7f`],
    [`${a32}\x7f`, a32, `${a32}${highest}`],
    [`${a32}é`, a32, `${a32}${highest}`],
    [`${a32}${highest}`, a32, `${a32}${highest}`],
    [`${a32}${highest}b`, a32, `${a32}${highest}\x7f`],
    [a32 + highest.repeat(40), a32, undefined],
    [`${a32}${highest.repeat(31)}b`, a32, `${a32}${highest.repeat(31)}\x7f`],
    [`${a32}${highest.repeat(32)}`, a32, `${a32}${highest.repeat(32)}`],
    // Closed by the next code point, it would have 65.
    [`${a32}${highest.repeat(32)}b`, a32, undefined],
    [clef.repeat(32), clef.repeat(32), clef.repeat(32)],
    [clef.repeat(33), clef.repeat(32), clef.repeat(32) + highest],
    [`${clef.repeat(31)}ab`, `${clef.repeat(31)}a`, `${clef.repeat(31)}a\x7f`],
  ]
  for (const [text, lower, upper] of cases) {
    assert.equal(lowerBound(text), lower)
    assert.equal(upperBound(text), upper)
  }
})

test('a text always lies between its bounds in UTF-8 order, and no bound exceeds 64 code points', () => {
  const point = fc.constantFrom('a', '~', '\x7f', 'é', '\uffff', clef, highest)
  const text = fc.array(point, { maxLength: 80 }).map((points) => points.join(''))
  fc.assert(
    fc.property(text, (value) => {
      const upper = upperBound(value)
      assert.ok(compareText(lowerBound(value), value) <= 0)
      assert.ok(upper === undefined || compareText(value, upper) <= 0)
      assert.ok(Array.from(upper ?? '').length <= 64)
      assert.ok(Array.from(lowerBound(value)).length <= 32)
    }),
    { numRuns: 2_000 },
  )
})

test('texts are ordered by their UTF-8 bytes, where UTF-16 units would say otherwise', () => {
  assert.ok(clef < '\uffff')
  assert.ok(compareText(clef, '\uffff') > 0)
  assert.equal(compareText('a', 'a'), 0)
})
