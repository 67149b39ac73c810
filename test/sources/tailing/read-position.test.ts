import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BlobRead } from '../../../src/sources/blob-reader.ts'
import {
  type BytesRead,
  ReadPosition,
  type ReadPositionOptions,
} from '../../../src/sources/tailing/read-position.ts'

const createdAt = '20261124T084700Z'

function answerOf(bytes: Buffer, more: Partial<BytesRead> = {}): BytesRead {
  return {
    kind: 'bytes',
    bytes,
    totalBytes: 10_000_000,
    etag: '"1"',
    createdAt,
    blobType: 'append',
    ...more,
  }
}

function readOf(bytes: number): { readonly read: BytesRead; readonly releases: () => number } {
  let count = 0
  const release = (): void => {
    count += 1
  }
  return { read: answerOf(Buffer.alloc(bytes, 'x'), { release }), releases: () => count }
}

function position(more: Partial<ReadPositionOptions> = {}): ReadPosition {
  return new ReadPosition({
    blob: 'logs/a.json',
    generation: undefined,
    offset: 0,
    createdAt: undefined,
    before: undefined,
    head: undefined,
    ...more,
  })
}

test('the memory of a range is released once, after the last of its chunks', () => {
  const { read, releases } = readOf(1_000_000)
  const chunks = position().take(read, 0, Number.POSITIVE_INFINITY)
  assert.ok(chunks.length > 2)
  for (const chunk of chunks.toReversed()) {
    assert.equal(releases(), 0)
    chunk.release?.()
  }
  assert.equal(releases(), 1)
})

test('the memory of a range without new bytes is released at once', () => {
  const { read, releases } = readOf(64)
  assert.deepEqual(position().take(read, 64, Number.POSITIVE_INFINITY), [])
  assert.equal(releases(), 1)
})

/** What is known of a blob of 300 different bytes, and an answer about it or about one in which a byte differs. */
const anyKnowledge = fc.record({
  offset: fc.nat({ max: 150 }),
  beforeBytes: fc.nat({ max: 64 }),
  headBytes: fc.nat({ max: 200 }),
  newBytes: fc.nat({ max: 150 }),
  differsAt: fc.option(fc.nat({ max: 299 }), { nil: undefined }),
})
const content = Buffer.from(Array.from({ length: 300 }, (_, index) => index % 251))

test('an answer is of the generation exactly if every byte in it that is known from before is the same', () => {
  fc.assert(
    fc.property(anyKnowledge, ({ offset, beforeBytes, headBytes, newBytes, differsAt }) => {
      const beforeStart = Math.max(0, offset - beforeBytes)
      const known = position({
        offset,
        createdAt,
        before: content.subarray(beforeStart, offset),
        head: content.subarray(0, headBytes),
      })
      const other = Buffer.from(content)
      if (differsAt !== undefined) other[differsAt] = 255
      const overlap = Math.min(64, offset)
      const [start, end] = [offset - overlap, offset + newBytes]
      const isKnown = (at: number) => at < headBytes || (at >= beforeStart && at < offset)
      const isSame = differsAt === undefined || differsAt < start || differsAt >= end || !isKnown(differsAt)
      assert.equal(known.matches(answerOf(other.subarray(start, end)), overlap), isSame)
    }),
    { numRuns: 2_000 },
  )
})

test('an answer of another instant, or of a blob shorter than what is known of it, is of another generation', () => {
  const matches = (known: ReadPosition, more: Partial<BytesRead>) => known.matches(answerOf(content, more), 0)
  assert.equal(matches(position({ createdAt }), {}), true)
  assert.equal(matches(position({ createdAt }), { createdAt: '20261124T084701Z' }), false)
  assert.equal(matches(position(), { createdAt: '20261124T084701Z' }), true)
  assert.equal(matches(position({ offset: 100 }), { totalBytes: 100 }), true)
  assert.equal(matches(position({ offset: 100 }), { totalBytes: 99 }), false)
  const head = content.subarray(0, 100)
  assert.equal(matches(position({ head }), { totalBytes: 100 }), true)
  assert.equal(matches(position({ head }), { totalBytes: 99 }), false)
  assert.equal(matches(position({ offset: 50, head }), { totalBytes: 60 }), false)
})

test('an answer cut within the bytes that were read last is compared as far as it goes', () => {
  const known = position({ offset: 100, createdAt, before: content.subarray(36, 100) })
  assert.equal(known.matches(answerOf(content.subarray(36, 60)), 64), true)
  assert.equal(known.matches(answerOf(content.subarray(37, 60)), 64), false)
})

test('taken answers tile the blob in chunks up to the end offset, and the last 64 bytes taken are remembered', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 6 }),
      fc.nat({ max: 80 }),
      fc.option(fc.nat({ max: 200 }), { nil: undefined }),
      (sizes, start, endAfter) => {
        const endOffset = endAfter === undefined ? Number.POSITIVE_INFINITY : start + endAfter
        const before = content.subarray(Math.max(0, start - 64), start)
        const known = position({ offset: start, before })
        let end = start
        for (const size of sizes) {
          const overlap = Math.min(64, known.offset)
          const from = known.offset
          const to = Math.min(300, from + size)
          const chunks = known.take(answerOf(content.subarray(from - overlap, to)), overlap, endOffset)
          end = Math.max(from, Math.min(to, endOffset))
          const bytes = content.subarray(from, end)
          const span = { blob: 'logs/a.json', generation: createdAt, start: from, end }
          assert.deepEqual(
            chunks.map((chunk) => [chunk.span, chunk.bytes.toString('hex')]),
            bytes.length === 0 ? [] : [[span, bytes.toString('hex')]],
          )
          assert.equal(known.createdAt, createdAt)
        }
        assert.equal(known.offset, end)
        assert.deepEqual(known.before, content.subarray(Math.max(0, end - 64), end))
      },
    ),
  )
})

test('a large range comes in chunks of 256 KiB that touch', () => {
  const bytes = Buffer.alloc(600_000, 'x')
  const chunks = position({ offset: 7 }).take(answerOf(bytes), 0, 7 + 600_000)
  assert.deepEqual(
    chunks.map(({ span, bytes: part }) => [span.start, span.end, part.length]),
    [
      [7, 262_151, 262_144],
      [262_151, 524_295, 262_144],
      [524_295, 600_007, 75_712],
    ],
  )
})

test('the generation and the instant are those given, or those of the first answer', () => {
  const given = position({ generation: '20261124T084700Z.2', createdAt })
  const [chunk] = given.take(answerOf(content), 0, 300)
  assert.equal(chunk?.span.generation, '20261124T084700Z.2')
  const found = position()
  assert.equal(found.createdAt, undefined)
  found.take(answerOf(content.subarray(0, 10)), 0, 300)
  const [later] = found.take(answerOf(content, { createdAt: 'later' }), 10, 300)
  assert.deepEqual([later?.span.generation, found.createdAt], [createdAt, createdAt])
})

test('a blob said to end below the offset is replaced unless its head has the same instant and enough length', () => {
  const known = position({ offset: 100, createdAt })
  const cases: readonly [BlobRead, string][] = [
    [{ kind: 'missing', what: 'blob' }, 'missing'],
    [{ kind: 'nothing-there' }, 'replaced'],
    [answerOf(content, { totalBytes: 100 }), 'unchanged'],
    [answerOf(content, { totalBytes: 99 }), 'replaced'],
    [answerOf(content, { createdAt: '20261124T084701Z' }), 'replaced'],
  ]
  for (const [head, judgment] of cases) assert.equal(known.judgeShorter(head), judgment)
})

test('the bytes remembered keep neither the range nor a copy of it in memory', () => {
  const known = position()
  known.take(answerOf(Buffer.alloc(1_000_000, 'x')), 0, 1_000_000)
  assert.equal(known.before.length, 64)
  assert.ok(known.before.buffer.byteLength <= 64 * 1024)
})
