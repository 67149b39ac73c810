import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTailraceError } from '../../src/errors.ts'
import type { LineBlock } from '../../src/records.ts'
import { defaultMaxLineBytes, LineSplitter } from '../../src/streams/line-splitter.ts'
import { anyBytes, anyCuts, chunksOf, spanOf } from './blob-chunks.ts'
import { through } from './through.ts'

const anyStart = fc.oneof(fc.constant(0), fc.constant(4_294_967_290), fc.nat())

test('blocks and lines tile the blob up to its last newline, wherever the chunks are cut', async () => {
  await fc.assert(
    fc.asyncProperty(anyBytes, anyCuts, anyStart, async (bytes, cuts, start) => {
      const blocks = await through<LineBlock>(new LineSplitter(), chunksOf(bytes, cuts, start))
      let next = start
      for (const block of blocks) {
        assert.equal(block.span.start, next)
        for (const line of block.lines) {
          assert.equal(line.offset, next)
          next += line.length
        }
        assert.equal(block.span.end, next)
      }
      assert.equal(next, start + bytes.lastIndexOf(0x0a) + 1)
    }),
  )
})

test('the text of every line is its bytes, and the unterminated tail never comes out', async () => {
  await fc.assert(
    fc.asyncProperty(anyBytes, anyCuts, async (bytes, cuts) => {
      const blocks = await through<LineBlock>(new LineSplitter(), chunksOf(bytes, cuts))
      const texts = blocks.flatMap(({ lines }) => lines.map(({ latin1 }) => latin1))
      assert.deepEqual(texts, bytes.toString('latin1').split('\n').slice(0, -1))
      assert.deepEqual(
        blocks.flatMap(({ tooLong }) => tooLong),
        [],
      )
    }),
  )
})

test('a block says that it is UTF-8 only when each of its lines is', async () => {
  await fc.assert(
    fc.asyncProperty(anyBytes, anyCuts, async (bytes, cuts) => {
      for (const { utf8, lines } of await through<LineBlock>(new LineSplitter(), chunksOf(bytes, cuts))) {
        assert.equal(
          utf8,
          lines.every(({ latin1 }) => isUtf8(Buffer.from(latin1, 'latin1'))),
        )
      }
    }),
    { numRuns: 300 },
  )
})

test('lines over the limit are cut to it and marked, and every other line keeps its exact place', async () => {
  const lines = fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(lines, anyCuts, fc.integer({ min: 1, max: 12 }), async (lengths, cuts, maxLineBytes) => {
      const texts = lengths.map((length, index) => String.fromCharCode(97 + index).repeat(length))
      const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
      const blocks = await through<LineBlock>(new LineSplitter({ maxLineBytes }), chunksOf(bytes, cuts))
      let offset = 0
      const expected = texts.map((text) => {
        const line = { offset, length: text.length + 1, latin1: text.slice(0, maxLineBytes) }
        offset += line.length
        return { ...line, tooLong: text.length > maxLineBytes }
      })
      const found = blocks.flatMap(({ lines: some, tooLong }) =>
        some.map((line, index) => ({ ...line, tooLong: tooLong.includes(index) })),
      )
      assert.deepEqual(found, expected)
    }),
    { numRuns: 300 },
  )
})

test('a line exactly at the limit is whole, and one byte more is not', async () => {
  const bytes = Buffer.from(`${'x'.repeat(1024)}\n${'y'.repeat(1025)}\n`)
  for (const cuts of [[], [1024], [1025], [1026, 2050], [1, 2049]]) {
    const blocks = await through<LineBlock>(new LineSplitter({ maxLineBytes: 1024 }), chunksOf(bytes, cuts))
    const marks = blocks.flatMap(({ lines, tooLong }) => lines.map((_line, index) => tooLong.includes(index)))
    assert.deepEqual(marks, [false, true])
  }
})

test('a line is whole up to 16 MiB by default', async () => {
  assert.equal(defaultMaxLineBytes, 16 * 1024 * 1024)
  const bytes = Buffer.alloc(defaultMaxLineBytes + 1, 'x')
  for (const length of [defaultMaxLineBytes, defaultMaxLineBytes + 1]) {
    const line = Buffer.concat([bytes.subarray(0, length), Buffer.from('\n')])
    const [block] = await through<LineBlock>(new LineSplitter(), chunksOf(line, []))
    assert.deepEqual(block?.tooLong, length > defaultMaxLineBytes ? [0] : [])
    assert.equal(block?.lines[0]?.latin1.length, defaultMaxLineBytes)
  }
})

test('lines of any length around 64 KiB within one chunk keep their text and place', async () => {
  const around = fc.oneof(
    fc.integer({ min: 65_530, max: 65_545 }),
    fc.integer({ min: 32_760, max: 32_775 }),
    fc.nat({ max: 3 }),
    fc.constant(140_000),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(around, { minLength: 1, maxLength: 6 }), async (lengths) => {
      const texts = lengths.map((length, index) => String.fromCharCode(97 + index).repeat(length))
      const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
      const blocks = await through<LineBlock>(new LineSplitter(), chunksOf(bytes, []))
      let next = 0
      const expected = texts.map((latin1) => {
        const offset = next
        next += latin1.length + 1
        return { offset, length: latin1.length + 1, latin1 }
      })
      assert.deepEqual(
        blocks.flatMap(({ lines }) => lines),
        expected,
      )
    }),
    { numRuns: 30 },
  )
})

test('of a splitter that begins inside a line, the rest of that line is dropped and the first span covers it', async () => {
  await fc.assert(
    fc.asyncProperty(anyBytes, anyCuts, anyStart, async (bytes, cuts, start) => {
      const whole = await through<LineBlock>(new LineSplitter(), chunksOf(bytes, cuts, start))
      const splitter = new LineSplitter({ insideLine: true })
      assert.equal(splitter.insideLine, true)
      const blocks = await through<LineBlock>(splitter, chunksOf(bytes, cuts, start))
      assert.equal(splitter.insideLine, !bytes.includes(0x0a))
      assert.deepEqual(
        blocks.map(({ span }) => span),
        whole.map(({ span }) => span),
      )
      assert.deepEqual(
        blocks.flatMap(({ lines }) => lines),
        whole.flatMap(({ lines }) => lines).slice(1),
      )
    }),
  )
  assert.equal(new LineSplitter().insideLine, false)
})

test('an overlong line of any length is held as no more than its prefix', async () => {
  // The same megabyte stands for a gigabyte of one line; a splitter that kept it would hold it 1,024 times.
  const megabyte = Buffer.alloc(1024 * 1024, 'x')
  const count = 1024
  function* chunks() {
    for (let index = 0; index < count; index += 1) {
      yield { span: spanOf(index * megabyte.length, (index + 1) * megabyte.length), bytes: megabyte }
    }
    const end = count * megabyte.length
    yield { span: spanOf(end, end + 5), bytes: Buffer.from('x\nok\n') }
  }
  const before = process.memoryUsage().rss
  let mostBytes = 0
  const blocks = await through<LineBlock>(
    new LineSplitter({ maxLineBytes: 4096 }),
    observed(chunks(), () => {
      mostBytes = Math.max(mostBytes, process.memoryUsage().rss - before)
    }),
  )
  assert.ok(mostBytes < 128 * 1024 * 1024, `${mostBytes} bytes more were resident`)
  assert.deepEqual(
    blocks.flatMap(({ lines }) => lines.map(({ offset, length, latin1 }) => [offset, length, latin1.length])),
    [
      [0, count * megabyte.length + 2, 4096],
      [count * megabyte.length + 2, 3, 2],
    ],
  )
})

test('a chunk that does not continue the one before it is SPAN_GAP', async () => {
  const first = { span: spanOf(0, 3), bytes: Buffer.from('ab\n') }
  const others = {
    gap: spanOf(4, 6),
    overlap: spanOf(2, 4),
    generation: { ...spanOf(3, 5), generation: '20261124T084701Z' },
    blob: { ...spanOf(3, 5), blob: 'logs/other.ndjson' },
  }
  for (const [what, span] of Object.entries(others)) {
    const chunks = [first, { span, bytes: Buffer.from('c\n') }]
    await assert.rejects(
      through(new LineSplitter(), chunks),
      (error) => isTailraceError(error, 'SPAN_GAP'),
      what,
    )
  }
})

test('the next offset is the start of the line that is still open', async () => {
  const splitter = new LineSplitter()
  assert.equal(splitter.nextOffset, undefined)
  await through(splitter, chunksOf(Buffer.from('one\ntw'), [], 100))
  assert.equal(splitter.nextOffset, 104)
})

test('the bytes kept before the next offset are the last 64 before it, wherever the chunks are cut', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'b', 'é'), maxLength: 90 })
  const cuts = fc.array(fc.nat({ max: 40 }), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 6 }), cuts, async (lines, sizes) => {
      const content = Buffer.from(lines.join('\n'))
      const splitter = new LineSplitter()
      await through(splitter, chunksOf(content, sizes))
      const next = splitter.nextOffset ?? 0
      assert.equal(
        splitter.before.toString('latin1'),
        content.subarray(Math.max(0, next - 64), next).toString('latin1'),
      )
    }),
    { numRuns: 300 },
  )
})

function* observed<Value>(values: Iterable<Value>, look: () => void): Generator<Value> {
  for (const value of values) {
    look()
    yield value
  }
}
