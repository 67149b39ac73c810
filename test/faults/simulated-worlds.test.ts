import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSchedules } from '../simulation/run-schedules.ts'

const worlds = 250

test('in hundreds of simulated worlds, each record lands once', async (t) => {
  const seeds = Array.from({ length: worlds }, (_, index) => 1_001 + index)
  const { schedules, calls, commits, lives, failures } = await runSchedules('world', seeds)
  t.diagnostic(`${schedules} worlds, ${calls} calls, ${commits} commits, ${lives} starts of processes`)
  assert.ok(failures.length === 0, failures.join('\n\n'))
  assert.equal(schedules, worlds)
})
