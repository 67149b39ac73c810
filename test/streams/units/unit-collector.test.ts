import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { Entry, EntryBlock } from '../../../src/records.ts'
import { DiskSpaceMonitor } from '../../../src/streams/staging/disk-space-monitor.ts'
import { Staging } from '../../../src/streams/staging/staging.ts'
import { UnitCollector, type UnitCollectorOptions } from '../../../src/streams/units/unit-collector.ts'
import { spanOf } from '../blob-chunks.ts'
import { through } from '../through.ts'
import { VirtualClock } from '../virtual-clock.ts'

async function fixture(t: TestContext, options: Partial<UnitCollectorOptions> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-units-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const staging = new Staging(directory, 3_600_000)
  return { directory, staging, create: () => new UnitCollector({ staging, ...options }) }
}

function entry(raw: string, more: Partial<Entry> = {}): Entry {
  return { offset: 3, length: 1, index: 0, raw, ...more }
}

function open(start: number, entries: readonly Entry[], restart = false): EntryBlock {
  return { span: spanOf(start, start), entries, open: true, ...(restart ? { restart: true } : {}) }
}

function last(start: number, end: number, entries: readonly Entry[], restart = false): EntryBlock {
  return { span: spanOf(start, end), entries, ...(restart ? { restart: true } : {}) }
}

/** A block's entries, wherever they are; they are discarded then, as the batcher does. */
async function entriesIn({ entries, stored }: EntryBlock): Promise<Entry[]> {
  const all = [...entries]
  if (stored === undefined) return all
  for await (const slice of stored.read()) all.push(...slice)
  assert.equal(all.length, stored.count)
  await stored.discard()
  return all
}

const anyEntry: fc.Arbitrary<Entry> = fc
  .record({
    raw: fc.string({ unit: 'binary-ascii', maxLength: 30 }).map((text) => `${text}\xe4\n\x1f"`),
    json: fc.option(fc.constantFrom('{"a":1}', '{"\xc3\xa4":"\\n"}'), { nil: undefined }),
    form: fc.constantFrom(undefined, 'flat', 'written'),
    reject: fc.option(fc.constantFrom('not_json' as const, 'transform_error' as const), { nil: undefined }),
    note: fc.option(fc.constantFrom('a note', 'Fehler: \u00e4\u20ac\u{1f600}'), { nil: undefined }),
  })
  .map((fields) => {
    const given = Object.entries(fields).filter(([, value]) => value !== undefined)
    return { offset: 1, length: 2, index: 0, ...Object.fromEntries(given) } as Entry
  })

test('every unit comes out as one block of all its entries at its place, in memory or in a file', async (t) => {
  const { create, directory } = await fixture(t, { maxHeldBytes: 600 })
  const units = fc.array(
    fc.record({
      blocks: fc.array(fc.array(anyEntry, { maxLength: 5 }), { minLength: 1, maxLength: 5 }),
      bytes: fc.nat({ max: 9 }),
    }),
    { maxLength: 4 },
  )
  await fc.assert(
    fc.asyncProperty(units, async (given) => {
      let start = 10
      const inputs: EntryBlock[] = []
      const expected = given.map(({ blocks, bytes }) => {
        const unitStart = start
        const end = start + bytes + 1
        for (const [index, entries] of blocks.entries()) {
          inputs.push(index < blocks.length - 1 ? open(start, entries) : last(start, end, entries))
        }
        const unit = {
          span: spanOf(start, end),
          entries: blocks
            .flat()
            .map((one, index) => ({ ...one, offset: unitStart, length: bytes + 1, index })),
        }
        start = end
        return unit
      })
      const found = []
      for (const block of await through<EntryBlock>(create(), inputs)) {
        assert.equal(block.open, undefined)
        found.push({ span: block.span, entries: await entriesIn(block) })
      }
      assert.deepEqual(found, expected)
      assert.deepEqual(await readdir(directory), [])
    }),
    { numRuns: 60 },
  )
})

test('a unit below the limit touches no disk, and a larger one is read in slices no larger than was held', async (t) => {
  const { create, directory } = await fixture(t, { maxHeldBytes: 10_000 })
  const entries = Array.from({ length: 10 }, () => entry('x'.repeat(300)))
  const small = [open(0, entries), last(0, 5, entries)]
  const [block] = await through<EntryBlock>(create(), small)
  assert.deepEqual([block?.entries.length, block?.stored], [20, undefined])
  assert.deepEqual(await readdir(directory), [])

  const large = [...Array.from({ length: 20 }, () => open(5, entries)), last(5, 9, entries)]
  const [stored] = await through<EntryBlock>(create(), large)
  assert.deepEqual([stored?.entries.length, stored?.stored?.count], [0, 210])
  assert.match((await readdir(directory)).join(), /^[\w-]+\.unit$/)
  for await (const slice of stored?.stored?.read() ?? [])
    assert.ok(slice.length <= 40, `${slice.length} entries`)
})

test('a unit of countless tiny records goes to a file as well', async (t) => {
  const { create } = await fixture(t, { maxHeldBytes: 100_000 })
  const tiny = Array.from({ length: 1000 }, () => entry('{}'))
  const [block] = await through<EntryBlock>(create(), [open(0, tiny), last(0, 9, [])])
  assert.equal(block?.stored?.count, 1000)
})

test('the entries of a unit that begins again are dropped, whether they were held in memory or in a file', async (t) => {
  for (const maxHeldBytes of [1_000_000, 1]) {
    const { create, directory } = await fixture(t, { maxHeldBytes })
    const blocks = await through<EntryBlock>(create(), [
      open(0, [entry('{"a":1}')]),
      open(0, [entry('{"a":2}')], true),
      last(0, 7, [entry('oops', { reject: 'not_json' })], true),
      last(7, 9, [entry('{"b":1}')]),
    ])
    const found = []
    for (const block of blocks) found.push((await entriesIn(block)).map(({ raw, index }) => [raw, index]))
    assert.deepEqual(found, [[['oops', 0]], [['{"b":1}', 0]]])
    assert.deepEqual(await readdir(directory), [])
  }
})

test('a unit without a last block is dropped at the end, and its file with it', async (t) => {
  const { create, directory } = await fixture(t, { maxHeldBytes: 1 })
  const blocks = await through<EntryBlock>(create(), [last(0, 4, [entry('a')]), open(4, [entry('b')])])
  assert.deepEqual(
    blocks.map(({ span }) => span),
    [spanOf(0, 4)],
  )
  assert.deepEqual(await readdir(directory), [])
})

test('destroying the stage removes the file of the unit that is open, and of a block that nobody took', async (t) => {
  const { create, directory } = await fixture(t, { maxHeldBytes: 1 })
  for (const blocks of [[open(0, [entry('a')])], [open(0, [entry('a')]), last(0, 4, [entry('b')])]]) {
    const stage = create()
    for (const block of blocks) stage.write(block)
    while (stage.readableLength < blocks.length - 1 || (await readdir(directory)).length === 0) await turn()
    stage.destroy()
    await once(stage, 'close')
    assert.deepEqual(await readdir(directory), [])
  }
})

test('destroying the stage leaves the file of a block that was taken, also when another one waits', async (t) => {
  const { create, directory } = await fixture(t, { maxHeldBytes: 1 })
  const stage = create()
  stage.write(open(0, [entry('a')]))
  stage.write(last(0, 4, [entry('b')]))
  await once(stage, 'readable')
  const taken = stage.read() as EntryBlock
  stage.write(last(4, 6, [entry('c')]))
  while (stage.readableLength === 0) await turn()
  stage.destroy()
  await once(stage, 'close')
  assert.equal((await readdir(directory)).length, 1)
  assert.deepEqual(
    (await entriesIn(taken)).map(({ raw }) => raw),
    ['a', 'b'],
  )
})

test('a unit goes to a file above 1 MiB, or above the given size, of which its projected text is a part', async (t) => {
  const isStored = async (options: Partial<UnitCollectorOptions>, entries: readonly Entry[]) => {
    const { create } = await fixture(t, options)
    const [block] = await through<EntryBlock>(create(), [open(0, entries), last(0, 4, [])])
    await block?.stored?.discard()
    return block?.stored !== undefined
  }
  const large = entry('x'.repeat(600_000))
  assert.deepEqual([await isStored({}, [large]), await isStored({}, [large, large])], [false, true])
  const small = entry('x'.repeat(72), { json: 'y'.repeat(300) })
  assert.deepEqual(
    [await isStored({ maxHeldBytes: 500 }, [small]), await isStored({ maxHeldBytes: 499 }, [small])],
    [false, true],
  )
})

test('a block that was taken keeps its file when the stage ends', async (t) => {
  const { create, directory } = await fixture(t, { maxHeldBytes: 1 })
  const [block] = await through<EntryBlock>(create(), [open(0, [entry('a')]), last(0, 4, [entry('b')])])
  assert.equal((await readdir(directory)).length, 1)
  assert.deepEqual(
    (await entriesIn(block as EntryBlock)).map(({ raw }) => raw),
    ['a', 'b'],
  )
})

test('a write that finds the volume full is repeated, and the entries are as if nothing had been', async (t) => {
  const { staging } = await fixture(t)
  let writes = 0
  class FullAtFirst extends DiskSpaceMonitor {
    override withSpace<T>(write: () => Promise<T>, signal?: AbortSignal): Promise<T> {
      return super.withSpace(async () => {
        const result = await write()
        writes += 1
        if (writes % 2 === 0) throw Object.assign(new Error('full'), { code: 'ENOSPC' })
        return result
      }, signal)
    }
  }
  const clock = new VirtualClock()
  const directories = [staging.directory]
  const diskSpace = new FullAtFirst({ directories, minFreeBytes: 0, clock, freeBytesOf: async () => 1000 })
  const stage = new UnitCollector({ staging, diskSpace, maxHeldBytes: 1 })
  const inputs = [open(0, [entry('a')]), open(0, [entry('b')]), last(0, 4, [entry('c')])]
  const [block] = await through<EntryBlock>(stage, inputs)
  assert.deepEqual(
    (await entriesIn(block as EntryBlock)).map(({ raw }) => raw),
    ['a', 'b', 'c'],
  )
  assert.ok(clock.pauses.length >= 2)
})

test('a collector that waits for space lets go when it is destroyed', async (t) => {
  const { staging } = await fixture(t)
  const clock = new VirtualClock(
    (pause) => void (pause === 3 && stage.destroy(new Error('the pipeline ends'))),
  )
  const directories = [staging.directory]
  const diskSpace = new DiskSpaceMonitor({
    directories,
    minFreeBytes: 1000,
    clock,
    freeBytesOf: async () => 0,
  })
  const stage = new UnitCollector({ staging, diskSpace, maxHeldBytes: 1 })
  await assert.rejects(through(stage, [open(0, [entry('a')])]), /the pipeline ends/)
  assert.ok(clock.pauses.length < 10, `${clock.pauses.length} pauses`)
})

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
