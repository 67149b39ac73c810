import assert from 'node:assert/strict'
import test from 'node:test'
import { pauseToLanding } from '../../../src/run/recording/run-recorder.ts'

test('records land with the first pipeline, and never sooner than a minute after each other', () => {
  const quarter = 900_000
  assert.equal(pauseToLanding(10 * quarter, quarter), quarter)
  assert.equal(pauseToLanding(10 * quarter + 600_000, quarter), 300_000)
  assert.equal(pauseToLanding(11 * quarter - 30_000, quarter), quarter + 30_000)
  assert.equal(pauseToLanding(quarter + 500, 2_000), 61_500)
  assert.equal(pauseToLanding(quarter, 1_000), 60_000)
  assert.equal(pauseToLanding(quarter + 7, undefined), 60_000)
})
