import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../../doubles/seeded-random.ts'
import { SerialQueue } from '../../src/offsets/serial-queue.ts'
import type { EntryBlock, LineBlock } from '../../src/records.ts'
import { Batcher } from '../../src/streams/batcher.ts'
import { LaneMerge } from '../../src/streams/lane-merge.ts'
import { LineSplitter } from '../../src/streams/line-splitter.ts'
import { RecordValidator } from '../../src/streams/record-validator.ts'
import { LongLines } from '../../src/streams/staging/long-lines.ts'
import { Staging } from '../../src/streams/staging/staging.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { chunksOf, spanOf } from './blob-chunks.ts'
import { through } from './through.ts'

const mebibyte = 1024 * 1024
const chunkBytes = 256 * 1024

async function longLinesOf(t: TestContext) {
  const directory = await temporaryDirectory(t)
  const staging = new Staging(directory, 1e9)
  return { directory, staging, longLines: new LongLines({ staging }) }
}

function* chunksOfLine(bytes: number): Generator<ReturnType<typeof chunksOf>[number]> {
  const line = Buffer.from(`{"a":"${'x'.repeat(bytes)}"}\n`)
  for (let start = 0; start < line.length; start += chunkBytes) {
    const end = Math.min(line.length, start + chunkBytes)
    yield { span: spanOf(start, end), bytes: line.subarray(start, end) }
  }
}

test('long lines have the texts and places that they have without the file of an open line', async (t) => {
  const { directory, longLines } = await longLinesOf(t)
  const random = seededRandom(7)
  const lengths = [0, 5, 2 * mebibyte, 3, mebibyte, 4 * mebibyte + 1, 1_200_000, 9]
  const text = Buffer.concat(
    lengths.flatMap((length) => [Buffer.alloc(length, random.between(0x80, 0xff)), Buffer.from('\n')]),
  )
  const cuts = Array.from({ length: 60 }, () => random.between(0, text.length))
  for (const maxLineBytes of [16 * mebibyte, 3 * mebibyte]) {
    const expected = await through<LineBlock>(new LineSplitter({ maxLineBytes }), chunksOf(text, cuts))
    const splitter = new LineSplitter({ maxLineBytes, longLines })
    let stored = 0
    let turns = 0
    const found: LineBlock[] = []
    splitter.on('data', (block: LineBlock) => {
      const { release, ...rest } = block
      if (release !== undefined) turns += 1
      release?.()
      found.push(rest)
    })
    for (const chunk of chunksOf(text, cuts)) {
      await new Promise<void>((resolve, reject) => {
        splitter.write(chunk, (error) => (error ? reject(error) : resolve()))
      })
      stored = Math.max(stored, (await readdir(directory)).length)
    }
    splitter.end()
    await once(splitter, 'close')
    assert.deepEqual(found, expected)
    assert.equal(stored, 1)
    assert.equal(turns, lengths.filter((length) => length > mebibyte).length)
    assert.deepEqual(await readdir(directory), [])
  }
})

test('of the long lines of many lanes one is under way, until the batcher has written it', async (t) => {
  const { directory, staging, longLines } = await longLinesOf(t)
  const merge = new LaneMerge()
  const batcher = new Batcher({ staging })
  const lanes = 5
  const validators = Array.from({ length: lanes }, () => {
    const splitter = new LineSplitter({ longLines })
    const validator = new RecordValidator()
    splitter.pipe(validator).pipe(merge.inlet())
    for (const chunk of chunksOfLine(2 * mebibyte)) splitter.write(chunk)
    return validator
  })
  const passed: EntryBlock[] = []
  for (const validator of validators) validator.on('data', (block: EntryBlock) => passed.push(block))
  const taken: EntryBlock[] = []
  for await (const block of merge as AsyncIterable<EntryBlock>) {
    await eventually(async () => passed.length > taken.length, 'block of the next lane')
    // Whatever else could move has the time to move.
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(passed.length, taken.length + 1)
    taken.push({ ...block, span: { ...block.span, blob: `logs/${taken.length}` } })
    await new Promise<void>((resolve) => batcher.write(taken.at(-1), () => resolve()))
    if (taken.length === lanes) break
  }
  assert.deepEqual(
    (await readdir(directory)).filter((name) => name.endsWith('.line')),
    [],
  )
  batcher.destroy()
  await once(batcher, 'close')
})

test('a lane that ends while it waits for its turn does not take it, and leaves no file', async (t) => {
  const { directory, longLines } = await longLinesOf(t)
  const endFirst = await longLines.takeTurn(new AbortController().signal)
  const splitter = new LineSplitter({ longLines })
  splitter.on('data', () => assert.fail('the line came without its turn'))
  for (const chunk of chunksOfLine(2 * mebibyte)) splitter.write(chunk)
  const waiting = longLines.takeTurn(new AbortController().signal)
  splitter.destroy()
  await once(splitter, 'close')
  assert.deepEqual(await readdir(directory), [])
  endFirst()
  endFirst()
  const endSecond = await waiting
  endSecond()
  ;(await longLines.takeTurn(new AbortController().signal))()
})

test('a long line is neither put together nor read while another stage works on a long text', async (t) => {
  const staging = new Staging(await temporaryDirectory(t), 1e9)
  const longTexts = new SerialQueue()
  const longLines = new LongLines({ staging, longTexts })
  const splitter = new LineSplitter({ longLines })
  const validator = new RecordValidator({ longLines })
  const steps: string[] = []
  const work = async (name: string): Promise<void> => {
    // Everything that can move moves.
    await new Promise((resolve) => setTimeout(resolve, 50))
    steps.push(name)
  }
  splitter.on('data', (block: LineBlock) => {
    steps.push('put together')
    longTexts.run(() => work('second work'))
    validator.write(block)
  })
  longTexts.run(() => work('first work'))
  for (const chunk of chunksOfLine(2 * mebibyte)) splitter.write(chunk)
  const [block] = (await once(validator, 'data')) as [EntryBlock]
  steps.push('read')
  assert.deepEqual(steps, ['first work', 'put together', 'second work', 'read'])
  assert.equal(block.entries.length, 1)
  splitter.destroy()
  validator.destroy()
  await once(splitter, 'close')
})
