import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, type TailraceRun } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type TestConfig, writeProject } from '../support/test-project.ts'

const lines = (count: number, from = 0): Buffer =>
  linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index)))

async function setUp(t: TestContext, more: Partial<TestConfig> = {}) {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary.json' } },
    ...more,
  })
  const run = (...args: string[]): Promise<TailraceRun> =>
    runTailrace(t, [...args, '--config', project.configPath], {
      env: { TAILRACE_RUNS_TABLE: 'test.logs.tailrace_runs' },
    })
  const query = async (sql: string): Promise<Record<string, unknown>[]> => {
    const { stdout, stderr, code } = await run('query', sql, '--format', 'ndjson')
    assert.equal(code, 0, stderr)
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  }
  return { storage, project, run, query, journals: join(project.stateDirectory, 'runs') }
}

/** The run that landed each row, by a row's place. */
const landedBy = `SELECT log.source_offset AS "offset", run.run_id AS run
  FROM "primary" AS log LEFT JOIN (
    SELECT run_id, unnest(from_json(ranges, '[{"blob":"VARCHAR","generation":"VARCHAR","start":"BIGINT","end":"BIGINT"}]')) AS range
    FROM tailrace_runs WHERE kind = 'batch'
  ) AS run ON log.source_blob = run.range.blob AND log.source_generation = run.range.generation
    AND log.source_offset >= run.range.start AND log.source_offset < run.range."end"
  ORDER BY ALL`

test('each run and each batch is a row, once, and the row of a log leads to the run that landed it', async (t) => {
  const { storage, run, query } = await setUp(t)
  for (const count of [3, 2]) {
    await storage.append('primary.json', lines(count, 10 * count))
    const { code, stderr } = await run('start', '--once')
    assert.equal(code, 0, stderr)
  }
  const rows = await query(
    'SELECT run_id, kind, pipeline, row_count::INTEGER AS row_count, table_name, table_version::INTEGER AS table_version, bytes, outcome, parse_status FROM tailrace_runs ORDER BY "at", kind DESC',
  )
  assert.deepEqual(
    rows.map(({ kind, row_count, outcome, parse_status }) => [kind, row_count, outcome, parse_status]),
    [
      ['start', null, null, 'ok'],
      ['batch', 3, null, 'ok'],
      ['end', 3, 'done', 'ok'],
      ['start', null, null, 'ok'],
      ['batch', 2, null, 'ok'],
      ['end', 2, 'done', 'ok'],
    ],
  )
  const [, first, , , second] = rows
  assert.deepEqual(
    [first!.pipeline, first!.table_name, first!.table_version],
    ['primary', 'test.logs.primary', 1],
  )
  assert.notEqual(first!.run_id, second!.run_id)
  const { length } = await storage.content('primary.json')
  assert.equal(Number(first!.bytes) + Number(second!.bytes), length)
  assert.deepEqual(
    (await query(landedBy)).map((row) => row.run),
    [first!.run_id, first!.run_id, first!.run_id, second!.run_id, second!.run_id],
  )
  // The table is one of the config for every command of tables, and the pipelines of a run are the user's.
  assert.equal((await query('SELECT count(*)::INTEGER AS n FROM test.logs.tailrace_runs'))[0]!.n, 6)
  const history = await run('history', '--pipeline', 'tailrace-runs')
  assert.match(history.stdout, /^tailrace-runs: the log has versions 0 to 2\n/)
  const status = await run('status')
  assert.doesNotMatch(status.stdout, /tailrace-runs/)
})

test('a batch whose process died between its commit and its record is recorded by the next one, once', async (t) => {
  const { storage, run, query, journals } = await setUp(t)
  await storage.append('primary.json', lines(3))
  await run('start', '--once')
  const [journal] = await readdir(journals)
  const records = (await readFile(join(journals, journal!), 'utf8')).trimEnd().split('\n')
  const batch = records.map((line) => JSON.parse(line)).find(({ kind }) => kind === 'batch')
  const pending = async (batchId: string, end: number) => {
    const ranges = [{ ...JSON.parse(batch.ranges)[0], end }]
    await writeFile(
      join(journals, 'primary.pending.json'),
      JSON.stringify({ record: { ...batch, batch_id: batchId }, ranges }),
    )
  }
  const { length } = await storage.content('primary.json')
  // Died after the record was written: it is in the journal already.
  await pending(batch.batch_id, length)
  await run('start', '--once')
  // Died before the record was written.
  const lost = '00000000-0000-4000-8000-000000000001'
  await pending(lost, length)
  await run('start', '--once')
  // Died before the commit: the table does not have the bytes.
  await pending('00000000-0000-4000-8000-000000000002', length + 100)
  await run('start', '--once')
  assert.deepEqual(
    await query(
      "SELECT batch_id, is_recovered FROM tailrace_runs WHERE kind = 'batch' ORDER BY is_recovered NULLS FIRST",
    ),
    [
      { batch_id: batch.batch_id, is_recovered: null },
      { batch_id: lost, is_recovered: true },
    ],
  )
})

test('records that cannot be landed hold back no row, and land with a later run, once', async (t) => {
  const { storage, project, run, query } = await setUp(t)
  const table = project.tableDirectory('tailrace_runs')
  await storage.append('primary.json', lines(3))
  // A file is where the table should be.
  await run('tables', 'create', '--pipeline', 'primary')
  await writeFile(table, '')
  const first = await run('start', '--once')
  assert.equal(first.code, 0, first.stderr)
  assert.ok(first.process.logged('the record of runs was not landed'), first.stderr)
  assert.equal(JSON.parse(first.stdout).pipelines.primary.rows, 3)
  await rm(table)
  assert.equal((await run('start', '--once')).code, 0)
  assert.equal((await run('start', '--once')).code, 0)
  const kinds = await query(
    'SELECT kind, count(*)::INTEGER AS n FROM tailrace_runs GROUP BY kind ORDER BY kind',
  )
  assert.deepEqual(kinds, [
    { kind: 'batch', n: 1 },
    { kind: 'end', n: 3 },
    { kind: 'start', n: 3 },
  ])
})

test('a run that fails has its error, and nothing is recorded unless the config asks for it', async (t) => {
  const { storage, project, run, query, journals } = await setUp(t)
  await storage.append('primary.json', lines(1))
  const { code } = await runTailrace(t, ['start', '--once', '--config', project.configPath])
  assert.equal(code, 0)
  await assert.rejects(readdir(journals), { code: 'ENOENT' })
  const commit = join(project.tableDirectory('primary'), '_delta_log', `${'1'.padStart(20, '0')}.json`)
  const content = await readFile(commit)
  await writeFile(commit, '{')
  const failed = await run('start', '--once')
  assert.equal(failed.code, 1, failed.stderr)
  await writeFile(commit, content)
  const [end] = await query("SELECT outcome, error_code FROM tailrace_runs WHERE kind = 'end'")
  assert.deepEqual(end, { outcome: 'failed', error_code: 'TABLE_CORRUPT' })
})
