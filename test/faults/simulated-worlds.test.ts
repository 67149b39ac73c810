import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSchedules } from '../simulation/run-schedules.ts'
import { answerFaults, lies, readFaults, worldEvents } from '../support/blob-service/fault-plan.ts'

const worlds = 250
const tails = 200

test('in hundreds of simulated worlds, each record lands once', async (t) => {
  const seeds = Array.from({ length: worlds }, (_, index) => 1_001 + index)
  const { schedules, calls, commits, lives, failures } = await runSchedules('world', seeds)
  t.diagnostic(`${schedules} worlds, ${calls} calls, ${commits} commits, ${lives} starts of processes`)
  assert.ok(failures.length === 0, failures.join('\n\n'))
  assert.equal(schedules, worlds)
})

test('under hundreds of schedules of faults of storage, each generation comes once, in order and unmixed', async (t) => {
  const seeds = Array.from({ length: tails }, (_, index) => 1_001 + index)
  const kinds = [...answerFaults, ...readFaults, ...lies, ...worldEvents]
  const { schedules, calls, failures } = await runSchedules('tail', seeds, kinds)
  t.diagnostic(`${schedules} schedules, ${calls} requests`)
  assert.ok(failures.length === 0, failures.join('\n\n'))
  assert.equal(schedules, tails)
})
