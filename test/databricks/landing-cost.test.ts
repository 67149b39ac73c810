import assert from 'node:assert/strict'
import test from 'node:test'
import { check } from '../../src/commands/check.ts'
import { status } from '../../src/commands/status.ts'
import { lines, openBench, outputOf } from '../commands/command-fixture.ts'
import { openWorkspaceBench } from './workspace-bench.ts'

test('check and status estimate statements, awake hours and dollars from the config and the bytes that arrived', async (t) => {
  const bench = await openWorkspaceBench(t)
  const bytes = lines(0, 20)
  await bench.storage.append('primary.ndjson', bytes)
  const config = bench.config({ upload: 'files-api' })
  const sentence =
    /0\.0 MB of logs arrived in the last day; in a day about 96 landings with 96 statements keep the warehouse awake for 16\.8 h: \$47\.04, or \$1411 in 30 days\. Assumed: a 2X-Small serverless warehouse/
  assert.match((await outputOf(config, check)).text, sentence)
  assert.match((await outputOf(config, (context) => status(context, undefined, false))).text, sentence)
  const { text } = await outputOf(config, (context) => status(context, undefined, true))
  const [cost, ...others] = JSON.parse(text).landingCosts
  assert.deepEqual(others, [])
  assert.deepEqual([cost.bytesPerDay, cost.landings, cost.statements], [bytes.length, 96, 96])
})

test('where nothing arrives nothing is paid, and a table in a directory has no such cost', async (t) => {
  const bench = await openWorkspaceBench(t)
  const quiet = await outputOf(bench.config(), check)
  assert.match(quiet.text, /no logs arrived in the last day, so nothing is sent and no warehouse wakes\n$/)
  const local = await openBench(t)
  await local.storage.append('a', lines(0, 1))
  assert.doesNotMatch((await outputOf(local.config({ a: {} }), check)).text, /warehouse|\$/)
})
