import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  answerFaults,
  type FaultKind,
  lies,
  listingFaults,
  readFaults,
  worldEvents,
} from '../support/blob-service/fault-plan.ts'
import { runSchedules } from '../support/blob-service/run-schedules.ts'
import type { Runner } from '../support/blob-service/schedules-process.ts'
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

async function holdsFor(
  t: TestContext,
  runner: Runner,
  options: { readonly kinds: readonly FaultKind[]; readonly schedules: number },
): Promise<void> {
  const seeds = seedsFor(options.schedules)
  const { schedules, requests, failures } = await runSchedules(runner, seeds, options.kinds)
  t.diagnostic(`${schedules} schedules, ${requests} requests`)
  assert.ok(failures.length === 0, failures.join('\n\n'))
  assert.equal(schedules, seeds.length)
}

test('whatever storage does, each generation comes once, in order and unmixed, and the last one whole', (t) =>
  holdsFor(t, 'tail', { kinds, schedules: 150 }))

test('whatever storage does, and whenever the process is killed, each line of a listed blob lands once', (t) =>
  holdsFor(t, 'lanes', { kinds: [...kinds, ...listingFaults], schedules: 75 }))

test('a schedule happens again, to the request, from its seed', async () => {
  const [seed = 1] = seedsFor(1)
  assert.deepEqual(await runTailSchedule(seed, kinds), await runTailSchedule(seed, kinds))
})

test('the same over real connections, which are really reset, closed and stalled', async (t) => {
  const left = seedsFor(48).values()
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
