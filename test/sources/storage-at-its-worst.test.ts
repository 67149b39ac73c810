import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSchedules } from '../simulation/run-schedules.ts'
import {
  answerFaults,
  type FaultKind,
  lies,
  readFaults,
  worldEvents,
} from '../support/blob-service/fault-plan.ts'
import { runTailSchedule, runTailScheduleOverSockets } from '../support/blob-service/tail-schedule.ts'

/** `TAILRACE_FAULTS=truncate,append` tries only these. A seed means the same schedule only with the same kinds. */
const kinds = (process.env.TAILRACE_FAULTS?.split(',') as FaultKind[] | undefined) ?? [
  ...answerFaults,
  ...readFaults,
  ...lies,
  ...worldEvents,
]

/** `TAILRACE_SEED=7` runs that schedule alone; `TAILRACE_SCHEDULES=100000` so many from seed 1 on. */
const { TAILRACE_SEED: onlySeed, TAILRACE_SCHEDULES: asked } = process.env

function seedsFor(schedules: number): readonly number[] {
  if (onlySeed !== undefined) return [Number(onlySeed)]
  return Array.from({ length: Number(asked ?? schedules) }, (_, index) => index + 1)
}

/** They mostly wait, for deadlines and pauses of real milliseconds. */
const overSocketsAtOnce = 8

test('each generation comes once, in order and unmixed, and the last one whole, despite any faults of storage', async (t) => {
  const seeds = seedsFor(60)
  const { schedules, calls, failures } = await runSchedules('tail', seeds, kinds)
  t.diagnostic(`${schedules} schedules, ${calls} requests`)
  assert.ok(failures.length === 0, failures.join('\n\n'))
  assert.equal(schedules, seeds.length)
})

test('a schedule happens again, to the request, from its seed', async () => {
  const [seed = 1] = seedsFor(1)
  assert.deepEqual(await runTailSchedule(seed, kinds), await runTailSchedule(seed, kinds))
})

test('the same over real connections, which are really reset, closed and stalled', async (t) => {
  const left = seedsFor(16).values()
  let schedules = 0
  const runSome = async (): Promise<void> => {
    for (const seed of left) {
      await runTailScheduleOverSockets(t, seed, kinds)
      schedules += 1
    }
  }
  await Promise.all(Array.from({ length: overSocketsAtOnce }, runSome))
  t.diagnostic(`${schedules} schedules`)
})
