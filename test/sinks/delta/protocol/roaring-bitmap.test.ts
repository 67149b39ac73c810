import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { readRoaringBitmap } from '../../../../src/sinks/delta/protocol/roaring-bitmap.ts'
import { encodeRoaring, numbersOf } from '../deletion-vectors.ts'

/** Few or many numbers, alone or in runs, in containers and buckets far apart. */
const anyNumbers = fc
  .array(
    fc.record({
      bucket: fc.constantFrom(0, 0, 0, 1, 7, 2 ** 20),
      container: fc.constantFrom(0, 1, 2, 3, 4, 300, 65_535),
      first: fc.nat(65_535),
      count: fc.constantFrom(1, 2, 64, 65, 5_000, 65_536),
      step: fc.constantFrom(1, 1, 2, 7, 64),
    }),
    { maxLength: 12 },
  )
  .map((parts) => {
    const numbers = new Set<number>()
    for (const { bucket, container, first, count, step } of parts) {
      for (let index = 0; index < count && first + index * step < 65_536; index += 1) {
        numbers.add(bucket * 2 ** 32 + container * 65_536 + first + index * step)
      }
    }
    return [...numbers].sort((a, b) => a - b)
  })

test('a bitmap has the numbers that were put into it, for each kind of container', () => {
  fc.assert(
    fc.property(anyNumbers, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (numbers, runs) => {
      const set = readRoaringBitmap(
        encodeRoaring(numbers, (container) => runs[container % 8]!),
        numbers.length,
      )
      assert.equal(set.count, numbers.length)
      assert.deepEqual(numbersOf(set), numbers)
      assert.ok(set.words.every((word, index) => index === 0 || word > set.words[index - 1]!))
    }),
    { numRuns: 60 },
  )
})

test('bytes that end early are refused, wherever they end', () => {
  const numbers = [3, 4, 7, 70_000, 2 ** 33]
  for (const hasRuns of [() => false, () => true]) {
    const bytes = encodeRoaring(numbers, hasRuns)
    for (let length = 0; length < bytes.length; length += 1) {
      assert.throws(() => readRoaringBitmap(bytes.subarray(0, length), 5), RangeError, String(length))
    }
  }
})

test('any damage is refused or gives a set in order, within the limit', () => {
  const whole = encodeRoaring(
    [1, 5, 6, 7, 65_536, 131_073, 262_144, 2 ** 32],
    (container) => container % 2 === 0,
  )
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const bytes = Buffer.from(whole)
      bytes[at] = value
      try {
        const { words, masks, count } = readRoaringBitmap(bytes, 100)
        assert.ok(count <= 100 && words.length === masks.length)
        assert.ok(words.every((word, index) => index === 0 || word > words[index - 1]!))
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
      }
    }),
  )
})

test('more numbers than the limit are refused before memory is taken for them', () => {
  const bytes = encodeRoaring(
    Array.from({ length: 65_536 }, (_, index) => index),
    () => true,
  )
  assert.ok(bytes.length < 30)
  assert.throws(() => readRoaringBitmap(bytes, 65_535), /more than 65535/)
})

test('a run beyond its container, a wrong count and an unknown cookie are refused', () => {
  const runs = encodeRoaring([65_534, 65_535], () => true)
  runs.writeUInt16LE(2, runs.length - 2)
  assert.throws(() => readRoaringBitmap(runs, 9), /ends at 65536/)
  const twice = encodeRoaring([4, 5])
  twice.writeUInt16LE(4, twice.length - 2)
  assert.throws(() => readRoaringBitmap(twice, 9), /found 1 numbers, expected 2/)
  const cookie = encodeRoaring([4])
  cookie.writeUInt16LE(12_345, 12)
  assert.throws(() => readRoaringBitmap(cookie, 9), /cookie/)
})
