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
    /0\.0 MB of logs arrived in the last day; in a day about 96 landings with 96 statements keep the warehouse awake for 16\.8 h: \$47\.04, or \$1411 in 30 days\. Assumed: a 2X-Small serverless warehouse, auto-stop after 10 min \(read from the workspace\); 4 DBU an hour at \$0\.70;/
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

test('an estimate is of the warehouse as it is set, read by a request that wakes nothing, at the prices of the config', async (t) => {
  const warehouse = { cluster_size: 'Medium', auto_stop_mins: 45, enable_serverless_compute: false }
  const bench = await openWorkspaceBench(t, { warehouse: { ...warehouse, min_num_clusters: 2 } })
  await bench.storage.append('primary.ndjson', lines(0, 20))
  const mode = 'stage-only'
  const config = bench.config({
    mode,
    upload: 'files-api',
    stagedRetentionMs: 3_600_000,
    prices: { perProDbu: 1 },
  })
  const { text } = await outputOf(config, (context) => status(context, undefined, false))
  assert.match(text, /24 statements keep the warehouse awake for 19\.7 h: \$947\.20/)
  assert.match(
    text,
    /a Medium pro warehouse with 2 clusters, auto-stop after 45 min \(read from the workspace\)/,
  )
  assert.match(text, /48 DBU an hour at \$1\.00, machines not included/)
  assert.ok(bench.workspace.log.requests.includes('GET /api/2.0/sql/warehouses/0123456789abcdef'))
})

test('where the settings of the warehouse cannot be read, the estimate assumes usual ones and names the reason', async (t) => {
  const bench = await openWorkspaceBench(t)
  await bench.storage.append('primary.ndjson', lines(0, 20))
  bench.workspace.faults.add({
    route: /^GET \/api\/2\.0\/sql\/warehouses\//,
    fault: { kind: 'status', status: 403, errorCode: 'PERMISSION_DENIED', message: 'no permission' },
  })
  const { code, text } = await outputOf(bench.config(), check)
  assert.equal(code, 0)
  assert.match(
    text,
    /a 2X-Small serverless warehouse, auto-stop after 10 min \(assumed, because its settings could not be read \(WAREHOUSE_DENIED: .*PERMISSION_DENIED.*\)\)/,
  )
})
