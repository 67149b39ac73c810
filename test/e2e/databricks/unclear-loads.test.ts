import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import test, { type TestContext } from 'node:test'
import { loadConfig } from '../../../src/config/load.ts'
import { assertVerified } from '../../databricks/assert-verified.ts'
import { rowsIn } from '../../databricks/landed-lines.ts'
import { catalog, openWorkspaceBench, schema, volume } from '../../databricks/workspace-bench.ts'
import { eventually } from '../../support/eventually.ts'
import { assertLandedOnce } from '../../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../../support/log-lines.ts'
import { runTailrace, startTailrace } from '../../support/run-tailrace.ts'
import { writeProject } from '../../support/test-project.ts'

const relation = `"${catalog}"."${schema}"."primary"`
const unclear = 'p/unclear.json'
const other = 'p/other.json'

/** A pipeline of these blobs, 20 lines of `unclear` whose load is unclear, and 10 lines of `other`. */
async function unclearLoad(t: TestContext, blobs: string) {
  const bench = await openWorkspaceBench(t)
  const { storage, warehouse, workspace, directory } = bench
  const writeConfig = (of: string) =>
    writeProject(directory, {
      storage: { kind: 'connection-string', connectionString: storage.connectionString },
      pipelines: { primary: { blobs: of, discoverMs: 100, maxPollMs: 100 } },
      sink: bench.sink({ mode: 'copy-into' }),
      schema: `${catalog}.${schema}`,
    })
  const project = await writeConfig(blobs)
  const config = ['--config', project.configPath]
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
  return {
    bench,
    project,
    writeConfig,
    append,
    start: () => startTailrace(t, ['start', ...config]),
    run: (...args: string[]) => runTailrace(t, [...args, ...config]),
  }
}

test('a pipeline of one blob goes on while a load of another blob, which it read before, is unclear', async (t) => {
  const { bench, writeConfig, append, start, run } = await unclearLoad(t, unclear)
  const { storage, warehouse } = bench
  const stopped = await run('start', '--once')
  assert.equal(stopped.code, 1)
  assert.match(stopped.stderr, /LOAD_UNCLEAR[\s\S]*expected 20, found 19/)

  await writeConfig(other)
  const running = start()
  const landsOther = async () => {
    const rows = await rowsIn(warehouse, relation)
    return rows.filter(({ blob }) => blob.endsWith(other)).length
  }
  await eventually(async () => (await landsOther()) === 10, 'the other blob has landed')
  await append(other, 110, 5)
  await eventually(async () => (await landsOther()) === 15, 'what was appended has landed')
  assert.match((await run('status')).stdout, /p\/unclear\.json is set aside until you decide: LOAD_UNCLEAR/)
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr.slice(-4_000))
  assertLandedOnce(other, await storage.content(other), await rowsIn(warehouse, relation))
  // A drain is not complete as long as a load of the pipeline is unclear.
  const drained = await run('start', '--once')
  assert.equal(drained.code, 1)
  assert.match(drained.stderr, /LOAD_UNCLEAR/)
})

test('a start goes on with the other blobs when a load is unclear, and tailrace intent shows and ends it', async (t) => {
  const { bench, project, run } = await unclearLoad(t, 'p/')
  const { storage, warehouse } = bench
  const drained = await run('start', '--once')
  assert.equal(drained.code, 1, drained.stderr)
  assert.match(drained.stderr, /LOAD_UNCLEAR[\s\S]*expected 20, found 19/)
  assertLandedOnce(other, await storage.content(other), await rowsIn(warehouse, relation))
  const status = await run('status')
  assert.match(status.stdout, /p\/unclear\.json is set aside until you decide: LOAD_UNCLEAR/)
  const shown = await run('intent', 'show', '--json')
  const [intent] = (JSON.parse(shown.stdout) as { intents: { state: string; batch: string }[] }).intents
  assert.equal(intent?.state, 'unclear')
  // An hour later no statement of the killed process can still run.
  const staged = await bench.volumes.list(volume)
  assert.ok(staged.length > 0)
  const file = await readFile(project.offsetPath('primary'), 'utf8')
  const later = file.replace(
    /"loadingSinceMs": (\d+)/,
    (_, ms) => `"loadingSinceMs": ${Number(ms) - 3_600_000}`,
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
