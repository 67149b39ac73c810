import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../src/clock.ts'
import { Monitor } from '../../../src/run/monitoring/monitor.ts'
import { StopDeadline } from '../../../src/run/stop-deadline.ts'
import { eventually } from '../../support/eventually.ts'

const limits = { maxSilentMs: 1_000, maxStallMs: 1_000 }

test('a stop past its deadline is the one thing that makes the process itself unwell', async () => {
  const deadline = new StopDeadline({ stopMs: 50, clock: systemClock })
  const monitor = new Monitor({
    names: () => [],
    pipelines: () => [],
    limits: () => limits,
    stopOverdueSinceMs: () => deadline.overdueSinceMs,
    nowMs: () => systemClock.now(),
  })
  const beganAtMs = Date.now()
  deadline.begin()
  assert.deepEqual(monitor.reasonsAgainst('livez'), [])
  // The deadline's own timer keeps no process alive.
  await eventually(async () => monitor.reasonsAgainst('livez').length > 0, 'a reason')
  const [reason] = monitor.reasonsAgainst('livez')
  assert.equal(reason?.code, 'STOP_OVERDUE')
  assert.ok(Date.parse(reason!.since) >= beganAtMs + 49)
  assert.deepEqual(monitor.reasonsAgainst('readyz'), [])
})

test('a pipeline that has not been created yet is starting since the process began', () => {
  const monitor = new Monitor({
    names: () => ['primary'],
    pipelines: () => [],
    limits: () => limits,
    stopOverdueSinceMs: () => undefined,
    nowMs: () => 7_000,
  })
  for (const probe of ['readyz', 'startupz'] as const) {
    const [reason] = monitor.reasonsAgainst(probe)
    assert.deepEqual(
      [reason?.pipeline, reason?.code, reason?.since],
      ['primary', 'PIPELINE_STARTING', new Date(7_000).toISOString()],
    )
  }
})
