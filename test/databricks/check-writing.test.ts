import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pino } from 'pino'
import { AccessControl } from '../../doubles/workspace/access-control.ts'
import { SqlFailure } from '../../doubles/workspace/warehouse-engine.ts'
import { systemClock } from '../../src/clock.ts'
import { checkWriting } from '../../src/commands/checking/check-writing.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { WorkspaceHttp } from '../../src/sinks/databricks/workspace/http.ts'
import { lines, outputOf } from '../commands/command-fixture.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import {
  catalog,
  landAll,
  openWorkspaceBench,
  schema,
  volume,
  type WorkspaceBench,
} from './workspace-bench.ts'

const table = `${catalog}.${schema}.primary_logs`

const write = (config: ResolvedConfig) => outputOf(config, (context) => checkWriting(context, {}))

/** What a check has left in the workspace and on this machine. */
async function leftovers(bench: WorkspaceBench): Promise<readonly string[]> {
  const tables = await bench.warehouse.rows(
    "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'tailrace_check%'",
  )
  const offsets = bench.warehouse.tableDefinition(`${catalog}.${schema}.tailrace_offsets`)
  const rows =
    offsets === undefined
      ? []
      : await bench.warehouse.rows(
          `SELECT target FROM "${catalog}"."${schema}".tailrace_offsets WHERE target <> ''`,
        )
  const files = await bench.volumes.list(volume).catch(() => [])
  const state = await readdir(join(bench.directory, 'state')).catch(() => [])
  return [
    ...tables.map((row) => String(row.table_name)),
    ...rows.map((row) => String(row.target)),
    ...files.map((file) => file.path),
    ...state,
  ]
}

/** The names in the volume's root, by the Files API. */
async function foldersIn({ workspace }: WorkspaceBench): Promise<readonly string[]> {
  const http = new WorkspaceHttp({
    address: { host: workspace.host, port: workspace.port, customCa: workspace.ca },
    clock: systemClock,
  })
  try {
    const { body } = await http.request({
      method: 'GET',
      path: `/api/2.0/fs/directories${volume}`,
      headers: { authorization: `Bearer ${workspace.tokens.personal}` },
    })
    const { contents = [] } = JSON.parse(body) as { contents?: readonly { name: string }[] }
    return contents.map(({ name }) => name)
  } finally {
    await http.close()
  }
}

const modes: readonly (readonly [DatabricksSinkConfig['mode'], DatabricksSinkConfig['upload']])[] = [
  ['auto', 'files-api'],
  ['transaction', 'put'],
  ['replace-where', 'files-api'],
  ['copy-into', 'put'],
  ['merge', 'put'],
  ['stage-only', 'files-api'],
  ['zerobus', 'files-api'],
]

for (const [mode, upload] of modes) {
  test(`check --write lands a row in a scratch table by mode ${mode}, and leaves nothing`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const { code, text } = await write(bench.config({ mode, upload }))
    assert.equal(code, 0, text)
    const landed = mode === 'stage-only' ? /a file was staged/ : /1 of 1 rows landed in the scratch table/
    assert.match(text, landed)
    assert.match(text, /the scratch table and its files are removed\n$/)
    assert.deepEqual(await leftovers(bench), [])
    assert.equal(bench.warehouse.tableDefinition(table), undefined)
    assert.deepEqual(await foldersIn(bench), [])
  })
}

async function guardedBench(t: TestContext, denied: readonly string[]) {
  const access = new AccessControl()
  access.deny(...denied)
  return { access, bench: await openWorkspaceBench(t, { access }) }
}

const grants = (text: string): readonly string[] =>
  text.split('\n').filter((line) => /^(?:GRANT|databricks) /.test(line))

const rights = {
  use: ['CAN USE'],
  containers: [`USE CATALOG on Catalog '${catalog}'`, `USE SCHEMA on Schema '${catalog}.${schema}'`],
  volume: [
    `READ VOLUME on Volume '${catalog}.${schema}.staging'`,
    `WRITE VOLUME on Volume '${catalog}.${schema}.staging'`,
  ],
  creation: [`CREATE TABLE on Schema '${catalog}.${schema}'`],
  table: [`SELECT on Table '${table}'`, `MODIFY on Table '${table}'`],
} as const

test('check --write names every missing grant with principal and object, ready to run', async (t) => {
  const { access, bench } = await guardedBench(t, [...rights.volume, ...rights.creation])
  const config = bench.config()
  const first = await write(config)
  assert.equal(first.code, 1)
  assert.deepEqual(grants(first.text), [
    `GRANT READ VOLUME, WRITE VOLUME ON VOLUME \`${catalog}\`.\`${schema}\`.\`staging\` TO \`${bench.workspace.tokens.clientId}\`;`,
    `GRANT CREATE TABLE ON SCHEMA \`${catalog}\`.\`${schema}\` TO \`${bench.workspace.tokens.clientId}\`;`,
  ])
  for (const grant of grants(first.text)) assert.ok(access.run(grant))
  assert.equal((await write(config)).code, 0)
  assert.deepEqual(await leftovers(bench), [])
})

test('rights on a table that exists are probed without changing a row', async (t) => {
  const { access, bench } = await guardedBench(t, [])
  const config = bench.config({ mode: 'replace-where' })
  await bench.storage.append('primary.ndjson', lines(0, 3))
  await landAll(config)
  const content = `FROM "${catalog}"."${schema}".primary_logs ORDER BY source_offset`
  const before = await bench.warehouse.rows(content)
  // The principal of the test has made the table: somebody else is its owner from now on.
  access.disown()
  access.deny(...rights.table)
  const { code, text } = await write(config)
  assert.equal(code, 1)
  assert.deepEqual(grants(text), [
    `GRANT SELECT, MODIFY ON TABLE \`${catalog}\`.\`${schema}\`.\`primary_logs\` TO \`${bench.workspace.tokens.clientId}\`;`,
    `GRANT CREATE TABLE ON SCHEMA \`${catalog}\`.\`${schema}\` TO \`${bench.workspace.tokens.clientId}\`;`,
  ])
  for (const grant of grants(text)) access.run(grant)
  assert.equal((await write(config)).code, 0)
  assert.deepEqual(await bench.warehouse.rows(content), before)
})

test('what cannot be probed without CAN USE or USE SCHEMA is printed beside it, so that one round of grants is enough', async (t) => {
  for (const first of [rights.use, rights.containers]) {
    const { access, bench } = await guardedBench(t, [...first, ...rights.volume, ...rights.creation])
    const config = bench.config()
    const { code, text } = await write(config)
    assert.equal(code, 1)
    assert.match(text, /these could not be probed without the ones above/)
    if (first === rights.use)
      assert.match(text, /databricks permissions update warehouses 0123456789abcdef --json/)
    for (const grant of grants(text)) access.run(grant)
    const after = await write(config)
    // A schema is found missing only with the right to its catalog.
    if (after.code === 1) for (const grant of grants(after.text)) access.run(grant)
    assert.equal((await write(config)).code, 0, after.text)
  }
})

test('a warehouse with another id is no missing right', async (t) => {
  const bench = await openWorkspaceBench(t)
  await assert.rejects(write(bench.config({ httpPath: '/sql/1.0/warehouses/ffff' })), (error) =>
    isTailraceError(error, 'WAREHOUSE_MISSING'),
  )
})

test('Ctrl-C in the middle of a landing still removes the scratch table and its files', async (t) => {
  const bench = await openWorkspaceBench(t)
  const { configPath } = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'embedded' },
    pipelines: { primary: { blobs: 'primary' } },
    schema: `${catalog}.${schema}`,
    sink: bench.sink({ mode: 'transaction' }),
  })
  const held = bench.warehouse.holdNext(/INSERT INTO/)
  const started = startTailrace(t, ['check', '--write', '--config', configPath])
  await held.reached
  started.kill('SIGINT')
  const { code } = await started.exited
  held.release()
  assert.equal(code, 130, started.stderr)
  assert.match(started.stdout, /the scratch table and its files are removed\n$/)
  assert.deepEqual(await leftovers(bench), [])
})

test('a failed removal is logged with the names of the table and the file, and the error of the landing stays', async (t) => {
  const bench = await openWorkspaceBench(t)
  const failing = (statement: RegExp, why: string): void => {
    const failure = new SqlFailure('UNSUPPORTED_OPERATION', '0A000', why)
    bench.workspace.faults.add({ statement, fault: { kind: 'fail', failure } })
  }
  failing(/^COPY INTO/, 'The load fails.')
  failing(/^DROP TABLE/, 'The removal of the table fails.')
  failing(/^REMOVE .*parquet/, 'The removal of the file fails.')
  const logged: string[] = []
  const logger = pino({}, { write: (line: string) => logged.push(line) })
  const config = bench.config({ mode: 'copy-into' })
  const checking = outputOf(config, (context) => checkWriting({ ...context, logger }, {}))
  await assert.rejects(checking, /COPY INTO|load/i)
  const errors = logged.map((line) => JSON.parse(line)).filter(({ level }) => level === 50)
  assert.ok(
    errors.some((line) => /\.tailrace_check_[0-9a-f]+$/.test(line.table)),
    logged.join(''),
  )
  assert.ok(
    errors.some((line) => /^\/Volumes\/.*tailrace_check_.*\.parquet$/.test(line.file)),
    logged.join(''),
  )
})

test('a table without any right on it is no missing table: SELECT is named, and CREATE TABLE beside it', async (t) => {
  const { access, bench } = await guardedBench(t, [])
  const config = bench.config({ mode: 'replace-where' })
  await bench.storage.append('primary.ndjson', lines(0, 3))
  await landAll(config)
  access.disown()
  access.deny(...rights.table, ...rights.creation)
  access.hideTables()
  const { code, text } = await write(config)
  assert.equal(code, 1)
  const object = `\`${catalog}\`.\`${schema}\``
  const to = `TO \`${bench.workspace.tokens.clientId}\`;`
  assert.deepEqual(grants(text), [
    `GRANT SELECT, MODIFY ON TABLE ${object}.\`primary_logs\` ${to}`,
    `GRANT CREATE TABLE ON SCHEMA ${object} ${to}`,
  ])
})

test('a refusal that names no right is printed as it is, and the rights that may be missing apart from those that are', async (t) => {
  const object = `\`${catalog}\`.\`${schema}\``
  const refused = new SqlFailure('INSUFFICIENT_PERMISSIONS', '42501', 'The request was denied.')
  const bench = await openWorkspaceBench(t)
  const to = `TO \`${bench.workspace.tokens.clientId}\`;`
  const times = Number.POSITIVE_INFINITY
  const creation = bench.workspace.faults.add({
    statement: /^CREATE TABLE/,
    fault: { kind: 'fail', failure: refused },
    times,
  })
  const config = bench.config({ mode: 'replace-where', upload: 'files-api' })
  const landing = await write(config)
  assert.equal(landing.code, 1)
  assert.doesNotMatch(landing.text, /rights are missing/)
  assert.match(landing.text, /refused without the name of a missing right: .*The request was denied/)
  assert.match(landing.text, /these may be missing, or could not be probed; some may be there already/)
  assert.deepEqual(grants(landing.text), [`GRANT CREATE TABLE ON SCHEMA ${object} ${to}`])
  creation.release()
  const listing = bench.workspace.faults.add({
    route: /^GET .*\/fs\/directories/,
    fault: { kind: 'status', status: 403, errorCode: 'PERMISSION_DENIED' },
    times,
  })
  const probed = await write(config)
  assert.equal(probed.code, 1)
  assert.doesNotMatch(probed.text, /rights are missing|may list files/)
  assert.match(probed.text, /refused without the name of a missing right: .*403.*PERMISSION_DENIED/)
  assert.match(grants(probed.text)[0] ?? '', /^GRANT READ VOLUME ON VOLUME /)
  listing.release()
})
