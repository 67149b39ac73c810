import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile, rm } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../src/clock.ts'
import { type Batch, bytesAsLatin1, type EntryBlock } from '../../src/records.ts'
import { Batcher, type BatcherOptions } from '../../src/streams/batcher.ts'
import { Staging } from '../../src/streams/staging/staging.ts'
import { RowMemories, UsualRows } from '../../src/streams/staging/usual-rows.ts'
import { systemError, watchFileCalls } from '../support/faults/file-calls.ts'
import { largestVectorOf } from '../support/largest-vector.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { allEntries, recordBlock } from './record-blocks.ts'
import { through } from './through.ts'

const mebibyte = 1024 * 1024

async function batcherIn(t: TestContext, options: Partial<BatcherOptions> = {}) {
  const directory = await temporaryDirectory(t)
  return { directory, batcher: new Batcher({ staging: new Staging(directory, 3_600_000), ...options }) }
}

/** Text of a length in which no part is like another one of the same length. */
function textOf(bytes: number, seed: number): string {
  return Array.from({ length: Math.ceil(bytes / 8) }, (_, index) => String(index * 10 + seed).padStart(8))
    .join('')
    .slice(0, bytes)
}

test('rows of any size reach the file whole and in order, in writes of 1 MiB', async (t) => {
  const size = fc.oneof(fc.integer({ min: mebibyte - 80, max: mebibyte + 20 }), fc.nat({ max: 2_200_000 }))
  const part = fc.record({ isUsual: fc.boolean(), size })
  const directory = await temporaryDirectory(t)
  const staging = new Staging(directory, 3_600_000)
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 4 }), async (parts) => {
      let writes = 0
      const stop = await watchFileCalls(t, {
        before: ({ name }) => {
          if (name === 'file.write') writes += 1
          return undefined
        },
      })
      const usual = new UsualRows(new RowMemories())
      let start = 0
      const blocks = parts.map((given, seed): EntryBlock => {
        const text = given.isUsual ? `{"a":"${textOf(1_000, seed)}"}` : textOf(given.size, seed)
        const block = recordBlock(given.isUsual ? [] : [text], start)
        if (!given.isUsual) {
          start = block.span.end
          return block
        }
        const from = start
        for (let held = 0; held < given.size; held += text.length) {
          assert.ok(usual.take(text, start, true))
          start += text.length + 1
        }
        return { span: { ...block.span, start: from, end: start }, entries: [], usual: usual.finish() }
      })
      // Before the batcher takes the memory of the usual rows.
      const expected = blocks.flatMap(allEntries).map(({ raw }) => raw)
      const [batch] = await through<Batch>(new Batcher({ staging, maxBytes: 1_000 * mebibyte }), blocks)
      stop()
      const spooled = await readFile(batch!.spoolPath, 'latin1')
      const rows = spooled.split('\n').slice(0, -1)
      assert.ok(
        rows.length === expected.length &&
          rows.every((row, at) => row.endsWith(bytesAsLatin1(expected[at]!))),
      )
      assert.equal(batch!.rows, rows.length)
      assert.equal(batch!.spoolBytes, spooled.length)
      assert.equal(batch!.longestRowBytes, Math.max(0, ...rows.map((row) => row.length + 1)))
      assert.equal(batch!.largestVectorBytes, largestVectorOf(rows.map((row) => `${row}\n`)))
      assert.equal(writes, Math.ceil(spooled.length / mebibyte))
      await rm(batch!.spoolPath)
    }),
    { numRuns: 8 },
  )
})

test('a batch whose seal by age fails ends the stage with the error', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { batcher, directory } = await batcherIn(t, { maxAgeMs: 1_000, clock: systemClock })
  await watchFileCalls(t, {
    before: (call) => {
      if (call.name === 'file.write' && call.path.startsWith(directory)) throw systemError('EIO', call)
      return undefined
    },
  })
  await write(batcher, recordBlock(['{"a":1}']))
  const failed = once(batcher, 'error')
  t.mock.timers.tick(1_000)
  const [error] = await failed
  assert.equal((error as { code: string }).code, 'DIRECTORY_UNUSABLE')
  assert.deepEqual(await readdir(directory), [])
})

test('a batch that waited behind another is sealed within 250 ms of the time it may be', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { batcher } = await batcherIn(t, { maxAgeMs: 10_000, clock: systemClock })
  t.after(() => batcher.destroy())
  await write(batcher, recordBlock(['{"a":1}']))
  t.mock.timers.tick(10_000)
  while (batcher.readableLength === 0) await turn()
  await write(batcher, recordBlock(['{"a":2}'], 8))
  t.mock.timers.tick(10_000)
  await turn()
  assert.equal((batcher.read() as Batch).rows, 1)
  t.mock.timers.tick(250)
  const deadline = Date.now() + 10_000
  while (batcher.readableLength === 0 && Date.now() < deadline) await turn()
  assert.equal((batcher.read() as Batch | null)?.rows, 1)
})

function write(batcher: Batcher, block: EntryBlock): Promise<void> {
  return new Promise((resolve, reject) =>
    batcher.write(block, (error) => (error ? reject(error) : resolve())),
  )
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
