import assert from 'node:assert/strict'
import test from 'node:test'
import { DailyMaintenance } from '../../../../src/sinks/delta/maintenance/daily-maintenance.ts'
import { ManualClock } from '../../../sources/manual-clock.ts'
import { eventually } from '../../../support/eventually.ts'
import { rowsOf } from '../support.ts'
import { dayMs, landBatches, pipelineBench } from './support.ts'

const firstPauseMs = 10 * 60_000

test('old days are deleted once a day without a landing, once there is disk space, and the last one is kept with a warning', async (t) => {
  const { bench, target, staging, logger, warnings } = await pipelineBench(t, { retainDays: 90 })
  // Rows are of the first three days of 2026, or have no day.
  await landBatches(bench, 0, 1)
  const daysLeft = async (): Promise<number> => {
    const days = [1, 2, 3].map((day) => rowsOf(bench, `event_date = DATE '2026-01-0${day}'`))
    return (await Promise.all(days)).filter((rows) => rows.length > 0).length
  }
  const clock = new ManualClock(Date.UTC(2026, 0, 2) + 90 * dayMs)
  let isHeld = true
  const daily = new DailyMaintenance({
    target,
    staging,
    isHeld: () => isHeld,
    clock,
    logger,
  })
  t.after(() => daily.stop())
  clock.advance(firstPauseMs)
  isHeld = false
  assert.equal(await daysLeft(), 3)
  clock.advance(firstPauseMs)
  await eventually(async () => (await daysLeft()) === 2, 'the first day is deleted')
  await eventually(async () => !daily.isWorking, 'end of the first round')
  clock.advance(dayMs)
  await eventually(async () => (await daysLeft()) === 1, 'the second day is deleted')
  await eventually(async () => !daily.isWorking, 'end of the second round')
  clock.advance(dayMs)
  await eventually(async () => warnings.length > 0, 'a warning')
  assert.match(warnings.join(), /were not deleted: trying again tomorrow/)
  assert.equal(await daysLeft(), 1)
  await daily.stop()
  assert.equal(clock.waiting, 0)
})
