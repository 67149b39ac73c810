import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TailraceError } from '../../../src/errors.ts'
import type { EntryBlock } from '../../../src/records.ts'
import { DiskGate } from '../../../src/streams/disk-gate.ts'
import {
  DiskSpaceMonitor,
  type DiskSpaceMonitorOptions,
  isDiskFull,
} from '../../../src/streams/staging/disk-space-monitor.ts'
import { eventually } from '../../support/eventually.ts'
import { recordBlock } from '../record-blocks.ts'
import { through } from '../through.ts'
import { VirtualClock } from '../virtual-clock.ts'

/** A monitor of a volume whose free bytes are `free[n]` at the n-th question, and the last of them after that. */
function monitorOf(free: readonly number[], options: Partial<DiskSpaceMonitorOptions> = {}) {
  const clock = new VirtualClock()
  let asked = 0
  const monitor = new DiskSpaceMonitor({
    directories: [tmpdir()],
    minFreeBytes: 1000,
    resumeFreeBytes: 1200,
    checkMs: 500,
    clock,
    freeBytesOf: async () => {
      const bytes = free[Math.min(asked, free.length - 1)] as number
      asked += 1
      return bytes
    },
    ...options,
  })
  return { monitor, clock, asked: () => asked }
}

/** Waits for a measurement, which also asks the file system about the directory. */
const measured = (monitor: DiskSpaceMonitor, bytes: number): Promise<void> =>
  eventually(async () => monitor.latestFreeBytes() === bytes, `measurement of ${bytes} bytes`)

test('with enough space nothing waits, and the volume is asked once per interval', async () => {
  const { monitor, clock, asked } = monitorOf([1000])
  for (let time = 0; time < 10; time += 1) await monitor.ensureSpace()
  assert.equal(asked(), 1)
  clock.advance(500)
  await monitor.ensureSpace()
  assert.equal(asked(), 2)
  assert.deepEqual(clock.pauses, [])
  assert.equal(monitor.counters.holds, 0)
})

test('to show the free bytes, the volume is asked once per interval, too', async () => {
  const { monitor, clock, asked } = monitorOf([1000, 900])
  assert.equal(monitor.latestFreeBytes(), undefined)
  await measured(monitor, 1000)
  for (let time = 0; time < 10; time += 1) assert.equal(monitor.latestFreeBytes(), 1000)
  assert.equal(asked(), 1)
  clock.advance(500)
  assert.equal(monitor.latestFreeBytes(), 1000)
  await measured(monitor, 900)
  assert.equal(asked(), 2)
})

test('the volume is asked again at once after the clock was set back, and not when it is there again', async () => {
  const { monitor, clock, asked } = monitorOf([1000])
  await monitor.ensureSpace()
  clock.advance(-3_600_000)
  await monitor.ensureSpace()
  assert.equal(asked(), 2)
  clock.advance(-3_600_000)
  monitor.latestFreeBytes()
  await eventually(async () => asked() === 3, 'another measurement')
})

test('below the minimum work is held, until there is more than the minimum alone', async () => {
  const { monitor, clock } = monitorOf([999, 999, 999, 1000, 1199, 1200])
  await monitor.ensureSpace()
  assert.deepEqual(clock.pauses, [500, 500, 500])
  assert.deepEqual(monitor.counters, { holds: 1, heldMs: 1500, expiredBytes: 0 })
  assert.equal(monitor.isHolding, false)
})

test('while it holds, leftovers are removed at every look and caches are released once', async () => {
  let removals = 0
  let releases = 0
  const { monitor } = monitorOf([0, 0, 0, 0, 0, 5000], {
    removeExpired: async () => {
      removals += 1
      return 100
    },
    releaseCaches: async () => {
      releases += 1
    },
  })
  await monitor.ensureSpace()
  assert.equal(removals, 4)
  assert.equal(releases, 1)
  assert.equal(monitor.counters.expiredBytes, 400)
})

test('all who wait share one hold, and all go on', async () => {
  const { monitor } = monitorOf([0, 0, 0, 5000])
  await Promise.all([monitor.ensureSpace(), monitor.ensureSpace(), monitor.withSpace(async () => {})])
  assert.equal(monitor.counters.holds, 1)
})

test('an abort while work is held ends the wait', async () => {
  const aborting = new AbortController()
  const { monitor } = monitorOf([0], {
    clock: new VirtualClock((pause) => void (pause === 3 && aborting.abort())),
  })
  await assert.rejects(monitor.ensureSpace(aborting.signal), { name: 'AbortError' })
  assert.equal(monitor.isHolding, false)
})

test('a write that finds the volume full is repeated after a pause, whatever the volume says it has', async () => {
  const { monitor, clock } = monitorOf([1_000_000])
  let tries = 0
  const result = await monitor.withSpace(async () => {
    tries += 1
    if (tries < 4) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    return 'written'
  })
  assert.equal(result, 'written')
  assert.deepEqual(clock.pauses, [500, 500, 500])
})

test('a write that fails for another reason fails at once', async () => {
  const { monitor, clock } = monitorOf([1_000_000])
  await assert.rejects(
    monitor.withSpace(() => Promise.reject(Object.assign(new Error('denied'), { code: 'EACCES' }))),
    { code: 'DIRECTORY_UNUSABLE' },
  )
  assert.deepEqual(clock.pauses, [])
})

test('ENOSPC, EDQUOT and DISK_FULL say that a volume is full, and nothing else does', () => {
  for (const code of ['ENOSPC', 'EDQUOT'])
    assert.equal(isDiskFull(Object.assign(new Error('x'), { code })), true)
  assert.equal(isDiskFull(new TailraceError('DISK_FULL', 'x')), true)
  for (const other of [
    new Error('ENOSPC'),
    undefined,
    null,
    'ENOSPC',
    { code: 'EIO' },
    { code: 'DISK_FULL' },
  ]) {
    assert.equal(isDiskFull(other), false)
  }
})

test('the least free space of all volumes counts, and a volume that holds two directories is asked once', async () => {
  const asked: string[] = []
  const monitor = new DiskSpaceMonitor({
    directories: [tmpdir(), tmpdir(), '/proc'],
    minFreeBytes: 0,
    freeBytesOf: async (directory) => {
      asked.push(directory)
      return directory === '/proc' ? 5 : 7
    },
  })
  assert.equal(await monitor.freeBytes(), 5)
  assert.deepEqual(asked, [tmpdir(), '/proc'])
})

test('free space that cannot be determined holds nothing and fails nothing', async () => {
  let asked = 0
  const { monitor, clock } = monitorOf([], {
    freeBytesOf: async () => {
      asked += 1
      if (asked % 2 === 1) throw Object.assign(new Error('spawn df EMFILE'), { code: 'EMFILE' })
      return 0
    },
  })
  await monitor.ensureSpace()
  assert.deepEqual([asked, monitor.counters.holds], [1, 0])
  clock.advance(500)
  await monitor.ensureSpace()
  assert.deepEqual([asked, monitor.counters.holds], [5, 1])
})

test('a real directory has some free bytes, and one that is not there says so', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-disk-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  assert.ok((await new DiskSpaceMonitor({ directories: [directory], minFreeBytes: 0 }).freeBytes()) > 0)
  const missing = new DiskSpaceMonitor({ directories: [join(directory, 'missing')], minFreeBytes: 0 })
  await assert.rejects(missing.freeBytes(), { code: 'ENOENT' })
})

test('the free bytes of a directory are found without df, as in a container without programs', async (t) => {
  const { PATH } = process.env
  t.after(() => {
    process.env.PATH = PATH
  })
  const usual = await new DiskSpaceMonitor({ directories: [tmpdir()], minFreeBytes: 1 }).freeBytes()
  process.env.PATH = ''
  const found = await new DiskSpaceMonitor({ directories: [tmpdir()], minFreeBytes: 1 }).freeBytes()
  // Other processes write meanwhile.
  assert.ok(Math.abs(found - usual) < 0.05 * usual, `${found} and ${usual} bytes`)
})

test('the gate lets every block pass in order and holds the stream meanwhile', async () => {
  const blocks = [0, 8, 16].map((start) => recordBlock(['{"a":1}'], start))
  const { monitor, clock } = monitorOf([0, 0, 0, 5000])
  assert.deepEqual(await through<EntryBlock>(new DiskGate(monitor), blocks), blocks)
  assert.deepEqual(clock.pauses, [500])
})

test('a gate that is destroyed while it holds lets go of the wait', async () => {
  const clock = new VirtualClock(
    (pause) => void (pause === 3 && gate.destroy(new Error('the pipeline ends'))),
  )
  const { monitor } = monitorOf([0], { clock })
  const gate = new DiskGate(monitor)
  await assert.rejects(through(gate, [recordBlock(['{"a":1}'])]), /the pipeline ends/)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(monitor.isHolding, false)
  assert.equal(clock.pauses.length, 3)
})
