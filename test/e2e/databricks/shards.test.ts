import assert from 'node:assert/strict'
import test from 'node:test'
import { loadConfig } from '../../../src/config/load.ts'
import { assertVerified } from '../../databricks/assert-verified.ts'
import { rowsIn } from '../../databricks/landed-lines.ts'
import { catalog, openWorkspaceBench, schema } from '../../databricks/workspace-bench.ts'
import { eventually } from '../../support/eventually.ts'
import { assertLandedOnce } from '../../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../../support/log-lines.ts'
import { startTailrace } from '../../support/run-tailrace.ts'
import { writeProject } from '../../support/test-project.ts'

const blobs = Array.from({ length: 12 }, (_, index) => `p/${String(index).padStart(2, '0')}.json`)
const relation = `"${catalog}"."${schema}"."primary"`

test('two shards that land by transactions at the same time put every line into the table once, also after one was killed', async (t) => {
  const bench = await openWorkspaceBench(t)
  const { storage, warehouse, directory } = bench
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'p/', discoverMs: 100, maxPollMs: 100 } },
    sink: bench.sink({ mode: 'transaction', upload: 'files-api' }),
    schema: `${catalog}.${schema}`,
  })
  let line = 0
  const append = async (count: number): Promise<void> => {
    for (const name of blobs) {
      const lines = Array.from({ length: count }, () => jsonlogLine(line++))
      await storage.append(name, linesAsBytes(lines))
    }
  }
  const start = (index: number) =>
    startTailrace(t, ['start', '--config', project.configPath, '--shard', `${index}/2`])
  await append(5)
  const both = [start(0), start(1)]
  await Promise.all(both.map((one) => one.until(() => one.logged('landed'), 'its first batch')))
  await append(5)
  both[1]!.kill('SIGKILL')
  await both[1]!.exited
  await append(5)
  both[1] = start(1)
  const isLanded = async (): Promise<boolean> => (await rowsIn(warehouse, relation)).length >= line
  await eventually(isLanded, 'all lines')
  for (const one of both) {
    one.kill('SIGTERM')
    assert.equal((await one.exited).code, 143, one.stderr.slice(-2_000))
  }
  const rows = await rowsIn(warehouse, relation)
  for (const name of blobs) assertLandedOnce(name, await storage.content(name), rows)
  await assertVerified(await loadConfig(project.configPath), blobs.length)
})
