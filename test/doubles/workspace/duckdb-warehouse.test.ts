import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { DuckDbWarehouse } from '../../../doubles/workspace/duckdb-warehouse.ts'
import { SqlCursor } from '../../../doubles/workspace/sql-cursor.ts'
import { fitsWithoutLoss, parseType } from '../../../doubles/workspace/sql-types.ts'
import { DiskVolumes } from '../../../doubles/workspace/volume-files.ts'
import {
  SqlFailure,
  type StatementParameter,
  type StatementRows,
  type Value,
} from '../../../doubles/workspace/warehouse-engine.ts'
import { sqlString } from '../../../src/tables/sql.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const folder = '/Volumes/main/logs/stage/lane'

interface Bench {
  readonly warehouse: DuckDbWarehouse
  readonly volumes: DiskVolumes
  execute(sql: string, parameters?: Parameters, signal?: AbortSignal): ReturnType<DuckDbWarehouse['execute']>
  /** The rows of a statement's result. */
  query(sql: string, parameters?: Parameters): Promise<readonly (readonly Value[])[]>
  /** Puts a Parquet file into the folder with what a DuckDB query gives. */
  stage(name: string, query: string): Promise<void>
}

type Parameters = Readonly<Record<string, readonly [type: string, value: string | null]>>

async function bench(t: TestContext, options: { instantLoad?: boolean } = {}): Promise<Bench> {
  const root = await temporaryDirectory(t)
  const volumes = new DiskVolumes(root)
  const warehouse = await DuckDbWarehouse.open({ volumes, ...options })
  t.after(() => warehouse.close())
  const execute: Bench['execute'] = (sql, parameters = {}, signal = new AbortController().signal) =>
    warehouse.execute(sql, {
      parameters: Object.entries(parameters).map(
        ([name, [type, value]]): StatementParameter => ({ name, type, value }),
      ),
      catalog: undefined,
      schema: undefined,
      signal,
    })
  for (const made of ['CATALOG main', 'SCHEMA main.logs']) await execute(`CREATE ${made}`)
  await volumes.create('main', 'logs', 'stage')
  return {
    warehouse,
    volumes,
    execute,
    async query(sql, parameters) {
      return ((await execute(sql, parameters)) as StatementRows).rows
    },
    async stage(name, query) {
      const path = `${folder}/${name}`
      await volumes.write(path, Buffer.alloc(0))
      await warehouse.rows(`COPY (${query}) TO ${sqlString(volumes.onDisk(path))} (FORMAT parquet)`)
    },
  }
}

/** A table with a key that is never NULL and a number. */
async function withTable(t: TestContext, options: { instantLoad?: boolean } = {}): Promise<Bench> {
  const made = await bench(t, options)
  await made.execute('CREATE TABLE `main`.`logs`.`t` (`k` STRING NOT NULL, `n` BIGINT, `at` TIMESTAMP)')
  return made
}

function copyOf(...names: readonly string[]): string {
  const files = names.map((name) => `'${name}'`).join(', ')
  return `COPY INTO \`main\`.\`logs\`.\`t\` FROM (SELECT k, n FROM '${folder}') FILEFORMAT = PARQUET FILES = (${files})`
}

function failure(errorClass: string, sqlState: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SqlFailure, String(error))
    assert.deepEqual([error.errorClass, error.sqlState], [errorClass, sqlState], error.message)
    return true
  }
}

test('numbers of range() are a column id, and a query over too many of them ends when it is canceled', async (t) => {
  const { query, execute } = await bench(t)
  assert.deepEqual(
    await query('SELECT sum(a.id * b.id)::INT AS s FROM range(0, 4) AS a CROSS JOIN range(2) AS b'),
    [[6]],
  )
  assert.deepEqual(await query('SELECT id::INT AS n FROM range(2)'), [[0], [1]])
  const endless =
    'SELECT sum(a.id * b.id % 7) AS s FROM range(0, 10000000) AS a CROSS JOIN range(0, 10000000) AS b'
  await assert.rejects(execute(endless, {}, AbortSignal.timeout(200)), SqlFailure)
})

test('literals have backslash escapes, and both kinds of quotes', async (t) => {
  const { query } = await bench(t)
  const sql = String.raw`SELECT 'it\'s' AS a, "say \"hi\"" AS b, 'tab\tline\n\\' AS c, 'é\u0041\101\%' AS d -- and a remark`
  assert.deepEqual(await query(sql), [["it's", 'say "hi"', 'tab\tline\n\\', 'éAA\\%']])
})

test('a doubled quote in a literal is refused, as runtimes read it in two ways', async (t) => {
  const { query } = await bench(t)
  await assert.rejects(query(`SELECT 'it''s'`), failure('PARSE_SYNTAX_ERROR', '42601'))
  assert.deepEqual(await query(`SELECT '' AS a`), [['']])
})

test('a parameter is a value of its type, whatever its text', async (t) => {
  const { query } = await bench(t)
  const rows = await query(
    'SELECT :s AS s, :n + 1 AS n, :at AS at, :d AS d, :b AS b, :x AS x, :none AS none',
    {
      s: ['STRING', "'; DROP TABLE x --"],
      n: ['BIGINT', '9007199254740993'],
      at: ['TIMESTAMP', '2024-05-06T07:08:09.120Z'],
      d: ['DATE', '2024-05-06'],
      b: ['BOOLEAN', 'true'],
      x: ['DECIMAL(5,2)', '1.50'],
      none: ['VOID', null],
    },
  )
  assert.deepEqual(rows, [
    ["'; DROP TABLE x --", 9007199254740994n, '2024-05-06 07:08:09.12', '2024-05-06', true, '1.50', null],
  ])
})

test('a parameter that is missing, or stands in DDL, fails the statement', async (t) => {
  const { execute } = await bench(t)
  await assert.rejects(
    execute('SELECT :S', { s: ['STRING', 'x'] }),
    failure('UNBOUND_SQL_PARAMETER', '42P02'),
  )
  await assert.rejects(
    execute('CREATE TABLE main.logs.t (a STRING COMMENT :c)', { c: ['STRING', 'x'] }),
    failure('UNSUPPORTED_FEATURE.PARAMETER_MARKER_IN_UNEXPECTED_STATEMENT', '0A000'),
  )
})

test('information_schema shows columns as they were declared, under names in lower case', async (t) => {
  const { execute, query } = await bench(t)
  await execute(`CREATE TABLE IF NOT EXISTS Main.\`Logs\`.\`Events\` (
    \`Key\` STRING NOT NULL COMMENT 'what\\'s it', b BOOLEAN, i INT, l LONG, d DOUBLE, bin BINARY, at TIMESTAMP,
    day DATE, x DECIMAL(10, 2), tags ARRAY<STRUCT<\`name\`: STRING, n:INT>>
  ) USING DELTA PARTITIONED BY (DAY) COMMENT 'All of them.' TBLPROPERTIES ('a' = 'b', delta.c = true)`)
  const columns = await query(
    `SELECT column_name, ordinal_position, is_nullable, full_data_type, data_type, partition_index, comment
       FROM \`main\`.information_schema.columns
      WHERE table_schema = :schema AND table_name = :table ORDER BY ordinal_position`,
    { schema: ['STRING', 'logs'], table: ['STRING', 'events'] },
  )
  assert.deepEqual(columns, [
    ['Key', 1, 'NO', 'string', 'STRING', null, "what's it"],
    ['b', 2, 'YES', 'boolean', 'BOOLEAN', null, null],
    ['i', 3, 'YES', 'int', 'INT', null, null],
    ['l', 4, 'YES', 'bigint', 'LONG', null, null],
    ['d', 5, 'YES', 'double', 'DOUBLE', null, null],
    ['bin', 6, 'YES', 'binary', 'BINARY', null, null],
    ['at', 7, 'YES', 'timestamp', 'TIMESTAMP', null, null],
    ['day', 8, 'YES', 'date', 'DATE', 1, null],
    ['x', 9, 'YES', 'decimal(10,2)', 'DECIMAL', null, null],
    ['tags', 10, 'YES', 'array<struct<name:string,n:int>>', 'ARRAY', null, null],
  ])
  assert.deepEqual(
    await query(
      'SELECT table_name, table_type, data_source_format, comment FROM main.information_schema.tables',
    ),
    [['events', 'MANAGED', 'DELTA', 'All of them.']],
  )
  assert.deepEqual(
    await query("SELECT 1 FROM main.information_schema.tables WHERE table_name = 'Events'"),
    [],
  )
})

test('an object that does not exist is reported by its error class', async (t) => {
  const { execute } = await bench(t)
  const cases: readonly [sql: string, errorClass: string, sqlState: string][] = [
    ['SELECT * FROM `nope`.information_schema.columns', 'NO_SUCH_CATALOG_EXCEPTION', '42704'],
    ['SELECT * FROM nope.logs.t', 'NO_SUCH_CATALOG_EXCEPTION', '42704'],
    ['SELECT * FROM main.logs.t', 'TABLE_OR_VIEW_NOT_FOUND', '42P01'],
    ['SELECT * FROM main.nope.t', 'TABLE_OR_VIEW_NOT_FOUND', '42P01'],
    ['CREATE TABLE main.nope.t (a INT)', 'SCHEMA_NOT_FOUND', '42704'],
    ['CREATE SCHEMA nope.s', 'NO_SUCH_CATALOG_EXCEPTION', '42704'],
    ['ALTER TABLE main.logs.t ADD COLUMNS (a INT)', 'TABLE_OR_VIEW_NOT_FOUND', '42P01'],
    ['DROP TABLE main.logs.t', 'TABLE_OR_VIEW_NOT_FOUND', '42P01'],
    ['DELETE FROM main.logs.t', 'TABLE_OR_VIEW_NOT_FOUND', '42P01'],
    [copyOf('a.parquet'), 'DELTA_MISSING_DELTA_TABLE_COPY_INTO', '42P01'],
    ["LIST '/Volumes/main/logs/nope/x'", 'UC_VOLUME_NOT_FOUND', '42704'],
    ["PUT '/x' INTO '/Volumes/main/logs/nope/x'", 'UC_VOLUME_NOT_FOUND', '42704'],
    ["LIST '/Volumes/main/logs/stage/nope'", 'PATH_NOT_FOUND', '42K03'],
  ]
  for (const [sql, errorClass, sqlState] of cases) {
    await assert.rejects(execute(sql), failure(errorClass, sqlState), sql)
  }
  await execute('DROP TABLE IF EXISTS main.logs.t')
})

test('an object that exists is reported by its error class, and IF NOT EXISTS leaves it unchanged', async (t) => {
  const { execute, query } = await withTable(t)
  const cases: readonly [sql: string, errorClass: string][] = [
    ['CREATE CATALOG main', 'CATALOG_ALREADY_EXISTS'],
    ['CREATE SCHEMA main.logs', 'SCHEMA_ALREADY_EXISTS'],
    ['CREATE TABLE main.logs.t (other INT)', 'TABLE_OR_VIEW_ALREADY_EXISTS'],
  ]
  for (const [sql, errorClass] of cases) {
    await assert.rejects(
      execute(sql),
      (error) => error instanceof SqlFailure && error.errorClass === errorClass,
    )
    await execute(sql.replace(/^CREATE \w+/, '$& IF NOT EXISTS'))
  }
  assert.deepEqual(await query('SELECT count(k) AS n FROM main.logs.t'), [[0n]])
})

test('schemas and tables that are made twice at once are made once', async (t) => {
  const { execute } = await bench(t)
  const twice = (sql: string) => Promise.all([execute(sql), execute(sql)])
  await twice('CREATE CATALOG IF NOT EXISTS c')
  await twice('CREATE SCHEMA IF NOT EXISTS c.s')
  await twice('CREATE TABLE IF NOT EXISTS c.s.t (a INT)')
})

test('a table is clustered or partitioned, by columns it has', async (t) => {
  const { execute, warehouse } = await bench(t)
  await execute("CREATE TABLE main.logs.a (x INT) CLUSTER BY AUTO TBLPROPERTIES ('k' = 'v', delta.on = true)")
  await execute('CREATE TABLE main.logs.b (x INT) CLUSTER BY (X)')
  assert.equal(warehouse.tableDefinition('main.logs.a')?.clusterColumns, 'AUTO')
  assert.deepEqual(
    [...(warehouse.tableDefinition('main.logs.a')?.properties ?? [])],
    [
      ['k', 'v'],
      ['delta.on', 'true'],
    ],
  )
  assert.deepEqual(warehouse.tableDefinition('main.logs.b')?.clusterColumns, ['x'])
  await assert.rejects(
    execute('CREATE TABLE main.logs.c (x INT, y INT) PARTITIONED BY (x) CLUSTER BY (y)'),
    failure('DELTA_CLUSTER_BY_WITH_PARTITIONED_BY', '42613'),
  )
  await assert.rejects(
    execute('CREATE TABLE main.logs.c (x INT) PARTITIONED BY (y)'),
    failure('DELTA_COLUMN_NOT_FOUND', '42703'),
  )
  await assert.rejects(
    execute('CREATE TABLE main.logs.c (x INT, X INT)'),
    failure('COLUMN_ALREADY_EXISTS', '42711'),
  )
})

test('added columns come last and are NULL in the rows there are', async (t) => {
  const { execute, query, stage } = await withTable(t)
  await stage('a.parquet', "SELECT 'x' AS k, 1::BIGINT AS n")
  await execute(copyOf('a.parquet'))
  await execute("ALTER TABLE main.logs.t ADD COLUMNS (`extra` STRING COMMENT 'Later.', `more` INT)")
  assert.deepEqual(await query('SELECT k, extra, more FROM main.logs.t'), [['x', null, null]])
  assert.deepEqual(
    await query("SELECT comment FROM main.information_schema.columns WHERE column_name = 'extra'"),
    [['Later.']],
  )
  await assert.rejects(
    execute('ALTER TABLE main.logs.t ADD COLUMNS (fresh INT, `K` STRING)'),
    failure('FIELD_ALREADY_EXISTS', '42710'),
  )
  assert.deepEqual(
    await query("SELECT 1 FROM main.information_schema.columns WHERE column_name = 'fresh'"),
    [],
  )
})

test('COPY INTO loads a file once, even if its content changes', async (t) => {
  const { execute, query, stage, warehouse } = await withTable(t)
  await stage('a.parquet', "SELECT 'a' || range AS k, range::INTEGER AS n FROM range(3)")
  const result = await execute(copyOf('a.parquet'))
  assert.deepEqual(result, {
    kind: 'rows',
    columns: ['num_affected_rows', 'num_inserted_rows', 'num_skipped_corrupt_files'].map((name) => ({
      name,
      type: 'BIGINT',
    })),
    rows: [[3n, 3n, 0n]],
  })
  await stage('a.parquet', "SELECT 'other' AS k, 9::BIGINT AS n")
  await stage('b.parquet', "SELECT 'b' AS k, NULL::BIGINT AS n")
  assert.deepEqual(await query(copyOf('a.parquet')), [[0n, 0n, 0n]])
  assert.deepEqual(await query(copyOf('a.parquet', 'b.parquet', 'b.parquet')), [[1n, 1n, 0n]])
  assert.deepEqual(await query('SELECT k, n FROM main.logs.t ORDER BY k'), [
    ['a0', 0n],
    ['a1', 1n],
    ['a2', 2n],
    ['b', null],
  ])
  assert.deepEqual(warehouse.loadedFiles('main.logs.t'), [
    { path: `${folder}/a.parquet`, rows: 3 },
    { path: `${folder}/b.parquet`, rows: 1 },
  ])
  assert.equal(warehouse.statements.get('COPY INTO'), 3)
})

test('a dropped table takes its list of loaded files with it', async (t) => {
  const { execute, query, stage } = await withTable(t)
  await stage('a.parquet', "SELECT 'x' AS k, 1::BIGINT AS n")
  await execute(copyOf('a.parquet'))
  await execute('DROP TABLE main.logs.t')
  await execute('CREATE TABLE main.logs.t (k STRING, n BIGINT)')
  assert.deepEqual(await query(copyOf('a.parquet')), [[1n, 1n, 0n]])
})

test('the SELECT of COPY INTO casts, renames, and knows the time', async (t) => {
  const { execute, query, stage } = await withTable(t)
  await stage('a.parquet', "SELECT 'x' AS key, '12' AS n")
  await execute(`COPY INTO main.logs.t FROM (
    SELECT concat(\`key\`, '|') AS \`k\`, n::LONG, current_timestamp() AS at
      FROM '${folder}/') FILEFORMAT = PARQUET FILES = ('a.parquet')
    FORMAT_OPTIONS ('ignoreMissingFiles' = 'false') COPY_OPTIONS ('mergeSchema' = 'false')`)
  assert.deepEqual(await query("SELECT k, n, at > TIMESTAMP '2020-01-01' AS recent FROM main.logs.t"), [
    ['x|', 12n, true],
  ])
})

test('a missing file fails COPY INTO as a whole, unless missing files are ignored', async (t) => {
  const { execute, query, stage, volumes } = await withTable(t)
  await stage('a.parquet', "SELECT 'x' AS k, 1::BIGINT AS n")
  await assert.rejects(execute(copyOf('a.parquet', 'nope.parquet')), failure('PATH_NOT_FOUND', '42K03'))
  assert.deepEqual(await query('SELECT * FROM main.logs.t'), [])
  const tolerant = `${copyOf('a.parquet', 'nope.parquet')} FORMAT_OPTIONS ('ignoreMissingFiles' = 'true')`
  assert.deepEqual(await query(tolerant), [[1n, 1n, 0n]])
  await volumes.remove(`${folder}/a.parquet`)
  await assert.rejects(execute(copyOf('a.parquet')), failure('PATH_NOT_FOUND', '42K03'))
})

const unfit: readonly [what: string, query: string, errorClass: string, sqlState: string][] = [
  ['text for a number', "SELECT 'k' AS k, '1' AS n", 'DELTA_FAILED_TO_MERGE_FIELDS', '22005'],
  ['a fraction for an integer', "SELECT 'k' AS k, 1.5::DOUBLE AS n", 'DELTA_FAILED_TO_MERGE_FIELDS', '22005'],
  ['bytes for text', "SELECT 'k'::BLOB AS k, 1::BIGINT AS n", 'DELTA_FAILED_TO_MERGE_FIELDS', '22005'],
  [
    'NULL in the key',
    'SELECT NULL::VARCHAR AS k, 1::BIGINT AS n',
    'DELTA_NOT_NULL_CONSTRAINT_VIOLATED',
    '23502',
  ],
  ['no such column', "SELECT 'k' AS k", 'UNRESOLVED_COLUMN.WITHOUT_SUGGESTION', '42703'],
]

for (const [what, select, errorClass, sqlState] of unfit) {
  test(`COPY INTO of a file with ${what} fails and loads nothing, of other files neither`, async (t) => {
    const { execute, query, stage, warehouse } = await withTable(t)
    await stage('good.parquet', "SELECT 'g' AS k, 1::BIGINT AS n")
    await stage('bad.parquet', select)
    await assert.rejects(execute(copyOf('bad.parquet')), failure(errorClass, sqlState))
    if (what === 'NULL in the key') {
      await assert.rejects(execute(copyOf('good.parquet', 'bad.parquet')), failure(errorClass, sqlState))
    }
    assert.deepEqual(await query('SELECT * FROM main.logs.t'), [])
    assert.deepEqual(warehouse.loadedFiles('main.logs.t'), [])
    await stage('bad.parquet', "SELECT 'fixed' AS k, 2::BIGINT AS n")
    assert.deepEqual(await query(copyOf('good.parquet', 'bad.parquet')), [[2n, 2n, 0n]])
  })
}

test('COPY INTO refuses a cut file, a failing cast, an instant without zone, and a column the table lacks', async (t) => {
  const { execute, query, stage, volumes } = await withTable(t)
  await volumes.write(`${folder}/cut.parquet`, Buffer.from('PAR1 and no more'))
  await assert.rejects(
    execute(copyOf('cut.parquet')),
    failure('FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER', 'KD001'),
  )
  await stage('a.parquet', "SELECT 'k' AS k, 'many' AS n, TIMESTAMP '2024-01-01' AS local")
  const copy = (list: string) =>
    execute(
      `COPY INTO main.logs.t FROM (SELECT ${list} FROM '${folder}') FILEFORMAT = PARQUET FILES = ('a.parquet')`,
    )
  await assert.rejects(copy('k, CAST(n AS BIGINT)'), failure('CAST_INVALID_INPUT', '22018'))
  await assert.rejects(copy('k, local AS at'), failure('DELTA_FAILED_TO_MERGE_FIELDS', '22005'))
  await assert.rejects(copy('k, n AS name'), failure('COPY_INTO_SCHEMA_MISMATCH_WITH_TARGET_TABLE', '42KDG'))
  assert.deepEqual(await query('SELECT * FROM main.logs.t'), [])
})

test('without a cast a value fits its own type and wider ones of its kind', () => {
  const typed = (text: string) => parseType(new SqlCursor(text))
  const cases: readonly [stored: string, column: string, fits: boolean][] = [
    ['INTEGER', 'BIGINT', true],
    ['BIGINT', 'INT', false],
    ['UINTEGER', 'BIGINT', true],
    ['UINTEGER', 'INT', false],
    ['UBIGINT', 'BIGINT', false],
    ['FLOAT', 'DOUBLE', true],
    ['BIGINT', 'DOUBLE', false],
    ['DECIMAL(5,2)', 'DECIMAL(6,3)', true],
    ['DECIMAL(5,2)', 'DECIMAL(5,3)', false],
    ['DECIMAL(5,2)', 'DECIMAL(9,1)', false],
    ['TIMESTAMP', 'TIMESTAMP_NTZ', true],
    ['DATE', 'TIMESTAMP', false],
  ]
  for (const [stored, column, fits] of cases) {
    assert.equal(fitsWithoutLoss(stored, typed(column)), fits, `${stored} in ${column}`)
  }
})

test('COPY INTO refuses what would load twice or match columns by place', async (t) => {
  const { execute, stage } = await withTable(t)
  await stage('a.parquet', "SELECT 'k' AS k, 1::BIGINT AS n")
  await assert.rejects(
    execute(`${copyOf('a.parquet')} COPY_OPTIONS ('force' = 'true')`),
    failure('UNSUPPORTED_FEATURE', '0A000'),
  )
  await assert.rejects(
    execute(copyOf('a.parquet').replace(' FROM (', ' (k, n) FROM (')),
    failure('COPY_INTO_FEATURE_INCOMPATIBLE_SETTING', '42613'),
  )
  await assert.rejects(
    execute(copyOf(...Array.from({ length: 1001 }, (_, at) => `${at}.parquet`))),
    failure('UNSUPPORTED_FEATURE', '0A000'),
  )
})

test('while a COPY INTO runs on without its client, the same one is refused, and then finds the file loaded', async (t) => {
  const { execute, query, stage, warehouse } = await withTable(t)
  await stage('a.parquet', "SELECT 'a' AS k, 1::BIGINT AS n")
  await stage('b.parquet', "SELECT 'b' AS k, 1::BIGINT AS n")
  const hold = warehouse.holdNext(/COPY INTO .*a\.parquet/)
  const orphan = execute(copyOf('a.parquet'))
  await hold.reached
  await assert.rejects(
    execute(copyOf('a.parquet', 'b.parquet')),
    failure('COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED', '25000'),
  )
  assert.deepEqual(await query(copyOf('b.parquet')), [[1n, 1n, 0n]])
  assert.deepEqual(await query('SELECT k FROM main.logs.t'), [['b']])
  hold.release()
  await orphan
  assert.deepEqual(await query(copyOf('a.parquet')), [[0n, 0n, 0n]])
  assert.deepEqual(await query('SELECT k FROM main.logs.t ORDER BY k'), [['a'], ['b']])
})

test('a statement that is canceled before its effects has none', async (t) => {
  const { execute, query, stage, warehouse } = await withTable(t)
  await stage('a.parquet', "SELECT 'a' AS k, 1::BIGINT AS n")
  const hold = warehouse.holdNext(/COPY/)
  const canceling = new AbortController()
  const copy = execute(copyOf('a.parquet'), {}, canceling.signal)
  await hold.reached
  canceling.abort()
  await assert.rejects(copy, failure('OPERATION_CANCELED', 'HY008'))
  await assert.rejects(execute('SELECT 1', {}, AbortSignal.abort()), failure('OPERATION_CANCELED', 'HY008'))
  assert.deepEqual(await query('SELECT * FROM main.logs.t'), [])
  assert.deepEqual(await query(copyOf('a.parquet')), [[1n, 1n, 0n]])
})

test('with instantLoad a COPY INTO counts rows and stores none', async (t) => {
  const { query, stage, warehouse } = await withTable(t, { instantLoad: true })
  await stage('a.parquet', "SELECT 'a' AS k, range AS n FROM range(5)")
  assert.deepEqual(await query(copyOf('a.parquet')), [[5n, 5n, 0n]])
  assert.deepEqual(await query(copyOf('a.parquet')), [[0n, 0n, 0n]])
  assert.deepEqual(await query('SELECT count(*) AS n FROM main.logs.t'), [[0n]])
  assert.deepEqual(warehouse.loadedFiles('main.logs.t'), [{ path: `${folder}/a.parquet`, rows: 5 }])
})

test('each file is loaded at most once despite repeated, orphaned and cancelled statements and broken files', async (t) => {
  const { execute, query, stage, volumes, warehouse } = await bench(t)
  const names = ['f0.parquet', 'f1.parquet', 'f2.parquet']
  const some = fc.subarray(names, { minLength: 1 })
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('copy' as const), files: some }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('hold' as const), files: some }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('break' as const), files: some }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), files: some }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('stage' as const), files: some }) },
  )
  const stageGood = async (files: readonly string[]): Promise<void> => {
    for (const file of files) await stage(file, `SELECT '${file}' AS k, range AS n FROM range(4)`)
  }
  const refused = (error: unknown): void => assert.ok(error instanceof SqlFailure, String(error))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      await execute('DROP TABLE IF EXISTS main.logs.t')
      await execute('CREATE TABLE main.logs.t (k STRING NOT NULL, n BIGINT)')
      await stageGood(names)
      const running: { release(): void; cancel(): void; ended: Promise<unknown> }[] = []
      for (const each of steps) {
        if (each.do === 'copy') await execute(copyOf(...each.files)).catch(refused)
        if (each.do === 'hold') {
          const hold = warehouse.holdNext(/COPY/)
          const canceling = new AbortController()
          const ended = execute(copyOf(...each.files), {}, canceling.signal).catch(refused)
          const isHeld = await Promise.race([hold.reached.then(() => true), ended.then(() => false)])
          if (isHeld) running.push({ release: hold.release, cancel: () => canceling.abort(), ended })
          else hold.release()
        }
        if (each.do === 'release' || each.do === 'cancel') {
          const orphan = running.shift()
          orphan?.[each.do]()
          await orphan?.ended
        }
        if (each.do === 'break') {
          for (const file of each.files) await stage(file, 'SELECT NULL::VARCHAR AS k, 1::BIGINT AS n')
        }
        if (each.do === 'remove') for (const file of each.files) await volumes.remove(`${folder}/${file}`)
        if (each.do === 'stage') await stageGood(each.files)
      }
      for (const orphan of running) {
        orphan.release()
        await orphan.ended
      }
      const counted = (): Promise<readonly (readonly Value[])[]> =>
        query('SELECT k, count(*) AS n, count(DISTINCT n) AS m FROM main.logs.t GROUP BY k ORDER BY k')
      const loaded = warehouse.loadedFiles('main.logs.t').map(({ path }) => path.slice(folder.length + 1))
      assert.deepEqual(
        await counted(),
        loaded.sort().map((name) => [name, 4n, 4n]),
      )
      await stageGood(names)
      await execute(copyOf(...names))
      assert.deepEqual(
        await counted(),
        names.map((name) => [name, 4n, 4n]),
      )
    }),
    { numRuns: 30 },
  )
})

const mergeOf = (schema: string, columns: string): string => `
  MERGE INTO main.logs.t USING (SELECT inline(from_json(:batch, 'ARRAY<STRUCT<${schema}>>'))) AS s
    ON t.\`k\` = s.\`k\` AND t.n IS NOT DISTINCT FROM s.n
  WHEN NOT MATCHED THEN INSERT (${columns}, at)
    VALUES (${columns.replaceAll(/\w+/g, 's.`$&`')}, current_timestamp())`

test('MERGE inserts the rows of a JSON batch that are not there yet, whole integers included', async (t) => {
  const { execute, query } = await withTable(t)
  const sql = mergeOf('`k`: STRING, `n`: BIGINT', 'k, n')
  const first = await execute(sql, { batch: ['STRING', '[{"k":"a","n":9007199254740993},{"k":"b"}]'] })
  assert.deepEqual(
    (first as StatementRows).columns.map(({ name }) => name),
    ['num_affected_rows', 'num_updated_rows', 'num_deleted_rows', 'num_inserted_rows'],
  )
  assert.deepEqual((first as StatementRows).rows, [[2n, 0n, 0n, 2n]])
  const second = { batch: ['STRING', '[{"k":"b"},{"k":"a","n":1}]'] } as const
  assert.deepEqual(await query(sql, second), [[1n, 0n, 0n, 1n]])
  assert.deepEqual(await query(sql, { batch: ['STRING', '[{"k":'] }), [[0n, 0n, 0n, 0n]])
  assert.deepEqual(
    await query('SELECT k, n FROM main.logs.t WHERE at IS NOT NULL ORDER BY k, n NULLS LAST'),
    [
      ['a', 1n],
      ['a', 9007199254740993n],
      ['b', null],
    ],
  )
  await assert.rejects(
    execute(sql, { batch: ['STRING', '[{"k":"new","n":1},{"n":2}]'] }),
    failure('DELTA_NOT_NULL_CONSTRAINT_VIOLATED', '23502'),
  )
  assert.deepEqual(await query("SELECT 1 FROM main.logs.t WHERE k = 'new'"), [])
})

test('from_json gives values of the types asked for, and NULL for what is not such a value', async (t) => {
  const { query } = await bench(t)
  const schema =
    's STRING, l BIGINT, i INT, d DOUBLE, b BOOLEAN, at TIMESTAMP, day DATE, bin BINARY, x DECIMAL(6,2), tags ARRAY<STRUCT<a:INT>>'
  const select = `SELECT inline(from_json(:j, 'ARRAY<STRUCT<${schema.replaceAll(/(\w) (?=[A-Z])/g, '$1: ')}>>'))`
  const one = async (json: string) => (await query(select, { j: ['STRING', `[${json}]`] }))[0]
  const good = `{"s":"é","l":-9223372036854775808,"i":7,"d":1e300,"b":false,"at":"2024-01-02T03:04:05.678901Z",
    "day":"2024-01-02","bin":"AP8=","x":12.34,"tags":[{"a":1},{"a":null}]}`
  assert.deepEqual(await one(good), [
    'é',
    -9223372036854775808n,
    7,
    1e300,
    false,
    '2024-01-02 03:04:05.678901',
    '2024-01-02',
    'AP8=',
    '12.34',
    '[{"a":1},{"a":null}]',
  ])
  const bad = `{"l":"5","i":3000000000,"d":"much","b":"true","at":"soon","day":20240102,"bin":"!","x":123456.7,"tags":{}}`
  assert.deepEqual(await one(bad), Array(10).fill(null))
  assert.deepEqual((await one('{"s":{"a":[1]},"l":1.5,"d":"NaN"}'))?.slice(0, 4), [
    '{"a":[1]}',
    null,
    null,
    Number.NaN,
  ])
})

const replaceOf = (...clauses: readonly string[]): string => `
  MERGE INTO main.logs.t AS t USING (SELECT inline(from_json(:batch, 'ARRAY<STRUCT<k: STRING, n: BIGINT>>'))) AS s
    ON t.k = s.k
  ${clauses.join('\n')}`

const updates = 'WHEN MATCHED THEN UPDATE SET t.`n` = s.`n`, at = current_timestamp()'
const inserts = 'WHEN NOT MATCHED BY TARGET THEN INSERT (k, n) VALUES (s.k, s.n)'
const deletes = 'WHEN NOT MATCHED BY SOURCE AND t.k >= :from AND t.k < :to THEN DELETE'
const bounds = { from: ['STRING', 'b'], to: ['STRING', 'd'] } as const

async function withKeys(t: TestContext): Promise<Bench> {
  const made = await withTable(t)
  await made.stage('a.parquet', "SELECT unnest(['a', 'b', 'b', 'c', 'd']) AS k, 1 AS n")
  await made.execute(copyOf('a.parquet'))
  return made
}

test('MERGE updates what matches, adds what does not, and deletes what the source lacks, in one step', async (t) => {
  const { query } = await withKeys(t)
  const sql = replaceOf(updates, inserts, deletes)
  const batch = ['STRING', '[{"k":"b","n":7},{"k":"bb","n":8},{"k":"z","n":9}]'] as const
  const rows = 'SELECT k, n FROM main.logs.t ORDER BY k'
  // Affected, updated (the table has `b` twice), deleted (`c`), inserted.
  assert.deepEqual(await query(sql, { ...bounds, batch }), [[5n, 2n, 1n, 2n]])
  const expected = [
    ['a', 1n],
    ['b', 7n],
    ['b', 7n],
    ['bb', 8n],
    ['d', 1n],
    ['z', 9n],
  ]
  assert.deepEqual(await query(rows), expected)
  assert.deepEqual(await query(sql, { ...bounds, batch }), [[4n, 4n, 0n, 0n]])
  assert.deepEqual(await query(rows), expected)
  assert.deepEqual(await query(sql, { ...bounds, batch: ['STRING', '[]'] }), [[3n, 0n, 3n, 0n]])
})

test('MERGE with a row that the table cannot take changes nothing', async (t) => {
  const { execute, query } = await withKeys(t)
  await assert.rejects(
    execute(replaceOf(updates, inserts, deletes), {
      ...bounds,
      batch: ['STRING', '[{"k":"a","n":7},{"n":8}]'],
    }),
    failure('DELTA_NOT_NULL_CONSTRAINT_VIOLATED', '23502'),
  )
  assert.deepEqual(await query('SELECT count(*), sum(n) FROM main.logs.t'), [[5n, 5n]])
})

test('MERGE where two rows of the source match one of the table fails as ambiguous, unless it leaves what matches', async (t) => {
  const { execute, query } = await withKeys(t)
  const batch = ['STRING', '[{"k":"a","n":1},{"k":"a","n":1},{"k":"new","n":1},{"k":"new","n":1}]'] as const
  await assert.rejects(
    execute(replaceOf(updates, inserts, deletes), { ...bounds, batch }),
    failure('DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE', '21506'),
  )
  assert.deepEqual(await query('SELECT count(*) FROM main.logs.t'), [[5n]])
  assert.deepEqual(await query(replaceOf(inserts), { batch }), [[2n, 0n, 0n, 2n]])
})

for (const [what, clauses] of [
  ['an insertion before the update', [inserts, updates]],
  ['a deletion before the insertion', [deletes, inserts]],
  ['no clause', []],
] as const) {
  test(`MERGE with ${what} is a mistake of syntax`, async (t) => {
    const { execute } = await withTable(t)
    const batch = ['STRING', '[]'] as const
    await assert.rejects(
      execute(replaceOf(...clauses), { ...bounds, batch }),
      failure('PARSE_SYNTAX_ERROR', '42601'),
    )
  })
}

test('MERGE with a condition on what it inserts is refused', async (t) => {
  const { execute } = await withTable(t)
  const sql = replaceOf(inserts.replace('THEN', 'AND s.n > 1 THEN'))
  await assert.rejects(execute(sql, { batch: ['STRING', '[]'] }), failure('UNSUPPORTED_FEATURE', '0A000'))
})

test('DELETE and aggregates take conditions with parameters', async (t) => {
  const { execute, query, stage } = await withTable(t)
  await stage('a.parquet', "SELECT CASE WHEN range < 6 THEN 'a' ELSE 'b' END AS k, range AS n FROM range(10)")
  await execute(copyOf('a.parquet'))
  assert.deepEqual(
    await query('DELETE FROM `main`.`logs`.`t` WHERE `k` = :k AND n >= :from AND n < :to', {
      k: ['STRING', 'a'],
      from: ['BIGINT', '2'],
      to: ['BIGINT', '4'],
    }),
    [[2n]],
  )
  assert.deepEqual(
    await query(
      `WITH x AS (SELECT * FROM main.logs.t AS t WHERE t.n >= :least)
       SELECT k, count(*) AS c, max(n + 1) AS top, min(n) AS low, sum(n) AS s FROM x GROUP BY k ORDER BY k DESC LIMIT 2`,
      { least: ['INT', '1'] },
    ),
    [
      ['b', 4n, 10n, 6n, 30n],
      ['a', 3n, 6n, 1n, 10n],
    ],
  )
  await assert.rejects(
    execute('DELETE FROM main.logs.t WHERE nope = 1'),
    failure('UNRESOLVED_COLUMN.WITHOUT_SUGGESTION', '42703'),
  )
  await assert.rejects(execute("SELECT CAST('x' AS INT) AS i"), failure('CAST_INVALID_INPUT', '22018'))
  assert.deepEqual(await query('DELETE FROM main.logs.t'), [[8n]])
})

test('file statements are checked, and left to the client', async (t) => {
  const { execute, stage } = await bench(t)
  await stage('a.parquet', 'SELECT 1 AS x')
  const path = `${folder}/a.parquet`
  await assert.rejects(
    execute(`PUT 'it\\'s' INTO '${path}'`),
    failure('FILE_IN_STAGING_PATH_ALREADY_EXISTS', '42K04'),
  )
  assert.deepEqual(await execute(`PUT 'it\\'s' INTO 'dbfs:${path}' OVERWRITE`), {
    kind: 'staging',
    operation: 'PUT',
    localFile: "it's",
    volumePath: path,
  })
  assert.deepEqual(await execute(`REMOVE '${path}'`), {
    kind: 'staging',
    operation: 'REMOVE',
    volumePath: path,
  })
  await assert.rejects(
    execute(`REMOVE '/Volumes/main/logs/stage/../x'`),
    failure('INVALID_PARAMETER_VALUE', '22023'),
  )
})

test('LIST shows what is right in a folder, with sizes in bytes and times in milliseconds', async (t) => {
  const { query, volumes } = await bench(t)
  await volumes.write(`${folder}/one`, Buffer.from('abc'))
  await volumes.write(`${folder}/deep/two`, Buffer.from('abcd'))
  const rows = await query(`LIST '${folder}'`)
  assert.deepEqual(
    rows.map((row) => row.slice(0, 3)),
    [
      [`${folder}/deep/`, 'deep/', 0n],
      [`${folder}/one`, 'one', 3n],
    ],
  )
  assert.ok(rows.every(([, , , at]) => typeof at === 'bigint' && at > 1_500_000_000_000n))
  assert.equal((await query(`LIST '${folder}' LIMIT 1`)).length, 1)
  assert.deepEqual(
    (await volumes.list(folder)).map(({ path, bytes }) => [path, bytes]),
    [
      [`${folder}/deep/two`, 4],
      [`${folder}/one`, 3],
    ],
  )
})

test('the files of a volume are written whole, read and removed by their path', async (t) => {
  const { volumes } = await bench(t)
  await volumes.write(`${folder}/a`, Buffer.from('one'))
  await volumes.write(`${folder}/a`, Buffer.from('two'))
  assert.equal((await volumes.read(`${folder}/a`))?.toString(), 'two')
  assert.equal(await volumes.remove(`${folder}/a`), true)
  assert.equal(await volumes.remove(`${folder}/a`), false)
  assert.equal(await volumes.read(`${folder}/a`), undefined)
  await assert.rejects(
    volumes.write('/Volumes/main/logs/nope/a', Buffer.alloc(1)),
    failure('UC_VOLUME_NOT_FOUND', '42704'),
  )
})

test('statements that only have to be taken are taken, others are syntax errors', async (t) => {
  const { execute, query } = await withTable(t)
  assert.deepEqual(await query('SELECT 1;'), [[1]])
  assert.deepEqual(await query('clear cache'), [])
  for (const sql of ['VACUUM main.logs.t', 'SELECT (1', 'COPY INTO main.logs.t', 'CREATE TABLE x']) {
    await assert.rejects(execute(sql), failure('PARSE_SYNTAX_ERROR', '42601'), sql)
  }
})

test('an empty statement is a failure of its own', async (t) => {
  const { execute } = await bench(t)
  await assert.rejects(execute(' -- nothing\n;'), failure('PARSE_EMPTY_STATEMENT', '42617'))
})

test('a COPY INTO whose file is removed while it is held fails, and loads the file when it exists again', async (t) => {
  const { execute, query, stage, volumes, warehouse } = await withTable(t)
  await stage('a.parquet', "SELECT 'a' AS k, 1::BIGINT AS n")
  const hold = warehouse.holdNext(/COPY/)
  const copy = execute(copyOf('a.parquet'))
  await hold.reached
  await volumes.remove(`${folder}/a.parquet`)
  hold.release()
  await assert.rejects(copy, failure('FAILED_READ_FILE.FILE_NOT_EXIST', 'KD001'))
  await stage('a.parquet', "SELECT 'a' AS k, 1::BIGINT AS n")
  assert.deepEqual(await query(copyOf('a.parquet')), [[1n, 1n, 0n]])
})

test('a COPY INTO that is held while its table is made anew fails', async (t) => {
  const { execute, query, stage, warehouse } = await withTable(t)
  await stage('a.parquet', "SELECT 'a' AS k, 1::BIGINT AS n")
  const hold = warehouse.holdNext(/COPY/)
  const copy = execute(copyOf('a.parquet'))
  await hold.reached
  await execute('DROP TABLE main.logs.t')
  await execute('CREATE TABLE main.logs.t (k STRING, n BIGINT)')
  hold.release()
  await assert.rejects(copy, failure('TABLE_OR_VIEW_NOT_FOUND', '42P01'))
  assert.deepEqual(await query('SELECT * FROM main.logs.t'), [])
})

test('unqualified names belong to the catalog and schema of the session', async (t) => {
  const { warehouse } = await withTable(t)
  const context = { parameters: [], catalog: 'Main', schema: 'logs', signal: new AbortController().signal }
  const result = (await warehouse.execute('SELECT count(*) AS n FROM t', context)) as StatementRows
  assert.deepEqual(result.rows, [[0n]])
})
