import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SqlFailure } from '../../doubles/workspace/warehouse-engine.ts'
import { check } from '../../src/commands/check.ts'
import type { CommandContext } from '../../src/commands/command.ts'
import { history } from '../../src/commands/history.ts'
import { optimize } from '../../src/commands/optimize.ts'
import { query } from '../../src/commands/query.ts'
import { rejects } from '../../src/commands/rejects.ts'
import { replayCommand } from '../../src/commands/replay.ts'
import { status } from '../../src/commands/status.ts'
import { createTables } from '../../src/commands/tables.ts'
import { vacuum } from '../../src/commands/vacuum.ts'
import { verify } from '../../src/commands/verify.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { lines, outputOf } from '../commands/command-fixture.ts'
import { containerName } from '../support/storage.ts'
import {
  catalog,
  landAll,
  openWorkspaceBench,
  schema,
  tableSql,
  volume,
  type WorkspaceBench,
} from './workspace-bench.ts'

const blob = `${containerName}/primary.ndjson`
const tableName = `${catalog}.${schema}.primary_logs`
const modes = ['copy-into', 'merge'] as const

/** The lines of the landed blob: ten rows, one of them rejected, and a blank line. */
const bytes = Buffer.concat([lines(0, 9), Buffer.from('this is no JSON\n\n')])

async function withLanded(t: TestContext, sink: Partial<DatabricksSinkConfig> = {}) {
  const bench = await openWorkspaceBench(t)
  const config = bench.config(sink)
  await bench.storage.append('primary.ndjson', bytes)
  await landAll(config)
  return { bench, config }
}

/** Another config of the same table, with another state directory. */
function elsewhere(bench: WorkspaceBench, sink: Partial<DatabricksSinkConfig> = {}): ResolvedConfig {
  const raw = bench.rawConfig(sink)
  return resolveConfig({ ...raw, stateDirectory: join(bench.directory, 'other') }, bench.directory)
}

/** The pipeline `primary` beside one of a Delta table, `local`. */
function mixed(bench: WorkspaceBench, sink: Partial<DatabricksSinkConfig> = {}): ResolvedConfig {
  const raw = bench.rawConfig(sink)
  const { primary } = raw.pipelines
  const local = {
    ...primary!,
    source: { ...primary!.source, blobs: 'local.ndjson' },
    table: postgresLogs('test.logs.local'),
    sink: { kind: 'delta', root: 'lakehouse' },
  } as const
  return resolveConfig({ ...raw, pipelines: { primary: primary!, local } }, bench.directory)
}

function execute(bench: WorkspaceBench, sql: string) {
  return bench.warehouse.execute(sql, {
    parameters: [],
    catalog: undefined,
    schema: undefined,
    signal: new AbortController().signal,
  })
}

type Command = (context: CommandContext) => Promise<number>

const statusJson: Command = (context) => status(context, undefined, true)
const verifyJson: Command = (context) => verify(context, undefined, true)

async function blobsOf(config: ResolvedConfig, command: Command) {
  const { code, text } = await outputOf(config, command)
  return { code, blobs: JSON.parse(text).blobs as Record<string, unknown>[] }
}

const complaint =
  (code: string, ...texts: readonly RegExp[]) =>
  (error: unknown): boolean => {
    assert.ok(isTailraceError(error) && error.code === code, String(error))
    for (const text of texts) assert.match(error.message, text)
    return true
  }

for (const mode of modes) {
  test(`status and verify report the landed rows of ${mode}, and that they are complete`, async (t) => {
    const { bench, config } = await withLanded(t, { mode })
    await bench.storage.append('primary.ndjson', '{"half a li')
    const {
      blobs: [stood],
    } = await blobsOf(config, statusJson)
    assert.deepEqual(
      { ...stood, generation: undefined },
      {
        pipeline: 'primary',
        blob,
        generation: undefined,
        blobBytes: bytes.length + 11,
        offset: bytes.length,
        lagBytes: 11,
        rows: 10,
        rejected: 1,
      },
    )
    const { code, blobs } = await blobsOf(config, verifyJson)
    assert.equal(code, 0)
    const { rowBytes, blankBytes, unexplainedBytes, overlappingRows, rows, complete } = blobs[0]!
    assert.deepEqual(
      { rowBytes, blankBytes, unexplainedBytes, overlappingRows, rows, complete },
      {
        rowBytes: bytes.length - 1,
        blankBytes: 1,
        unexplainedBytes: 0,
        overlappingRows: 0,
        rows: 10,
        complete: true,
      },
    )
  })

  test(`a replay by ${mode} puts the blob's rows in the place of changed and misplaced ones, and again changes nothing`, async (t) => {
    const { bench, config } = await withLanded(t, { mode })
    const content = `SELECT source_offset, source_length, message, parse_status FROM ${tableSql} ORDER BY source_offset`
    const landed = await bench.warehouse.rows(content)
    const offsets = landed.map(({ source_offset }) => Number(source_offset))
    await bench.warehouse.rows(
      `UPDATE ${tableSql} SET message = 'changed' WHERE source_offset < ${offsets[4]}`,
    )
    await bench.warehouse.rows(
      `UPDATE ${tableSql} SET source_offset = source_offset + 1 WHERE source_offset = ${offsets[6]}`,
    )
    const replay: Command = (context) =>
      replayCommand(context, {
        pipeline: 'primary',
        blob: 'primary.ndjson',
        from: offsets[2]!,
        to: offsets[8]!,
      })
    const first = JSON.parse((await outputOf(config, replay)).text)
    assert.deepEqual([first.rows, first.rejected, first.removedRows], [6, 0, 6])
    const expected = landed.map((row, index) => (index < 2 ? { ...row, message: 'changed' } : row))
    assert.deepEqual(await bench.warehouse.rows(content), expected)
    const second = JSON.parse((await outputOf(config, replay)).text)
    assert.deepEqual([second.rows, second.removedRows], [6, 6])
    assert.deepEqual(await bench.warehouse.rows(content), expected)
    assert.equal((await outputOf(config, verifyJson)).code, 0)
    const whole: Command = (context) =>
      replayCommand(context, { pipeline: 'primary', blob: 'primary.ndjson', from: 0 })
    await outputOf(config, whole)
    assert.deepEqual(await bench.warehouse.rows(content), landed)
    // The offsets stayed where they were.
    await bench.storage.append('primary.ndjson', lines(9, 1))
    assert.equal((await landAll(config)).pipelines.primary?.rows, 1)
  })
}

test('verify finds a row that was deleted as a gap, and one that is there twice as an overlap', async (t) => {
  const { bench, config } = await withLanded(t)
  const [third] = await bench.warehouse.rows(
    `SELECT source_offset, source_length FROM ${tableSql} ORDER BY source_offset LIMIT 1 OFFSET 2`,
  )
  const at = `source_offset = ${third!.source_offset}`
  await bench.warehouse.rows(`INSERT INTO ${tableSql} SELECT * FROM ${tableSql} WHERE ${at}`)
  const doubled = await blobsOf(config, verifyJson)
  assert.equal(doubled.code, 1)
  assert.deepEqual([doubled.blobs[0]?.overlappingRows, doubled.blobs[0]?.unexplainedBytes], [1, 0])
  await bench.warehouse.rows(`DELETE FROM ${tableSql} WHERE ${at}`)
  const lacking = await blobsOf(config, verifyJson)
  assert.equal(lacking.code, 1)
  assert.deepEqual(
    [lacking.blobs[0]?.overlappingRows, lacking.blobs[0]?.unexplainedBytes],
    [0, Number(third!.source_length)],
  )
})

test('verify is not content with offsets whose table is gone', async (t) => {
  const { bench, config } = await withLanded(t)
  await execute(bench, `DROP TABLE ${tableName}`)
  const { code, blobs } = await blobsOf(config, verifyJson)
  assert.equal(code, 1)
  assert.deepEqual([blobs[0]?.unexplainedBytes, blobs[0]?.complete], [bytes.length, false])
  const stood = await blobsOf(config, statusJson)
  assert.deepEqual([stood.blobs[0]?.offset, stood.blobs[0]?.rows], [bytes.length, undefined])
  await assert.rejects(
    outputOf(config, check),
    complaint('TABLE_MISSING', /cannot see the table `.*`, although blobs were landed/),
  )
})

test('without an offset file the landed offsets are computed from the rows, for the own blobs only', async (t) => {
  const { bench, config } = await withLanded(t, { mode: 'replace-where' })
  await bench.warehouse.rows(
    `INSERT INTO ${tableSql} SELECT * REPLACE ('logs/other.ndjson' AS source_blob) FROM ${tableSql}`,
  )
  const other = elsewhere(bench)
  const stood = await blobsOf(other, statusJson)
  // The blank line at the end has no row.
  assert.deepEqual(
    stood.blobs.map((one) => [one.blob, one.offset, one.lagBytes, one.rows]),
    [[blob, bytes.length - 1, 1, 10]],
  )
  assert.equal((await outputOf(other, verifyJson)).code, 0)
  await bench.warehouse.rows(`DELETE FROM ${tableSql} WHERE source_offset = 0`)
  assert.equal((await outputOf(other, verifyJson)).code, 1)
  assert.equal((await blobsOf(config, statusJson)).blobs[0]?.offset, bytes.length)
})

test('without an offset file the landed offsets are those of the offsets table', async (t) => {
  const { bench } = await withLanded(t, { mode: 'transaction' })
  const other = elsewhere(bench, { mode: 'transaction' })
  const stood = await blobsOf(other, statusJson)
  assert.deepEqual(
    stood.blobs.map((one) => [one.blob, one.offset, one.lagBytes, one.rows]),
    [[blob, bytes.length, 0, 10]],
  )
})

test('rejects lists what was rejected, with its text and its reason', async (t) => {
  const { config } = await withLanded(t)
  const { text } = await outputOf(config, (context) => rejects(context, { limit: 5, json: true }))
  const row = JSON.parse(text)
  assert.deepEqual(
    [row.pipeline, row.source_blob, row.parse_status, row.raw],
    ['primary', blob, 'rejected', 'this is no JSON'],
  )
  assert.equal(Number(row.source_offset), lines(0, 9).length)
  assert.ok(row.parse_error.length > 0)
  assert.match(
    (await outputOf(config, (context) => rejects(context, { limit: 5, json: false }))).text,
    /\(1 row\)/,
  )
})

test('query has the warehouse execute a statement as it stands, and gives 64-bit integers as text', async (t) => {
  const { config } = await withLanded(t)
  const ask = (sql: string, json = true) =>
    outputOf(config, (context) => query(context, sql, { json })).then(({ text }) => text)
  const found = await ask(
    `SELECT source_offset, source_index, CAST('ab' AS BINARY) AS bytes, message AS \`the text\` FROM ${tableName} WHERE message IS NOT NULL ORDER BY source_offset LIMIT 1`,
  )
  assert.deepEqual(JSON.parse(found), {
    source_offset: '0',
    source_index: 0,
    bytes: 'YWI=',
    'the text': 'connection authorized',
  })
  assert.match(await ask(`SELECT count(*) AS n FROM ${tableName}`, false), /^ n\n--\n10\n\(1 row\)\n$/)
  assert.equal(await ask(`SELECT 1 AS one FROM ${tableName} WHERE false`, false), 'one\n---\n(0 rows)\n')
  await assert.rejects(ask('SELECT nope'), complaint('STATEMENT_FAILED', /UNRESOLVED_COLUMN/))
  await assert.rejects(
    outputOf(config, (context) => query(context, 'SELECT 1', { json: true, version: 1 })),
    complaint('USAGE', /VERSION AS OF/),
  )
})

test('check reports the state of the table and the volume', async (t) => {
  const bench = await openWorkspaceBench(t)
  const config = bench.config()
  const told = async (one = config) => (await outputOf(one, check)).text
  const folder = `${volume}/primary/${tableName}`
  const quoted = `\`${catalog}\`.\`${schema}\`.\`primary_logs\``
  assert.match(await told(), new RegExp(`no table yet: a run creates ${quoted}`))
  await assert.rejects(
    told(bench.config({ createTable: false })),
    complaint('TABLE_SCHEMA_MISMATCH', /createTable is false: run tailrace tables create/),
  )
  assert.match(await told(), new RegExp(`files are staged in ${folder}\n`))
  await bench.storage.append('primary.ndjson', bytes)
  await landAll(config)
  const after = await told()
  assert.match(after, new RegExp(`table ${quoted} has the declared columns\n`))
  assert.match(after, new RegExp(`blob ${blob} has ${bytes.length} bytes`))
  assert.doesNotMatch(await told(bench.config({ mode: 'merge' })), /staged/)
  assert.match(await told(bench.config({ upload: 'files-api' })), /files are staged in/)
})

for (const [what, sink, code, texts] of [
  [
    'a wrong token',
    { auth: { kind: 'token', token: 'dapi-wrong' } },
    'WAREHOUSE_DENIED',
    [/refused the token/, /warehouses/],
  ],
  [
    'a missing volume',
    { volume: `/Volumes/${catalog}/${schema}/nope/folder` },
    'WAREHOUSE_DENIED',
    [/cannot see the volume `.*`\.`.*`\.`nope`: create it, or grant READ VOLUME and WRITE VOLUME/],
  ],
  [
    'a missing volume for the Files API',
    { upload: 'files-api', volume: `/Volumes/${catalog}/${schema}/nope` },
    'WAREHOUSE_DENIED',
    [/cannot see the volume `.*`\.`.*`\.`nope`: create it/],
  ],
  [
    'a missing catalog of the volume',
    { volume: '/Volumes/nowhere/logs/staging' },
    'WAREHOUSE_DENIED',
    [/cannot see the catalog `nowhere`: check the name, or grant USE CATALOG/],
  ],
] as const) {
  test(`check names ${what} and what to do about it`, async (t) => {
    const bench = await openWorkspaceBench(t)
    await assert.rejects(outputOf(bench.config(sink), check), complaint(code, ...texts))
  })
}

for (const [what, name, remedy] of [
  ['catalog', 'nowhere.logs.pg', /cannot see the catalog `nowhere`: check the name, or grant USE CATALOG/],
  ['schema', `${catalog}.nope.pg`, /cannot see the schema `.*`\.`nope`: create it, or grant USE SCHEMA/],
] as const) {
  test(`check and tables create name a missing ${what} of the table`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const config = bench.config({}, { table: postgresLogs(name) })
    await assert.rejects(outputOf(config, check), complaint('WAREHOUSE_DENIED', remedy))
    await assert.rejects(
      outputOf(config, (context) => createTables(context, { printsOnly: false })),
      complaint('WAREHOUSE_DENIED', remedy),
    )
  })
}

test('check says in which catalog a right is missing', async (t) => {
  const bench = await openWorkspaceBench(t)
  const why = `User does not have USE CATALOG on Catalog '${catalog}'.`
  const failure = new SqlFailure('INSUFFICIENT_PERMISSIONS', '42501', why)
  bench.workspace.faults.add({ statement: /information_schema/, fault: { kind: 'fail', failure } })
  await assert.rejects(
    outputOf(bench.config(), check),
    complaint('WAREHOUSE_DENIED', new RegExp(`^In the catalog \`${catalog}\`: .*USE CATALOG`)),
  )
})

test('check lists the columns that a table has otherwise, or lacks', async (t) => {
  const bench = await openWorkspaceBench(t)
  const { text } = await outputOf(bench.config(), (context) => createTables(context, { printsOnly: true }))
  await execute(bench, text.replace('`pid` INT', '`pid` STRING').replace(/;\s*$/, ''))
  await assert.rejects(
    outputOf(bench.config(), check),
    complaint('TABLE_SCHEMA_MISMATCH', /primary_logs` differs/, /pid is STRING, expected INT/),
  )
  await execute(bench, `DROP TABLE ${tableName}`)
  await execute(bench, text.replace(/ {2}`pid` INT.*\n/, '').replace(/;\s*$/, ''))
  await assert.rejects(
    outputOf(bench.config({ evolve: false }), check),
    complaint('TABLE_SCHEMA_MISMATCH', /does not have the columns pid, which `sink.evolve: true` would add/),
  )
  assert.match((await outputOf(bench.config(), check)).text, /does not have pid: a run adds them/)
})

test('check and tables create refuse a view in the place of the table', async (t) => {
  const bench = await openWorkspaceBench(t)
  await execute(bench, `CREATE VIEW ${tableName} AS SELECT 1 AS one`)
  const refused = complaint(
    'TABLE_UNSUPPORTED',
    /primary_logs` is a VIEW/,
    /managed and external Delta tables/,
  )
  await assert.rejects(outputOf(bench.config(), check), refused)
  await assert.rejects(
    outputOf(bench.config(), (context) => createTables(context, { printsOnly: false })),
    refused,
  )
})

test('tables create makes the table, does nothing the second time, and adds columns where that is allowed', async (t) => {
  const bench = await openWorkspaceBench(t)
  const create = (config: ResolvedConfig) =>
    outputOf(config, (context) => createTables(context, { printsOnly: false }))
  const columns = () => bench.warehouse.tableDefinition(tableName)?.columns.map(({ name }) => name)
  const config = bench.config({ createTable: false })
  assert.match((await create(config)).text, new RegExp(`primary: table ${tableName} is there`))
  const declared = columns()
  assert.deepEqual(
    declared,
    postgresLogs(tableName).columns.map(({ name }) => name),
  )
  await create(config)
  assert.deepEqual(columns(), declared)
  const { text } = await outputOf(config, (context) => createTables(context, { printsOnly: true }))
  await execute(bench, `DROP TABLE ${tableName}`)
  await execute(bench, text.replace(/ {2}`pid` INT.*\n/, '').replace(/;\s*$/, ''))
  const refusing = create(bench.config({ evolve: false }))
  await assert.rejects(refusing, complaint('TABLE_SCHEMA_MISMATCH', /does not have the columns pid/))
  await create(config)
  assert.deepEqual(columns()?.toSorted(), declared?.toSorted())
  await execute(bench, `DROP TABLE ${tableName}`)
  await execute(bench, text.replace(/ {2}`source_offset` BIGINT.*\n/, '').replace(/;\s*$/, ''))
  // A table without all columns of a row's place was not made for these rows.
  await assert.rejects(
    create(config),
    complaint('TABLE_SCHEMA_MISMATCH', /not have the columns source_offset/),
  )
})

for (const mode of ['auto', 'transaction'] as const) {
  test(`mode ${mode} lands by transactions in a table that tables create has made or printed`, async (t) => {
    for (const printsOnly of [false, true]) {
      const bench = await openWorkspaceBench(t)
      const config = bench.config({ mode, createTable: false })
      const { text } = await outputOf(config, (context) => createTables(context, { printsOnly }))
      if (printsOnly) await execute(bench, text.replace(/;\s*$/, ''))
      await bench.storage.append('primary.ndjson', bytes)
      await landAll(config)
      assert.equal(bench.warehouse.statements.get('BEGIN ATOMIC'), 2, 'one begins the offsets, one lands')
    }
  })
}

test('where a workspace has no catalog-managed commits, tables create makes a plain table for mode auto', async (t) => {
  const bench = await openWorkspaceBench(t, {}, { catalogCommits: false })
  const create = (context: CommandContext) => createTables(context, { printsOnly: false })
  await outputOf(bench.config({ mode: 'auto' }), create)
  assert.equal(bench.warehouse.tableDefinition(tableName)?.properties.size, 0)
})

test('tables create --print prints what the warehouse takes, and reaches nothing', async (t) => {
  const bench = await openWorkspaceBench(t)
  const config = bench.config({
    host: 'nowhere.invalid',
    layout: { clusterBy: ['event_time'] },
    properties: { 'delta.appendOnly': 'false' },
  })
  const { text } = await outputOf(config, (context) => createTables(context, { printsOnly: true }))
  assert.match(text, /;\n$/)
  await execute(bench, text.replace(/;\s*$/, ''))
  const made = bench.warehouse.tableDefinition(tableName)
  assert.deepEqual(made?.clusterColumns, ['event_time'])
  assert.equal(made?.properties.get('delta.appendOnly'), 'false')
  assert.match((await outputOf(bench.config(), check)).text, /has the declared columns/)
})

test('a table that Databricks loads is left to it: its definition is printed, and its offsets are shown', async (t) => {
  const { config } = await withLanded(t, { mode: 'stage-only' })
  const { text } = await outputOf(config, (context) => createTables(context, { printsOnly: true }))
  assert.match(text, /^CREATE OR REFRESH STREAMING TABLE /)
  assert.ok(text.includes(`read_files('${volume}/primary/${tableName}/'`), text)
  await assert.rejects(
    outputOf(config, (context) => createTables(context, { printsOnly: false })),
    complaint('USAGE', /primary is loaded by Databricks itself: print its definition with --print/),
  )
  assert.match(
    (await outputOf(config, check)).text,
    /no table .*: run there what tailrace tables create --print/,
  )
  assert.match((await outputOf(config, check)).text, /files are staged in/)
  const stood = await blobsOf(config, statusJson)
  assert.deepEqual([stood.blobs[0]?.offset, stood.blobs[0]?.rows], [bytes.length, undefined])
  assert.equal((await outputOf(config, verifyJson)).code, 1)
  await assert.rejects(
    outputOf(config, (context) =>
      replayCommand(context, { pipeline: 'primary', blob: 'primary.ndjson', from: 0 }),
    ),
    complaint('TABLE_UNSUPPORTED', /cannot be replaced in mode stage-only/),
  )
})

test('a pipeline that only stages by the Files API needs no warehouse, and a command that needs one says so', async (t) => {
  const bench = await openWorkspaceBench(t)
  const raw = bench.rawConfig({ mode: 'stage-only', upload: 'files-api' })
  Reflect.deleteProperty(raw.pipelines.primary!.sink, 'httpPath')
  const config = resolveConfig(raw, bench.directory)
  await bench.storage.append('primary.ndjson', bytes)
  await landAll(config)
  const stood = await blobsOf(config, statusJson)
  assert.deepEqual([stood.blobs[0]?.offset, stood.blobs[0]?.rows], [bytes.length, undefined])
  assert.match((await outputOf(config, check)).text, /files are staged in/)
  assert.equal((await outputOf(config, verifyJson)).code, 1)
  assert.match(
    (await outputOf(config, (context) => rejects(context, { limit: 1, json: false }))).text,
    /0 rows/,
  )
  await assert.rejects(
    outputOf(config, (context) => query(context, 'SELECT 1', { json: true })),
    complaint('USAGE', /no sink.httpPath/),
  )
})

const deltaOnly: readonly (readonly [string, Command, RegExp])[] = [
  [
    'history',
    (context) => history(context, { limit: 1, json: false }),
    /primary is in a Databricks workspace: run DESCRIBE HISTORY there/,
  ],
  ['optimize', (context) => optimize(context, undefined, false), /run OPTIMIZE or VACUUM there.*predictive/],
  [
    'vacuum',
    (context) => vacuum(context, { allowShortRetention: false, deletes: false, json: false }),
    /run OPTIMIZE or VACUUM there/,
  ],
]

for (const [name, command, remedy] of deltaOnly) {
  test(`${name} says what to do instead for a table in a workspace`, async (t) => {
    const bench = await openWorkspaceBench(t)
    await assert.rejects(outputOf(bench.config(), command), complaint('USAGE', remedy))
  })
}

test('a config with a Delta table and one in a workspace works with every command', async (t) => {
  const bench = await openWorkspaceBench(t)
  const config = mixed(bench)
  const create = (context: CommandContext) => createTables(context, { printsOnly: false })
  assert.equal((await outputOf(config, create)).text.match(/^(?:primary|local): table /gm)?.length, 2)
  const { text: printed } = await outputOf(config, (context) => createTables(context, { printsOnly: true }))
  assert.equal(printed.match(/CREATE TABLE/g)?.length, 1)
  await assert.rejects(
    outputOf(config, (context) => createTables(context, { printsOnly: true, pipeline: 'local' })),
    complaint('USAGE', /local is written as files: there is no SQL to print/),
  )
  for (const name of ['primary', 'local']) await bench.storage.append(`${name}.ndjson`, bytes)
  await landAll(config)
  const stood = await blobsOf(config, statusJson)
  assert.deepEqual(
    stood.blobs.map((one) => [one.pipeline, one.offset, one.rows, one.rejected]),
    [
      ['primary', bytes.length, 10, 1],
      ['local', bytes.length, 10, 1],
    ],
  )
  const proven = await blobsOf(config, verifyJson)
  assert.equal(proven.code, 0)
  assert.equal(proven.blobs.length, 2)
  const rejected = await outputOf(config, (context) => rejects(context, { limit: 5, json: true }))
  assert.deepEqual(
    rejected.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).pipeline),
    ['primary', 'local'],
  )
  const checked = (await outputOf(config, check)).text
  assert.match(checked, /^primary: table .* has the declared columns$/m)
  assert.match(checked, /^local: table .* is at version \d+$/m)
  const ask = async (sql: string, pipeline?: string): Promise<unknown> => {
    const only = pipeline === undefined ? {} : { pipeline }
    return JSON.parse(
      (await outputOf(config, (context) => query(context, sql, { json: true, ...only }))).text,
    )
  }
  const count = 'SELECT CAST(count(*) AS INT) AS n FROM'
  assert.deepEqual(await ask(`${count} ${tableName}`, 'primary'), { n: 10 })
  assert.deepEqual(await ask(`${count} local`), { n: 10 })
  for (const [, command] of deltaOnly) assert.equal((await outputOf(config, command)).code, 0)
  for (const pipeline of ['primary', 'local']) {
    const { text } = await outputOf(config, (context) =>
      replayCommand(context, { pipeline, blob: `${pipeline}.ndjson`, from: 0 }),
    )
    assert.equal(JSON.parse(text).removedRows, 10)
  }
  assert.equal((await outputOf(config, verifyJson)).code, 0)
})
