import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import type { DatabricksSinkConfig } from '../../../src/sinks/databricks/options.ts'
import { rowsIn } from '../../databricks/landed-lines.ts'
import { catalog, openWorkspaceBench, schema, type WorkspaceBench } from '../../databricks/workspace-bench.ts'
import { eventually } from '../../support/eventually.ts'
import { assertLandedOnce } from '../../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../../support/log-lines.ts'
import { runTailrace, startTailrace } from '../../support/run-tailrace.ts'
import { writeProject } from '../../support/test-project.ts'

const blob = 'p/only.json'
const relation = `"${catalog}"."${schema}"."primary"`

interface Setup extends WorkspaceBench {
  append(from: number, count: number): Promise<void>
  /** Writes a config of a mode. @returns the arguments that name it */
  configOf(mode: DatabricksSinkConfig['mode'], state: string): Promise<readonly string[]>
  countIs(count: number): Promise<void>
  assertOnce(): Promise<void>
}

async function setUp(t: TestContext): Promise<Setup> {
  const bench = await openWorkspaceBench(t)
  const { storage, warehouse, directory } = bench
  return {
    ...bench,
    append: async (from, count) => {
      const lines = Array.from({ length: count }, (_, index) => jsonlogLine(from + index))
      await storage.append(blob, linesAsBytes(lines))
    },
    configOf: async (mode, state) => {
      const place = join(directory, `${mode}-${state}`)
      await mkdir(place)
      const { configPath } = await writeProject(place, {
        root: join(directory, state),
        storage: { kind: 'connection-string', connectionString: storage.connectionString },
        pipelines: { primary: { blobs: 'p/', discoverMs: 100, maxPollMs: 100 } },
        sink: bench.sink({ mode }),
        schema: `${catalog}.${schema}`,
        restart: { minPauseMs: 10, maxPauseMs: 20 },
      })
      return ['--config', configPath]
    },
    countIs: (count) =>
      eventually(async () => (await rowsIn(warehouse, relation)).length === count, `${count} rows`),
    assertOnce: async () => {
      assertLandedOnce(blob, await storage.content(blob), await rowsIn(warehouse, relation))
    },
  }
}

test('beside a process that lands by transactions another mode cannot start with the same state directory, and another transaction can', async (t) => {
  const { append, configOf, countIs, assertOnce } = await setUp(t)
  await append(0, 20)
  const transaction = await configOf('transaction', 'one')
  const running = startTailrace(t, ['start', ...transaction])
  await running.until(() => running.logged('landed'), 'its first batch')
  await append(20, 10)
  await countIs(30)
  for (const mode of ['copy-into', 'auto'] as const) {
    const refused = await runTailrace(t, ['start', '--once', ...(await configOf(mode, 'one'))])
    assert.equal(refused.code, 1, refused.stderr)
    assert.match(refused.stderr, /STATE_LOCKED/)
  }
  const beside = await runTailrace(t, ['start', '--once', ...transaction])
  assert.equal(beside.code, 0, beside.stderr)
  await append(30, 10)
  await countIs(40)
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr.slice(-2_000))
  await assertOnce()
})

test('a pipeline whose offsets another mode has taken over ends without a restart, and no row is there twice', async (t) => {
  const { append, configOf, countIs, assertOnce, warehouse } = await setUp(t)
  await append(0, 20)
  const old = startTailrace(t, ['start', ...(await configOf('transaction', 'one'))])
  await old.until(() => old.logged('landed'), 'its first batch')
  const newer = startTailrace(t, ['start', ...(await configOf('copy-into', 'two'))])
  const offsets = `SELECT 1 FROM "${catalog}"."${schema}"."tailrace_offsets" WHERE target <> ''`
  await eventually(async () => (await warehouse.rows(offsets)).length === 0, 'the offsets are taken over')
  await append(20, 10)
  assert.deepEqual(await old.exited, { code: 1, signal: null }, old.stderr.slice(-4_000))
  assert.match(old.stderr, /OFFSETS_HANDED_OVER/)
  assert.ok(!old.logged('the pipeline runs again'))
  await countIs(30)
  newer.kill('SIGTERM')
  assert.equal((await newer.exited).code, 143, newer.stderr.slice(-2_000))
  await assertOnce()
})
