import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Batch, Entry, EntryBlock, LineBlock } from '../../../src/records.ts'
import { Batcher } from '../../../src/streams/batcher.ts'
import { LineSplitter } from '../../../src/streams/line-splitter.ts'
import { entriesOf, RecordValidator } from '../../../src/streams/record-validator.ts'
import { spoolRow } from '../../../src/streams/staging/spool.ts'
import { Staging } from '../../../src/streams/staging/staging.ts'
import { RowMemories, setSpanIndex, UsualRows } from '../../../src/streams/staging/usual-rows.ts'
import { anyLine } from '../any-line.ts'
import { anyBytes, anyCuts, chunksOf, generation, spanOf } from '../blob-chunks.ts'
import { allEntries } from '../record-blocks.ts'
import { through } from '../through.ts'

/** Usual lines, odd ones, and bytes of every kind. */
const anyBlob = fc
  .array(fc.oneof(anyLine, anyBytes, fc.constantFrom('{"a":1}', '{"a":[1,{"b":"ä"}]}', '{"a":"[x]"}')), {
    maxLength: 10,
  })
  .map((lines) => Buffer.concat(lines.flatMap((line) => [Buffer.from(line as string), Buffer.from('\n')])))

const anyStart = fc.oneof(
  fc.constantFrom(0, 999_999_995, 4_294_967_290, Number.MAX_SAFE_INTEGER - 100_000),
  fc.nat(),
)

/** The reference: a splitter that finds newlines and nothing else. */
function naiveBlock(bytes: Buffer, start: number, maxLineBytes: number): LineBlock {
  const texts = bytes.toString('latin1').split('\n').slice(0, -1)
  let offset = start
  const lines = texts.map((text) => {
    const line = { offset, length: text.length + 1, latin1: text.slice(0, maxLineBytes) }
    offset += line.length
    return line
  })
  const tooLong = texts.flatMap((text, index) => (text.length > maxLineBytes ? [index] : []))
  return { span: spanOf(start, offset), lines, utf8: false, tooLong }
}

test('usual rows and objects together are the entries of a naive splitter, for any bytes and cuts', async () => {
  const memories = new RowMemories()
  await fc.assert(
    fc.asyncProperty(
      anyBlob,
      anyCuts,
      anyStart,
      fc.constantFrom(20, 16 * 1024 * 1024),
      async (bytes, cuts, start, maxLineBytes) => {
        const splitter = new LineSplitter({ maxLineBytes, usual: new UsualRows(memories) })
        const entries = []
        let next = start
        for (const chunk of chunksOf(bytes, cuts, start)) {
          const lines = splitter.split(chunk)
          if (lines === undefined) continue
          const block = entriesOf(lines)
          assert.equal(block.span.start, next)
          next = block.span.end
          entries.push(...allEntries(block))
          block.usual?.release()
        }
        assert.equal(next, start + bytes.lastIndexOf(0x0a) + 1)
        const { entries: expected } = entriesOf(naiveBlock(bytes, start, maxLineBytes))
        const plain = (list: unknown[]): unknown => JSON.parse(JSON.stringify(list))
        assert.deepEqual(plain(entries), plain([...expected]))
      },
    ),
    { numRuns: 1_000 },
  )
})

test('lines longer than a piece of text for split2, or too long to be usual, keep their place', () => {
  const lengths = [9, 65_535, 65_536, 65_537, 200_000, 20, 1024 * 1024, 1024 * 1024 + 1, 65_530, 9]
  const bytes = Buffer.from(lengths.map((length) => `{"a":"${'x'.repeat(length - 8)}"}\n`).join(''))
  for (const cuts of [[], [65_546], [70_000, 131_090], [bytes.length - 5], [500_000, 700_000, 1_900_000]]) {
    const splitter = new LineSplitter({ usual: new UsualRows(new RowMemories()) })
    const blocks = chunksOf(bytes, cuts, 3).flatMap((chunk) => splitter.split(chunk) ?? [])
    const objects = blocks.flatMap(({ lines }) => lines.map(({ latin1 }) => latin1.length))
    assert.deepEqual(objects, [1024 * 1024 + 1])
    const entries = blocks.flatMap((block) => allEntries(entriesOf(block)))
    const expected = entriesOf(naiveBlock(bytes, 3, bytes.length)).entries
    const place = ({ offset, length, raw }: Entry): unknown[] => [offset, length, raw.length]
    assert.deepEqual(entries.map(place), expected.map(place))
  }
})

test('the spool holds usual rows as spoolRow writes them, among the rows of other entries', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-rows-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const staging = new Staging(directory, 3_600_000)
  const memories = new RowMemories()
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(anyBlob, anyCuts), { minLength: 1, maxLength: 13 }), async (blobs) => {
      const blocks: EntryBlock[] = []
      const expected: string[] = []
      for (const [index, [bytes, cuts]] of blobs.entries()) {
        const splitter = new LineSplitter({ usual: new UsualRows(memories) })
        const blob = `logs/${index}`
        const named = chunksOf(bytes, cuts).map((chunk) => ({ ...chunk, span: { ...chunk.span, blob } }))
        const found = await through<EntryBlock>(new RecordValidator(), await through(splitter, named))
        blocks.push(...found)
        if (found.length > 0) {
          const span = new Set(blocks.map(({ span }) => span.blob)).size - 1
          const { entries } = entriesOf(naiveBlock(bytes, 0, bytes.length))
          expected.push(...entries.map((entry) => spoolRow(entry, span)))
        }
      }
      const [batch] = await through<Batch>(new Batcher({ staging }), blocks)
      const text = batch === undefined ? '' : await readFile(batch.spoolPath, 'latin1')
      const rows = text.split('\n').slice(0, -1)
      const withoutZeros = rows.map((row) => `${row.replace(/^0+(?=\d)/, '')}\n`)
      assert.deepEqual(withoutZeros.sort(), expected.sort())
      assert.equal(batch?.rows ?? 0, expected.length)
      assert.equal(batch?.spoolBytes ?? 0, text.length)
      assert.equal(batch?.longestRowBytes ?? 0, Math.max(0, ...rows.map((row) => row.length + 1)))
    }),
    { numRuns: 150 },
  )
})

test('memory that was released is used again, and rows in other memory stay as they are', () => {
  const memories = new RowMemories()
  const usual = new UsualRows(memories)
  const rowsOf = (text: string) => {
    assert.ok(usual.take(text, 7, true))
    return usual.finish()!
  }
  const first = rowsOf('{"a":1}')
  const second = rowsOf('{"b":2}')
  const text = second.bytes.toString()
  assert.notEqual(first.bytes.buffer, second.bytes.buffer)
  first.release()
  const third = rowsOf('{"c":3}')
  assert.equal(third.bytes.buffer, first.bytes.buffer)
  assert.equal(second.bytes.toString(), text)
})

test('a block of any number of short lines fits, because its memory grows', () => {
  const usual = new UsualRows(new RowMemories())
  const count = 50_000
  for (let line = 0; line < count; line += 1) assert.ok(usual.take('{}', 3 * line, true))
  const block = { span: { ...generation, start: 0, end: 3 * count }, entries: [], usual: usual.finish() }
  const entries = allEntries(block)
  assert.equal(entries.length, count)
  assert.deepEqual(entries.at(-1), { offset: 3 * (count - 1), length: 3, index: 0, raw: '{}', form: 'flat' })
})

test('the index of a span may have any number of digits up to eight', () => {
  const usual = new UsualRows(new RowMemories())
  for (const index of [0, 7, 10, 65_536, 99_999_999]) {
    usual.take('{"a":1}', 5, true)
    usual.take('{"b":1}', 13, true)
    const rows = usual.finish()!
    setSpanIndex(rows, index)
    const found = [...rows.starts].map((start) => Number(rows.bytes.toString('latin1', start, start + 8)))
    assert.deepEqual(found, [index, index])
  }
})
