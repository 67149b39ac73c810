import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import {
  createTableSql,
  databricksTypes,
  streamingTableSql,
} from '../../../../src/sinks/databricks/tables/definition.ts'
import { ensureTable, inspectTable } from '../../../../src/sinks/databricks/tables/live-table.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'
import { committerFixture, declarationOf, directWarehouse } from '../committer-fixture.ts'

const declaration = declarationOf('logs')

async function setUp(t: TestContext, ...statements: readonly string[]) {
  const fixture = await committerFixture(t)
  const warehouse = directWarehouse(fixture.warehouse)
  for (const sql of statements) await warehouse.execute({ label: 'test', sql, repeatable: false })
  const options = {
    warehouse,
    declaration,
    layout: { clusterBy: ['event_time'] },
    properties: { 'delta.enableChangeDataFeed': 'true' },
    create: true,
    evolve: false,
    hasLanded: async () => false,
  }
  return { warehouse, options }
}

const complaint =
  (code: string, ...texts: readonly RegExp[]) =>
  (error: unknown): boolean => {
    assert.ok(isTailraceError(error) && error.code === code, String(error))
    for (const text of texts) assert.match(error.message, text)
    return true
  }

test('a missing table is created with its columns, comments and properties, and opening it again changes nothing', async (t) => {
  const { warehouse, options } = await setUp(t)
  await ensureTable(options)
  await ensureTable(options)
  assert.deepEqual(await inspectTable({ warehouse, declaration }), { kind: 'there', lacks: [], collated: [] })
  const columns = await warehouse.execute({
    label: 'test',
    sql: "SELECT column_name, full_data_type, is_nullable, comment FROM `lake`.information_schema.columns WHERE table_name = 'logs' ORDER BY ordinal_position",
    repeatable: true,
  })
  assert.deepEqual(
    columns.map(({ column_name }) => column_name),
    declaration.columns.map(({ name }) => name),
  )
  assert.deepEqual(
    columns.map(({ comment }) => comment),
    declaration.columns.map(({ comment }) => comment),
  )
  const nullable = columns
    .filter(({ is_nullable }) => is_nullable === 'YES')
    .map(({ column_name }) => column_name)
  assert.deepEqual(nullable, ['event_time', 'query_id', 'message'])
})

test('a missing table is not created where that is not allowed', async (t) => {
  const { warehouse, options } = await setUp(t)
  await assert.rejects(
    ensureTable({ ...options, create: false }),
    complaint('TABLE_SCHEMA_MISMATCH', /cannot see the table `lake`\.`logs`\.`logs`/, /tables create/),
  )
  assert.deepEqual(await inspectTable({ warehouse, declaration }), { kind: 'missing' })
})

test('a table that is gone although rows were landed in it is not made anew', async (t) => {
  const { warehouse, options } = await setUp(t)
  await assert.rejects(
    ensureTable({ ...options, hasLanded: async () => true }),
    complaint('TABLE_MISSING', /`logs`/),
  )
  assert.deepEqual(await inspectTable({ warehouse, declaration }), { kind: 'missing' })
})

test('columns that the table lacks are added where evolution is allowed, and named where it is not', async (t) => {
  const { warehouse, options } = await setUp(t)
  const older = { ...declaration, columns: declaration.columns.slice(0, -2) }
  await ensureTable({ ...options, declaration: older })
  await assert.rejects(
    ensureTable(options),
    complaint('TABLE_SCHEMA_MISMATCH', /query_id, message/, /evolve/),
  )
  await ensureTable({ ...options, evolve: true })
  assert.deepEqual(await inspectTable({ warehouse, declaration }), { kind: 'there', lacks: [], collated: [] })
})

test('every column that rows could not be written to is named, and what a table has besides does not matter', async (t) => {
  const columns = declaration.columns
    .map(({ name }) => {
      if (name === 'query_id') return 'query_id INT'
      if (name === 'message') return 'MESSAGE STRING'
      return `${name} ${{ event_time: 'STRING', ingest_ts: 'TIMESTAMP', source_index: 'INT' }[name] ?? (/offset|length/.test(name) ? 'BIGINT' : 'STRING')}`
    })
    .join(', ')
  const { options } = await setUp(
    t,
    `CREATE TABLE lake.logs.logs (${columns}, extra STRING, needed STRING NOT NULL) USING DELTA`,
  )
  await assert.rejects(
    ensureTable({ ...options, evolve: true }),
    complaint(
      'TABLE_SCHEMA_MISMATCH',
      /query_id is INT, expected BIGINT/,
      /event_time is STRING, expected TIMESTAMP/,
      /needed is NOT NULL and not in the declaration/,
    ),
  )
})

const tableSql = (typeOf: (name: string, usual: string) => string): string => {
  const columns = declaration.columns.map(
    ({ name, type }) => `${name} ${typeOf(name, databricksTypes[type])}`,
  )
  return `CREATE TABLE lake.logs.logs (${columns.join(', ')}) USING DELTA`
}

test('a table with widened columns and a default collation is taken, and compares blobs by bytes', async (t) => {
  const { warehouse, options } = await setUp(
    t,
    tableSql((name, usual) => {
      if (usual === 'STRING') return 'STRING COLLATE UTF8_LCASE'
      return name === 'source_index' ? 'BIGINT' : usual
    }),
  )
  await ensureTable({ ...options, evolve: 'own-tables' })
  await ensureTable({ ...options, evolve: false })
  const types = await warehouse.execute({
    label: 'test',
    sql: "SELECT column_name, full_data_type FROM `lake`.information_schema.columns WHERE table_name = 'logs'",
    repeatable: true,
  })
  const typeOf = new Map(types.map((row) => [row.column_name, row.full_data_type]))
  assert.deepEqual(
    ['source_blob', 'source_generation', 'message', 'source_index'].map((name) => typeOf.get(name)),
    ['string collate UTF8_BINARY', 'string collate UTF8_BINARY', 'string collate UTF8_LCASE', 'bigint'],
  )
})

test('where tables may not be changed, a collation that mixes up blobs is refused with the statements that change it', async (t) => {
  const { options } = await setUp(
    t,
    tableSql((name, usual) => (name === 'source_blob' ? 'STRING COLLATE UNICODE_CI' : usual)),
  )
  await assert.rejects(
    ensureTable({ ...options, evolve: false }),
    complaint(
      'TABLE_SCHEMA_MISMATCH',
      /ALTER TABLE `lake`\.`logs`\.`logs` ALTER COLUMN `source_blob` TYPE STRING COLLATE UTF8_BINARY$/,
    ),
  )
})

test('names, comments and properties are text in a definition, whatever they hold', async (t) => {
  const { warehouse } = await setUp(t)
  const wild = {
    name: { catalog: 'lake', schema: 'logs', table: 'wild`; DROP TABLE x' },
    columns: [
      { name: 'event_time', type: 'timestamp', comment: 'it\'s \\ a "comment" \u0024{x}\n--' },
      { name: 'a`b', type: 'string', comment: '' },
    ],
  } as const
  const sql = createTableSql(wild, { layout: { partitionBy: ['a`b'] }, properties: { "k'": "v\\'" } })
  await warehouse.execute({ label: 'test', sql, repeatable: false })
  const found = await warehouse.execute({
    label: 'test',
    sql: "SELECT column_name, comment FROM `lake`.information_schema.columns WHERE table_schema = 'logs' AND table_name = :name ORDER BY ordinal_position",
    parameters: { name: 'wild`; drop table x' },
    repeatable: true,
  })
  assert.deepEqual(
    found.map(({ column_name, comment }) => [column_name, comment]),
    [
      ['event_time', 'it\'s \\ a "comment" \u0024{x}\n--'],
      ['a`b', ''],
    ],
  )
})

test('a layout of a column that the table does not have is a mistake of the config', () => {
  assert.throws(
    () => createTableSql(declaration, { layout: { clusterBy: ['nope'] }, properties: {} }),
    complaint('CONFIG_INVALID', /nope/),
  )
})

test('the statement for staged files alone is a streaming table over their folder, with the declared columns', () => {
  const sql = streamingTableSql(postgresLogs('lake.logs.pg'), {
    layout: { clusterBy: 'auto' },
    folder: '/Volumes/lake/logs/staging/primary/lake.logs.pg',
  })
  assert.match(sql, /^CREATE OR REFRESH STREAMING TABLE `lake`\.`logs`\.`pg` \(/)
  assert.match(sql, /CLUSTER BY AUTO\nAS SELECT `event_time`, .*`event_date`/)
  assert.match(
    sql,
    /STREAM read_files\('\/Volumes\/lake\/logs\/staging\/primary\/lake\.logs\.pg\/', format => 'parquet'/,
  )
})
