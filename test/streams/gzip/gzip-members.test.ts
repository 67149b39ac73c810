import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constants, crc32, deflateRawSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { isTailraceError } from '../../../src/errors.ts'
import type { LineBlock } from '../../../src/records.ts'
import { GzipMembers } from '../../../src/streams/gzip/gzip-members.ts'
import { anyBytes, anyCuts, chunksOf, spanOf } from '../blob-chunks.ts'
import { through } from '../through.ts'

const gzip = (text: string | Buffer): Buffer => gzipSync(text)

/** A member whose header has every optional field. */
function withFullHeader(text: string): Buffer {
  const fixed = Buffer.from([0x1f, 0x8b, 8, 0x1e, 1, 2, 3, 4, 0, 255])
  const extra = Buffer.from([5, 0, 65, 66, 1, 0, 0])
  const head = Buffer.concat([fixed, extra, Buffer.from('server.log\0'), Buffer.from('a note\0')])
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(crc32(text), 0)
  trailer.writeUInt32LE(Buffer.byteLength(text), 4)
  const headCrc = Buffer.alloc(2)
  headCrc.writeUInt16LE(crc32(head) & 0xffff)
  return Buffer.concat([head, headCrc, deflateRawSync(text), trailer])
}

/** The lines of the blocks up to each closing one, by its span. */
function unitsOf(blocks: readonly LineBlock[]): { start: number; end: number; lines: string[] }[] {
  const units: { start: number; end: number; lines: string[] }[] = []
  let lines: string[] = []
  for (const block of blocks) {
    for (const line of block.lines) {
      assert.equal(line.offset, block.span.start)
      lines.push(line.latin1)
    }
    if (block.open) {
      assert.equal(block.span.end, block.span.start)
      continue
    }
    units.push({ start: block.span.start, end: block.span.end, lines })
    lines = []
  }
  return units
}

test('members tile the blob and hold their lines, wherever the chunks are cut', async () => {
  const anyMember = fc.tuple(anyBytes, fc.constantFrom(0, 1, 6), fc.constantFrom(0, 0, 0, 3))
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyMember, { maxLength: 5 }),
      anyCuts,
      fc.constantFrom(0, 4_294_967_290),
      async (given, cuts, start) => {
        const members = given.map(([bytes, level, padding]) => ({
          bytes,
          blob: gzipSync(bytes, { level }),
          padding: Buffer.alloc(padding),
        }))
        const blob = Buffer.concat(members.flatMap((member) => [member.blob, member.padding]))
        const stage = new GzipMembers()
        const units = unitsOf(await through<LineBlock>(stage, chunksOf(blob, cuts, start)))
        let next: number = start
        for (const unit of units) {
          assert.equal(unit.start, next)
          next = unit.end
        }
        assert.equal(next, start + blob.length)
        assert.equal(stage.nextOffset, blob.length === 0 ? undefined : next)
        let at = start
        const expected = members.map(({ bytes, blob: { length }, padding }) => {
          const unit = { start: at, end: at + length, lines: linesOf(bytes) }
          at += length + padding.length
          return unit
        })
        const isPadding = ({ start: from }: { start: number }): boolean => blob[from - start] === 0
        assert.deepEqual(
          units.filter((unit) => !isPadding(unit)),
          expected,
        )
        for (const unit of units.filter(isPadding)) assert.deepEqual(unit.lines, [])
      },
    ),
    { numRuns: 200 },
  )
})

test('a member may be cut at every one of its bytes, its header and trailer included', async () => {
  const blob = Buffer.concat([withFullHeader('{"a":1}\n{"a":2}'), gzip('{"b":1}\n')])
  const whole = unitsOf(await through<LineBlock>(new GzipMembers(), chunksOf(blob, [])))
  assert.deepEqual(
    whole.map(({ lines }) => lines),
    [['{"a":1}', '{"a":2}'], ['{"b":1}']],
  )
  for (let cut = 1; cut < blob.length; cut += 1) {
    assert.deepEqual(unitsOf(await through<LineBlock>(new GzipMembers(), chunksOf(blob, [cut]))), whole)
  }
  const bytes = [...blob.keys()]
  assert.deepEqual(unitsOf(await through<LineBlock>(new GzipMembers(), chunksOf(blob, bytes))), whole)
})

test('an incomplete member has no closing block, and the next offset is its start', async () => {
  const first = gzip('{"a":1}\n')
  const second = gzip(`{"b":1}\n${'x'.repeat(1000)}`)
  for (const missing of [1, 8, 9, second.length - 1]) {
    const stage = new GzipMembers()
    const blob = Buffer.concat([first, second.subarray(0, second.length - missing)])
    const blocks = await through<LineBlock>(stage, chunksOf(blob, [20], 100))
    const closed = blocks.filter(({ open }) => !open)
    assert.deepEqual(
      closed.map(({ span }) => span),
      [spanOf(100, 100 + first.length)],
    )
    assert.equal(stage.nextOffset, 100 + first.length)
  }
  assert.equal(new GzipMembers().nextOffset, undefined)
})

test("a member's line over the limit is cut and marked, also when the member's end ends it", async () => {
  const blob = gzip(`${'x'.repeat(11)}\n${'y'.repeat(10)}\n${'z'.repeat(12)}`)
  const blocks = await through<LineBlock>(new GzipMembers({ maxLineBytes: 10 }), chunksOf(blob, []))
  assert.deepEqual(
    blocks.flatMap(({ lines, tooLong }) =>
      lines.map(({ latin1, length }, index) => [latin1, length, tooLong.includes(index)]),
    ),
    [
      ['x'.repeat(10), 12, true],
      ['y'.repeat(10), 11, false],
      ['z'.repeat(10), 13, true],
    ],
  )
})

test('a byte order mark is dropped at the beginning of every member and nowhere else', async () => {
  // A line that is as long as what is decompressed at a time, so that the next one begins a block.
  const long = 'x'.repeat(64 * 1024 - 1)
  const members = ['\ufeff{"a":1}\n\ufeff{"a":2}\n', '\ufeff{"b":1}', `${long}\n\ufeff{"c":1}\n`]
  const blob = Buffer.concat(members.map(gzip))
  const blocks = await through<LineBlock>(new GzipMembers(), chunksOf(blob, []))
  assert.deepEqual(
    blocks.flatMap(({ lines }) => lines.map(({ latin1 }) => latin1)),
    ['{"a":1}', '\xef\xbb\xbf{"a":2}', '{"b":1}', long, '\xef\xbb\xbf{"c":1}'],
  )
})

test('damage is told with the blob, the member and the place, and nothing of the member is closed', async () => {
  const first = gzip('{"a":1}\n')
  const second = gzip(`{"b":"${'abc'.repeat(100)}"}\n`)
  const damaged = (at: number, byte: number): Buffer => {
    const copy = Buffer.from(second)
    copy[at] = byte
    return copy
  }
  const last = second.length - 1
  const cases: [string, Buffer, RegExp][] = [
    ['checksum', damaged(last - 5, (second[last - 5] as number) ^ 1), /checksum/],
    ['length', damaged(last, 1), /length/],
    ['method', damaged(2, 7), /compression method/],
    ['flags', damaged(3, 0x80), /flags/],
    ['data', damaged(10, 0xff), /compressed data is corrupt/],
    ['garbage', Buffer.from('{"a":1}\n'), /has no gzip member at byte/],
  ]
  for (const [what, bytes, message] of cases) {
    const blocks: LineBlock[] = []
    const stage = new GzipMembers()
    stage.on('data', (block: LineBlock) => blocks.push(block))
    const failure = new Promise<unknown>((resolve) => stage.on('error', resolve))
    for (const chunk of chunksOf(Buffer.concat([first, bytes]), [], 7)) stage.write(chunk)
    const error = await failure
    assert.ok(isTailraceError(error, 'SOURCE_UNSUPPORTED'), what)
    assert.match(error.message, message)
    assert.match(error.message, /logs\/server\.ndjson/)
    assert.match(error.message, new RegExp(`byte ${7 + first.length}\\b`))
    assert.equal(blocks.filter(({ open }) => !open).length, 1, what)
  }
})

test('a header that never ends is refused before it fills memory', async () => {
  const header = Buffer.concat([
    Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0]),
    Buffer.alloc(300_000, 'n'),
  ])
  await assert.rejects(through(new GzipMembers(), chunksOf(header, [])), /header is longer than/)
})

test('a chunk that does not continue the one before it is SPAN_GAP', async () => {
  const blob = gzip('{"a":1}\n')
  const chunks = [
    { span: spanOf(0, 4), bytes: blob.subarray(0, 4) },
    { span: spanOf(5, 9), bytes: blob.subarray(5, 9) },
  ]
  await assert.rejects(through(new GzipMembers(), chunks), (error) => isTailraceError(error, 'SPAN_GAP'))
})

test('a few bytes that become a gigabyte are held as a few blocks while the next stage is slow', async () => {
  const line = `${JSON.stringify({ a: 'x'.repeat(1000) })}\n`
  const megabyte = Buffer.from(line.repeat(1024))
  // One deflate block, repeated: each ends on a byte, so they can be joined.
  const block = deflateRawSync(megabyte, { finishFlush: constants.Z_FULL_FLUSH })
  const count = 64
  const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
  const blob = Buffer.concat([header, ...Array.from({ length: count }, () => block)])
  const stage = new GzipMembers()
  stage.write({ span: spanOf(0, blob.length), bytes: blob })
  for (let turn = 0; turn < 200; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  assert.ok(stage.readableLength <= 2, `${stage.readableLength} blocks`)
  stage.end()
  let lines = 0
  for await (const { lines: some } of stage as AsyncIterable<LineBlock>) lines += some.length
  assert.equal(lines, count * 1024)
})

test('destroying the stage amid a member ends it', async () => {
  const stage = new GzipMembers()
  const blob = gzip('{"a":1}\n'.repeat(1_000_000))
  stage.write({ span: spanOf(0, blob.length), bytes: blob })
  await new Promise((resolve) => stage.once('readable', resolve))
  stage.destroy()
  await new Promise((resolve) => stage.once('close', resolve))
  assert.equal(stage.nextOffset, 0)
})

function linesOf(bytes: Buffer): string[] {
  const lines = bytes.toString('latin1').split('\n')
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines
}
