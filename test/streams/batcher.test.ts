import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { type Clock, systemClock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import {
  type Batch,
  type EntryBlock,
  generationKey,
  type StoredEntries,
  spanBytes,
} from '../../src/records.ts'
import { Batcher, type BatcherOptions } from '../../src/streams/batcher.ts'
import { DiskSpaceMonitor } from '../../src/streams/staging/disk-space-monitor.ts'
import { spoolRow } from '../../src/streams/staging/spool.ts'
import { Staging } from '../../src/streams/staging/staging.ts'
import { systemError, watchFileCalls } from '../support/faults/file-calls.ts'
import { recordBlock, rejectedEntry } from './record-blocks.ts'
import { through } from './through.ts'
import { VirtualClock } from './virtual-clock.ts'

async function fixture(t: TestContext, options: Partial<BatcherOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-batcher-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const staging = new Staging(directory, 3_600_000)
  const clock = new VirtualClock()
  return { directory, staging, clock, create: () => new Batcher({ staging, clock, ...options }) }
}

/** Blocks of `sizes[n]` records each, for one blob of several. */
function blocksOf(sizes: readonly { readonly blob: number; readonly rows: number }[]): EntryBlock[] {
  const ends = new Map<number, number>()
  return sizes.map(({ blob, rows }) => {
    const texts = Array.from({ length: rows }, (_, index) => `{"blob":${blob},"n":${index}}`)
    const { span, entries } = recordBlock(texts, ends.get(blob) ?? blob * 1000)
    // A blank line at the end: bytes that become no entry.
    const end = span.end + 1
    ends.set(blob, end)
    return { span: { ...span, blob: `logs/${blob}.ndjson`, end }, entries }
  })
}

test('batches tile every blob, hold every entry once, and are sealed by bytes or rows', async (t) => {
  const maxBytes = 400
  const maxRows = 9
  const { create } = await fixture(t, { maxBytes, maxRows })
  const sizes = fc.array(fc.record({ blob: fc.nat({ max: 2 }), rows: fc.nat({ max: 6 }) }), { maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(sizes, async (given) => {
      const blocks = blocksOf(given)
      const batches = await through<Batch>(create(), blocks)
      const ends = new Map<string, number>()
      for (const { spans } of batches) {
        assert.equal(new Set(spans.map(generationKey)).size, spans.length)
        for (const span of spans) {
          const first = blocks.find(({ span: { blob } }) => blob === span.blob)?.span.start
          assert.equal(span.start, ends.get(span.blob) ?? first)
          ends.set(span.blob, span.end)
        }
      }
      for (const { span } of blocks) assert.ok((ends.get(span.blob) ?? 0) >= span.end)

      const spooled = await Promise.all(batches.map(({ spoolPath }) => readFile(spoolPath, 'latin1')))
      const rows = blocks.flatMap(({ entries }) => entries.map(({ raw }) => raw))
      assert.deepEqual(
        spooled.flatMap((text) => text.split('\n').slice(0, -1)).map((row) => row.split('\x1f').at(-1)),
        rows,
      )
      for (const [index, batch] of batches.entries()) {
        const bytes = batch.spans.reduce((sum, span) => sum + spanBytes(span), 0)
        if (index < batches.length - 1) assert.ok(bytes >= maxBytes || batch.rows >= maxRows)
        assert.equal(batch.spoolBytes, spooled[index]?.length)
        assert.equal(batch.rows, spooled[index]?.split('\n').slice(0, -1).length)
        assert.equal(
          batch.longestRowBytes,
          Math.max(
            0,
            ...(spooled[index] ?? '')
              .split('\n')
              .slice(0, -1)
              .map((row) => row.length + 1),
          ),
        )
        await rm(batch.spoolPath)
      }
    }),
    { numRuns: 40 },
  )
})

test('a batch is sealed as soon as it has its most rows or bytes, not with the block after', async (t) => {
  const blocks = blocksOf([1, 2, 3].map(() => ({ blob: 0, rows: 2 })))
  for (const options of [{ maxRows: 2 }, { maxBytes: spanBytes(blocks[0]!.span) }]) {
    const { create } = await fixture(t, options)
    const batches = await through<Batch>(create(), blocks)
    assert.deepEqual(
      batches.map(({ rows }) => rows),
      [2, 2, 2],
    )
  }
})

test("a run's first batch is short, so that encoding begins early, and the others are full", async (t) => {
  const { create } = await fixture(t)
  const mebibyte = 1024 * 1024
  const blocks = Array.from({ length: 200 }, (_, index) => {
    const { span } = recordBlock([])
    return { span: { ...span, start: index * mebibyte, end: (index + 1) * mebibyte }, entries: [] }
  })
  const batches = await through<Batch>(create(), blocks)
  const sizes = batches.map(({ spans }) => spanBytes(spans[0]!) / mebibyte)
  assert.deepEqual(sizes, [16, 64, 64, 56])
})

test('a spool whose end the file system reports a failed write at is not handed on', async (t) => {
  const { create, directory } = await fixture(t)
  const stop = await watchFileCalls(t, {
    before: (call) => {
      if (call.name === 'file.close' && call.path.startsWith(directory)) throw systemError('EIO', call)
      return undefined
    },
  })
  const handedOn = through<Batch>(create(), [recordBlock(['{"a":1}'])])
  await assert.rejects(handedOn, { code: 'DIRECTORY_UNUSABLE', context: { reason: 'EIO' } })
  stop()
})

test('a spool row is what spoolRow makes of the entry and the index of its span', async (t) => {
  const { create, clock } = await fixture(t)
  const openedAtMs = clock.now()
  const block = recordBlock(['{"a":"ä"}', 'LOG: x'], 500)
  const other = {
    ...recordBlock(['{"b":1}'], 7),
    span: { ...recordBlock(['{"b":1}'], 7).span, blob: 'logs/other' },
  }
  const [batch] = await through<Batch>(create(), [block, other])
  assert.equal(
    await readFile(batch?.spoolPath ?? '', 'latin1'),
    [
      ...block.entries.map((entry) => spoolRow(entry, 0)),
      ...other.entries.map((entry) => spoolRow(entry, 1)),
    ].join(''),
  )
  assert.deepEqual([batch?.rows, batch?.rejected, batch?.openedAtMs], [3, 1, openedAtMs])
})

test('blocks without entries still make a batch, so that offsets go on', async (t) => {
  const { create } = await fixture(t)
  const blank = { span: recordBlock(['{}']).span, entries: [] }
  const batches = await through<Batch>(create(), [blank])
  assert.deepEqual(
    batches.map(({ rows, spans, spoolBytes }) => ({ rows, spans, spoolBytes })),
    [{ rows: 0, spans: [blank.span], spoolBytes: 0 }],
  )
})

test('nothing in makes no batch and no file', async (t) => {
  const { create, directory } = await fixture(t)
  assert.deepEqual(await through<Batch>(create(), []), [])
  assert.deepEqual(await readdir(directory), [])
})

test('a block that does not continue its blob is SPAN_GAP, and the open spool is removed', async (t) => {
  const { create, directory } = await fixture(t)
  const first = recordBlock(['{"a":1}'])
  for (const start of [7, 9]) {
    await assert.rejects(through(create(), [first, recordBlock(['{"a":2}'], start)]), (error) =>
      isTailraceError(error, 'SPAN_GAP'),
    )
    assert.deepEqual(await readdir(directory), [])
  }
})

test('a new generation of a blob is a span of its own', async (t) => {
  const { create } = await fixture(t)
  const first = recordBlock(['{"a":1}'])
  const again = { ...first, span: { ...first.span, generation: '20261125T000000Z' } }
  const [batch] = await through<Batch>(create(), [first, again])
  assert.deepEqual(batch?.spans, [first.span, again.span])
})

test('a batch is sealed when it is old enough, though nothing else comes', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { create } = await fixture(t, { maxAgeMs: 5000, clock: systemClock })
  const batcher = create()
  t.after(() => batcher.destroy())
  await write(batcher, recordBlock(['{"a":1}']))
  t.mock.timers.tick(4999)
  await turns()
  assert.equal(batcher.read(), null)
  t.mock.timers.tick(1)
  const batch = await nextBatch(batcher)
  assert.equal(batch.rows, 1)
})

test('while a sealed batch waits, age makes no other one, and the next one is larger', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { create } = await fixture(t, { maxAgeMs: 1000, clock: systemClock })
  const batcher = create()
  t.after(() => batcher.destroy())
  await write(batcher, recordBlock(['{"a":1}']))
  t.mock.timers.tick(1000)
  while (batcher.readableLength === 0) await turns()
  for (let start = 8; start < 48; start += 8) {
    await write(batcher, recordBlock(['{"a":2}'], start))
    t.mock.timers.tick(1000)
    await turns()
    assert.equal(batcher.readableLength, 1)
  }
  assert.equal((await nextBatch(batcher)).rows, 1)
  t.mock.timers.tick(1000)
  assert.equal((await nextBatch(batcher)).rows, 5)
})

test('destroying the stage removes the spool that is open, and no timer is left', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { create, directory } = await fixture(t, { maxAgeMs: 1000, clock: systemClock })
  const batcher = create()
  await write(batcher, recordBlock(['{"a":1}']))
  assert.equal((await readdir(directory)).length, 1)
  batcher.destroy()
  await once(batcher, 'close')
  assert.deepEqual(await readdir(directory), [])
  t.mock.timers.tick(10_000)
  await turns()
  assert.deepEqual(await readdir(directory), [])
})

test('destroying the stage removes the spools of batches that nobody read, and no other', async (t) => {
  const { create, directory, clock } = await fixture(t, { maxRows: 1 })
  const batcher = create()
  const source = blocksOf([1, 1, 1].map((rows) => ({ blob: 0, rows })))
  const writing = source.map((block) => write(batcher, block).catch(() => {}))
  const taken = await nextBatch(batcher)
  while (batcher.readableLength === 0) await once(batcher, 'readable')
  batcher.destroy(new Error('the pipeline fails'))
  await assert.rejects(once(batcher, 'close'), /the pipeline fails/)
  await Promise.all(writing)
  assert.deepEqual(await readdir(directory), [basename(taken.spoolPath)])
  assert.equal(clock.pauses.length, 0)
})

test('a batch that is sealed while the stage is destroyed leaves no spool', async (t) => {
  const { create, directory } = await fixture(t, { maxRows: 1 })
  const batcher = create()
  const stop = await watchFileCalls(t, {
    before: (call) => {
      if (call.name === 'file.close' && call.path.startsWith(directory)) batcher.destroy()
      return undefined
    },
  })
  const closed = once(batcher, 'close')
  await write(batcher, recordBlock(['{"a":1}'])).catch(() => {})
  await closed
  stop()
  assert.deepEqual(await readdir(directory), [])
})

test('a spool file that cannot be made fails the stage', async (t) => {
  const { create, directory } = await fixture(t)
  await rm(directory, { recursive: true })
  await assert.rejects(through(create(), [recordBlock(['{"a":1}'])]), { code: 'DIRECTORY_UNUSABLE' })
})

test('a write that finds the volume full is repeated, and the spool is as if nothing had been', async (t) => {
  const { staging, clock } = await fixture(t)
  let failures = 0
  class FullAtFirst extends DiskSpaceMonitor {
    override withSpace<T>(write: () => Promise<T>, signal?: AbortSignal): Promise<T> {
      return super.withSpace(async () => {
        const result = await write()
        failures += 1
        if (failures % 3 !== 0) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
        return result
      }, signal)
    }
  }
  const diskSpace = new FullAtFirst({
    directories: [staging.directory],
    minFreeBytes: 0,
    clock,
    freeBytesOf: async () => 1000,
  })
  const blocks = [recordBlock(['{"a":1}']), recordBlock(['{"a":2}', '{"a":3}'], 8)]
  const writes = new Batcher({ staging, clock, diskSpace: onlyWrites(diskSpace) })
  const [batch] = await through<Batch>(writes, blocks)
  const text = await readFile(batch?.spoolPath ?? '', 'latin1')
  assert.deepEqual(
    text
      .split('\n')
      .slice(0, -1)
      .map((row) => row.split('\x1f').at(-1)),
    ['{"a":1}', '{"a":2}', '{"a":3}'],
  )
  assert.equal(text.length, batch?.spoolBytes)
  assert.ok(clock.pauses.length >= 2)
})

test('a batcher that waits for space lets go when it is destroyed', async (t) => {
  const clock = new VirtualClock(
    (pause) => void (pause === 3 && batcher.destroy(new Error('the pipeline ends'))),
  )
  const { staging } = await fixture(t)
  const diskSpace = new DiskSpaceMonitor({
    directories: [staging.directory],
    minFreeBytes: 1000,
    clock,
    freeBytesOf: async () => 0,
  })
  const batcher = new Batcher({ staging, clock, diskSpace })
  await assert.rejects(through(batcher, [recordBlock(['{"a":1}'])]), /the pipeline ends/)
  assert.equal(diskSpace.isHolding, false)
})

test('the stored entries of a unit enter one batch, whatever its limits, and their file is discarded', async (t) => {
  const { create } = await fixture(t, { maxRows: 3 })
  const units = [recordBlock(['{"a":1}', '{"a":2}']), recordBlock(['{"b":1}', 'LOG: x', '{"b":3}'], 16)]
  let discards = 0
  const blocks = units.map(({ span, entries }): EntryBlock => {
    const stored: StoredEntries = {
      count: entries.length,
      read: async function* () {
        for (const entry of entries) yield [entry]
      },
      discard: async () => {
        discards += 1
      },
    }
    return { span, entries: [], stored }
  })
  const batches = await through<Batch>(create(), [...blocks, recordBlock(['{"c":1}'], 39)])
  assert.deepEqual(
    batches.map(({ rows, rejected, spans }) => [rows, rejected, spans.map(({ start, end }) => [start, end])]),
    [
      [5, 1, [[0, 39]]],
      [1, 0, [[39, 47]]],
    ],
  )
  assert.equal(
    await readFile(batches[0]?.spoolPath ?? '', 'latin1'),
    units.flatMap(({ entries }) => entries.map((entry) => spoolRow(entry, 0))).join(''),
  )
  assert.equal(discards, 2)
})

test('stored entries are discarded also when they cannot be spooled', async (t) => {
  const { create, directory } = await fixture(t)
  const { span } = recordBlock(['{"a":1}'])
  for (const fails of [true, false]) {
    let discards = 0
    const stored: StoredEntries = {
      count: 1,
      read: async function* () {
        yield []
        if (fails) throw new Error('cannot be read')
      },
      discard: async () => {
        discards += 1
      },
    }
    // Either its reading fails, or it does not continue the batch.
    const blocks = fails ? [] : [recordBlock(['{"b":1}'], 100)]
    await assert.rejects(through(create(), [...blocks, { span, entries: [], stored }]))
    assert.equal(discards, 1)
    assert.deepEqual(await readdir(directory), [])
  }
})

test('rejects are counted as they enter', async (t) => {
  const { create } = await fixture(t)
  const { span } = recordBlock(['LOG: x', 'LOG: y'])
  const [batch] = await through<Batch>(create(), [
    { span, entries: [rejectedEntry('LOG: x', 0), rejectedEntry('LOG: y', 7)] },
  ])
  assert.deepEqual([batch?.rows, batch?.rejected], [2, 2])
})

/** The first step through the monitor opens the file, which cannot be done twice; only writes may fail. */
function onlyWrites(monitor: DiskSpaceMonitor): DiskSpaceMonitor {
  let opened = false
  return new Proxy(monitor, {
    get: (target, name) => {
      if (name !== 'withSpace') return Reflect.get(target, name, target)
      return <T>(write: () => Promise<T>, signal?: AbortSignal) => {
        if (opened) return target.withSpace(write, signal)
        opened = true
        return write()
      }
    },
  })
}

function write(batcher: Batcher, block: EntryBlock): Promise<void> {
  return new Promise((resolve, reject) =>
    batcher.write(block, (error) => (error ? reject(error) : resolve())),
  )
}

async function nextBatch(batcher: Batcher): Promise<Batch> {
  for (;;) {
    const batch: Batch | null = batcher.read()
    if (batch !== null) return batch
    await once(batcher, 'readable')
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('batches that begin at different instants are sealed at the same one, where they land at multiples of a time', async (t) => {
  const startMs = 1_795_510_020_000
  let nowMs = startMs
  const timers: { readonly atMs: number; readonly fire: () => void }[] = []
  const clock: Clock = {
    ...systemClock,
    now: () => nowMs,
    after: (ms, fire) => {
      timers.push({ atMs: nowMs + ms, fire })
      return () => {}
    },
  }
  const { create } = await fixture(t, { landEveryMs: 900_000, clock })
  const batchers: Batcher[] = []
  for (const laterMs of [60_000, 500_000]) {
    nowMs = startMs + laterMs
    const batcher = create()
    await new Promise((resolve) => batcher.write(blocksOf([{ blob: 0, rows: 1 }])[0], resolve))
    batchers.push(batcher)
  }
  const [tick] = timers.map(({ atMs }) => atMs)
  assert.deepEqual(
    timers.map(({ atMs }) => atMs),
    [tick, tick],
  )
  assert.equal(tick! % 900_000, 0)
  for (const { fire } of timers) fire()
  for (const batcher of batchers) {
    const [batch] = (await once(batcher, 'data')) as Batch[]
    assert.equal(batch?.rows, 1)
    batcher.destroy()
  }
})
