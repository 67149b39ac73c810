import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import {
  DailyMaintenance,
  type DailyMaintenanceOptions,
} from '../../../../src/sinks/delta/maintenance/daily-maintenance.ts'
import { ManualClock } from '../../../sources/manual-clock.ts'
import { eventually } from '../../../support/eventually.ts'
import { archive } from '../archive/support.ts'
import { committerOf, rowsOf } from '../support.ts'
import { dayMs, landBatches, pipelineBench } from './support.ts'

const firstPauseMs = 10 * 60_000

type Given = Pick<DailyMaintenanceOptions, 'target' | 'staging' | 'clock' | 'logger'>

/** Maintenance beside a pipeline that holds nothing and has no old offsets, unless told otherwise. */
function maintenance(t: TestContext, given: Given & Partial<DailyMaintenanceOptions>): DailyMaintenance {
  const daily = new DailyMaintenance({
    isHeld: () => false,
    markOf: () => undefined,
    archivableOffsets: () => 0,
    unmarkedOffsets: () => undefined,
    ...given,
  })
  t.after(() => daily.stop())
  return daily
}

test('old days are deleted once a day without a landing, once there is disk space, and those before the newest row are kept with a warning', async (t) => {
  const { bench, target, staging, logger, warnings } = await pipelineBench(t, { retainDays: 1 })
  // Rows are of the first three days of 2026, or have no day.
  await landBatches(bench, 0, 1)
  const daysLeft = async (): Promise<number> => {
    const days = [1, 2, 3].map((day) => rowsOf(bench, `event_date = DATE '2026-01-0${day}'`))
    return (await Promise.all(days)).filter((rows) => rows.length > 0).length
  }
  const clock = new ManualClock(Date.UTC(2026, 0, 2))
  let isHeld = true
  const daily = maintenance(t, { target, staging, isHeld: () => isHeld, clock, logger })
  clock.advance(firstPauseMs)
  isHeld = false
  assert.equal(await daysLeft(), 3)
  clock.advance(firstPauseMs)
  await eventually(async () => !daily.isWorking, 'end of the first round')
  assert.equal(await daysLeft(), 3)
  clock.advance(dayMs)
  await eventually(async () => (await daysLeft()) === 2, 'the first day is deleted')
  await eventually(async () => !daily.isWorking, 'end of the second round')
  for (let day = 0; day < 3; day += 1) {
    assert.deepEqual(warnings, [])
    clock.advance(dayMs)
    await eventually(async () => !daily.isWorking, 'end of a round')
  }
  assert.match(warnings.join(), /no row of the last days, or the clock is ahead/)
  assert.equal(await daysLeft(), 2)
  await daily.stop()
  assert.equal(clock.waiting, 0)
})

test('of two shards one deletes old days, and the other one once a week, in case the first one is stopped', async (t) => {
  for (const isOwn of [false, true]) {
    const { bench, target, staging, logger } = await pipelineBench(t, { retainDays: 1 })
    await landBatches(bench, 0, 1)
    const clock = new ManualClock(Date.UTC(2026, 0, 3))
    const daily = maintenance(t, { target, staging, upkeepShare: { isOwn, shards: 2 }, clock, logger })
    clock.advance(firstPauseMs)
    assert.equal(daily.isWorking, isOwn)
    await eventually(async () => !daily.isWorking, 'end of the round')
    const rows = await rowsOf(bench, "event_date = DATE '2026-01-01'")
    assert.equal(rows.length === 0, isOwn)
    if (isOwn) continue
    clock.advance(7 * dayMs - 1)
    assert.equal(daily.isWorking, false)
    clock.advance(1)
    assert.equal(daily.isWorking, true)
    await eventually(async () => !daily.isWorking, 'end of the round of a week')
    assert.deepEqual(await rowsOf(bench, "event_date = DATE '2026-01-01'"), [])
    clock.advance(dayMs)
    assert.equal(daily.isWorking, false)
  }
})

test('old offsets are archived once a day, with what their blobs are recognized by, when there are enough of them', async (t) => {
  const archiveOffsets = { afterDays: 2, minOffsets: 1 }
  const { bench, target, staging, logger } = await pipelineBench(t, { archiveOffsets })
  await landBatches(bench, 0, 1)
  const head = '0+10:0011223344556677'
  const clock = new ManualClock(Date.now() + dayMs)
  const committer = committerOf(bench, { clock })
  await committer.open()
  const daily = maintenance(t, {
    target,
    staging,
    markOf: (source) => ({ ...source, createdAt: source.generation, head }),
    archivableOffsets: (unchangedMs) => committer.unchangedOffsets(unchangedMs),
    clock,
    logger,
  })
  clock.advance(firstPauseMs)
  assert.equal(daily.isWorking, false)
  clock.advance(dayMs)
  await eventually(async () => !daily.isWorking, 'end of the round')
  await committer.refresh()
  const after = committerOf(bench)
  await after.open()
  assert.equal(after.landed().blobCount, 0)
  assert.equal((await after.archive.find(['logs/pg']))[0]?.mark?.head, head)
})

test('old days are deleted although the old offsets cannot be archived, because a file of the archive is damaged', async (t) => {
  const archiveOffsets = { afterDays: 2, minOffsets: 1 }
  const { bench, target, staging, logger, warnings } = await pipelineBench(t, {
    retainDays: 1,
    archiveOffsets,
  })
  await landBatches(bench, 0, 1)
  await archive(bench)
  await landBatches(bench, 1, 2)
  const folder = '_tailrace/offsets'
  for (const name of await bench.storage.list(folder))
    if (name.endsWith('.parquet')) await bench.storage.put(`${folder}/${name}`, Buffer.from('damaged'))
  const clock = new ManualClock(Date.now() + 3 * dayMs)
  const daily = maintenance(t, { target, staging, archivableOffsets: () => 1, clock, logger })
  clock.advance(firstPauseMs)
  await eventually(async () => !daily.isWorking, 'end of the round')
  assert.match(warnings.join(), /old offsets of the table were not archived/)
  assert.deepEqual(await rowsOf(bench, "event_date = DATE '2026-01-01'"), [])
})
