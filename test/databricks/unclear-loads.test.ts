import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import test from 'node:test'
import { loadConfig } from '../../src/config/load.ts'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { writeProject } from '../support/test-project.ts'
import { assertVerified } from './assert-verified.ts'
import { rowsIn } from './landed-lines.ts'
import { catalog, openWorkspaceBench, schema, volume } from './workspace-bench.ts'

const relation = `"${catalog}"."${schema}"."primary"`
const unclear = 'p/unclear.json'
const other = 'p/other.json'

test('a start goes on with the other blobs when a load is unclear, and tailrace intent shows and ends it', async (t) => {
  const bench = await openWorkspaceBench(t)
  const { storage, warehouse, workspace, directory } = bench
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'p/', discoverMs: 100, maxPollMs: 100 } },
    sink: bench.sink({ mode: 'copy-into' }),
    schema: `${catalog}.${schema}`,
  })
  const config = ['--config', project.configPath]
  const run = (...args: string[]) => runTailrace(t, [...args, ...config])
  const append = (name: string, from: number, count: number) =>
    storage.append(name, linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index))))
  await append(unclear, 0, 20)
  const untold = workspace.faults.add({ statement: /^COPY INTO/, fault: { kind: 'slow', holds: 'end' } })
  const killed = startTailrace(t, ['start', ...config])
  await untold.struck
  await eventually(async () => (await rowsIn(warehouse, relation)).length === 20, 'the rows of the load')
  killed.kill('SIGKILL')
  await killed.exited
  untold.release()
  await warehouse.rows(`DELETE FROM ${relation} WHERE source_offset = 0`)
  await append(other, 100, 10)

  const drained = await run('start', '--once')
  assert.equal(drained.code, 1, drained.stderr)
  assert.match(drained.stderr, /LOAD_UNCLEAR[\s\S]*expected 20, found 19/)
  assertLandedOnce(other, await storage.content(other), await rowsIn(warehouse, relation))
  const status = await run('status')
  assert.match(status.stdout, /p\/unclear\.json is set aside until you decide: LOAD_UNCLEAR/)
  const shown = await run('intent', 'show', '--json')
  const [intent] = (JSON.parse(shown.stdout) as { intents: { state: string; batch: string }[] }).intents
  assert.equal(intent?.state, 'unclear')
  // Half an hour later no statement of the killed process can still run.
  const staged = await bench.volumes.list(volume)
  assert.ok(staged.length > 0)
  const file = await readFile(project.offsetPath('primary'), 'utf8')
  const later = file.replace(
    /"loadingSinceMs": (\d+)/,
    (_, ms) => `"loadingSinceMs": ${Number(ms) - 1_800_000}`,
  )
  await writeFile(project.offsetPath('primary'), later)
  const refused = await run('intent', 'discard', '--pipeline', 'primary')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /expected 20, found 19/)
  assert.equal((await bench.volumes.list(volume)).length, staged.length, 'a refusal keeps the evidence')
  const discarded = await run('intent', 'discard', '--pipeline', 'primary', '--remove-rows')
  assert.equal(discarded.code, 0, discarded.stderr)
  assert.match(discarded.stdout, /"outcome":"read-again","removedRows":19/)
  assert.match((await run('intent', 'show')).stdout, /pipeline/)
  const last = await run('start', '--once')
  assert.equal(last.code, 0, last.stderr)
  const rows = await rowsIn(warehouse, relation)
  for (const name of [unclear, other]) assertLandedOnce(name, await storage.content(name), rows)
  await assertVerified(await loadConfig(project.configPath), 2)
})
