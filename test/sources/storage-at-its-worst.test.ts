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

/** `TAILRACE_SEED=7` runs that schedule alone; `TAILRACE_SCHEDULES=100000` so many, however long they take. */
const { TAILRACE_SEED: onlySeed, TAILRACE_SCHEDULES: asked } = process.env
const seeds =
  onlySeed === undefined
    ? Array.from({ length: Number(asked ?? 5_000) }, (_, index) => index + 1)
    : [Number(onlySeed)]
const limitMs = asked === undefined ? 2_000 : Number.MAX_SAFE_INTEGER
/** Fewer would say little: on a slow machine they take longer than the limit. */
const fewestSchedules = 50
const overSocketsMs = 2_000
/** They mostly wait, for deadlines and pauses of real milliseconds. */
const overSocketsAtOnce = 8

async function holdsFor(t: TestContext, runner: Runner, some: readonly FaultKind[]): Promise<void> {
  const startMs = performance.now()
  const reports = [await runSchedules(runner, seeds, some, limitMs)]
  const left = seeds.slice(reports[0]!.schedules, fewestSchedules)
  if (left.length > 0) reports.push(await runSchedules(runner, left, some, Number.MAX_SAFE_INTEGER))
  const schedules = reports.reduce((sum, report) => sum + report.schedules, 0)
  const requests = reports.reduce((sum, report) => sum + report.requests, 0)
  const failures = reports.flatMap((report) => report.failures)
  const perSecond = Math.round((1000 * schedules) / (performance.now() - startMs))
  t.diagnostic(`${schedules} schedules, ${requests} requests, ${perSecond} schedules/s`)
  assert.ok(failures.length === 0, failures.join('\n\n'))
  assert.ok(schedules >= Math.min(fewestSchedules, seeds.length), `only ${schedules} schedules`)
}

test('whatever storage does, each generation comes once, in order and unmixed, and the last one whole', (t) =>
  holdsFor(t, 'tail', kinds))

test('whatever storage does, and whenever the process is killed, each line of a listed blob lands once', (t) =>
  holdsFor(t, 'lanes', [...kinds, ...listingFaults]))

test('a schedule happens again, to the request, from its seed', async () => {
  const [seed = 1] = seeds
  assert.deepEqual(await runTailSchedule(seed, kinds), await runTailSchedule(seed, kinds))
})

test('the same over real connections, which are really reset, closed and stalled', async (t) => {
  const endMs = performance.now() + overSocketsMs
  const left = seeds.values()
  let schedules = 0
  const runSome = async (): Promise<void> => {
    for (const seed of left) {
      if (performance.now() > endMs) return
      await runTailScheduleOverSockets(t, seed, kinds)
      schedules += 1
    }
  }
  await Promise.all(Array.from({ length: overSocketsAtOnce }, runSome))
  t.diagnostic(`${schedules} schedules`)
})
