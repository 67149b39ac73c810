import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { resolveConfig } from '../../../../src/config/resolve.ts'
import { isTailraceError } from '../../../../src/errors.ts'
import { commitPath, encodeActions } from '../../../../src/sinks/delta/protocol/actions.ts'
import { FileSchemas } from '../../../../src/sinks/delta/query/file-schemas.ts'
import { queryViews, type TableReading } from '../../../../src/sinks/delta/query/query.ts'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import {
  createPipelineView,
  createViews,
  type LakehouseView,
} from '../../../../src/sinks/delta/query/views.ts'
import { sqlString } from '../../../../src/sinks/encoding/engine.ts'
import type { TakeRows } from '../../../../src/sinks/encoding/row-stream.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'
import { deltaTarget } from '../../../support/delta-target.ts'
import { sharedHooks } from '../../../support/shared-hooks.ts'
import { markDeleted } from '../deletion-vectors.ts'
import { onEachStorage } from '../on-each-storage.ts'
import { committerOf, encode, span, type Workbench, workbench } from '../support.ts'

/** Files of a few rows each, whose ranges overlap here and not there. */
const filesOfRows = 24

const config = resolveConfig(
  {
    pipelines: {
      primary: {
        source: { storage: { kind: 'embedded' }, container: 'logs', blobs: 'pg' },
        table: postgresLogs('test.logs.pg'),
        sink: { kind: 'delta', root: 'nowhere' },
      },
    },
  },
  '/',
)

async function fill(bench: Workbench): Promise<void> {
  const committer = committerOf(bench)
  await committer.open()
  for (let batch = 0; batch < filesOfRows; batch += 1) {
    const name = `logs/${'long-name/'.repeat(batch % 5)}${batch % 4}`
    const source = span(name, batch * 100, batch * 100 + 100, `generation ${batch}`)
    const seeds = [batch * 9, batch * 9 + 3, batch * 9 + (batch % 3) * 40]
    const rows = seeds.map((seed, index) => ({ offset: source.start + index * 10, seed }))
    await committer.land([source], await encode(bench, source, rows))
  }
}

interface QueryResult {
  readonly columns: readonly string[]
  readonly rows: (readonly unknown[])[]
  readonly readings: readonly TableReading[]
}

async function run(bench: Workbench, sql: string): Promise<QueryResult> {
  return withViews(bench, (views) => runOver(bench, views, sql))
}

/** For many statements: reading the table takes longer than most of them. */
async function runOver(bench: Workbench, views: readonly LakehouseView[], sql: string): Promise<QueryResult> {
  const { take, result } = collector()
  const readings = await queryViews(bench.engine, views, sql, { take })
  return { ...result(), readings }
}

function collector(): { take: TakeRows; result: () => Omit<QueryResult, 'readings'> } {
  let columns: readonly string[] = []
  const rows: (readonly unknown[])[] = []
  return {
    take: async (batch) => {
      columns = batch.columns
      for (const row of batch.rows) rows.push(row)
      return true
    },
    result: () => ({ columns, rows }),
  }
}

/** All rows of a statement over what the engine holds. */
async function table(bench: Workbench, sql: string): Promise<Omit<QueryResult, 'readings'>> {
  const { take, result } = collector()
  await bench.engine.rolledBack(() => bench.engine.stream(sql, take))
  return result()
}

async function withViews<T>(
  bench: Workbench,
  use: (views: readonly LakehouseView[]) => Promise<T>,
): Promise<T> {
  const targets = [deltaTarget(config, 'primary')]
  const { views } = await createViews(bench.engine, targets, async () => {
    const contents = await readTable(bench.storage, bench.engine)
    return contents && { storage: bench.storage, contents, schemas: new FileSchemas() }
  })
  try {
    return await use(views)
  } finally {
    for (const { view, placeholder } of views) {
      await bench.engine.run(`DROP VIEW IF EXISTS ${view}`)
      await bench.engine.run(`DROP TABLE IF EXISTS ${placeholder}`)
    }
  }
}

onEachStorage('a condition on partition or statistics opens only the files that can match', async (bench) => {
  await fill(bench)
  let opened: string[] = []
  const localFile = bench.storage.localFile.bind(bench.storage)
  bench.storage.localFile = (path) => {
    opened.push(path)
    return localFile(path)
  }
  const total = (await bench.dataFiles()).length
  assert.ok(total > 40)
  const cases: [where: string, most: number][] = [
    ['source_offset = 300', 3],
    ['source_offset BETWEEN 300 AND 320', 3],
    ['source_offset BETWEEN 300 AND 320 AND source_offset IN (300, 310, 320)', 3],
    [
      "source_offset < 320 AND source_blob < 'z' AND source_blob IN ('logs/1', ' AND optional: z')",
      total / 4,
    ],
    ["event_time < '2026-01-01T03:00:00.000369Z'", 2],
    ["event_time >= '2026-01-13'", 3],
    ["event_date = '2026-01-02' AND source_offset < 500", 5],
    ['event_date IS NULL AND pid = 3', total / 4],
    ["source_blob = 'logs/1'", total / 4],
    ['query_id IN (-6883023751393440299, -6883023751393440290)', 5],
    ['query_id = (SELECT 1)::BIGINT', total],
    ["event_time > now() + INTERVAL '1 day'", 0],
    ['false', 0],
  ]
  const unpruned = await createPipelineView(bench.engine, 'all', bench.storage)
  for (const [where, most] of cases) {
    opened = []
    const { rows, readings } = await run(bench, `SELECT count(*)::INTEGER FROM test.logs.pg WHERE ${where}`)
    const read = opened.filter((path) => !path.startsWith('_delta_log/')).length
    assert.ok(read <= most, `${where} opened ${read} of ${total} files`)
    assert.deepEqual(readings, [
      { pipeline: 'primary', tableVersion: filesOfRows, files: total, readFiles: read },
    ])
    const expected = await table(bench, `SELECT count(*)::INTEGER FROM ${unpruned} WHERE ${where}`)
    assert.deepEqual(rows, expected.rows, where)
  }
})

/** One table for the properties, which run many statements. */
const bench = await workbench(sharedHooks())
await fill(bench)
// Some of the files have a deletion vector.
await markDeleted(bench, 'pid = 3 OR source_offset = 510')
const everything = (await createPipelineView(bench.engine, 'all', bench.storage))!
await bench.engine.run(`CREATE TABLE memory.main.everything AS FROM ${everything}`)

const columnNames = [
  'event_time',
  'source_blob',
  'source_offset',
  'query_id',
  'pid',
  'duration_ms',
  'is_slow',
  'day',
  'message',
  'event_date',
] as const

/** A value that the table has in that column, or one right beside it. */
const anyValue = (column: string): fc.Arbitrary<string> =>
  fc.tuple(fc.nat(71), fc.constantFrom(0, 0, 1, -1)).map(([row, step]) => {
    const value = `(SELECT ${column} FROM memory.main.everything ORDER BY source_offset, query_id LIMIT 1 OFFSET ${row})`
    if (column === 'event_time') return `${value} + to_microseconds(${step})`
    if (column === 'duration_ms') return `${value} + ${step} * 1e-9`
    if (['source_blob', 'message'].includes(column)) return step === 0 ? value : `${value} || '~'`
    return column === 'is_slow' ? value : `${value} + ${step}`
  })

const anyTest: fc.Arbitrary<{ readonly text: string; readonly values: readonly string[] }> = fc
  .constantFrom(...columnNames)
  .chain((column) =>
    fc.oneof(
      fc
        .tuple(fc.constantFrom('=', '<', '<=', '>', '>=', '<>'), anyValue(column))
        .map(([sign, value]) => ({ text: `${column} ${sign} ?`, values: [value] })),
      fc
        .tuple(anyValue(column), anyValue(column))
        .map((values) => ({ text: `${column} BETWEEN ? AND ?`, values })),
      fc
        .array(anyValue(column), { minLength: 1, maxLength: 7 })
        .map((values) => ({ text: `${column} IN (${values.map(() => '?').join(', ')})`, values })),
      fc.constantFrom('IS NULL', 'IS NOT NULL').map((word) => ({ text: `${column} ${word}`, values: [] })),
      fc.constantFrom(
        { text: "source_blob LIKE 'logs/l%'", values: [] },
        { text: "message = 'a' || chr(10) || 'c3=300' || chr(10) || 'b'", values: [] },
        { text: "lower(message) > 'é'", values: [] },
        { text: 'pid + 1 = 3', values: [] },
      ),
    ),
  )

const { where } = fc.letrec<{ where: { readonly text: string; readonly values: readonly string[] } }>(
  (tie) => ({
    where: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      anyTest,
      tie('where').map(({ text, values }) => ({ text: `NOT (${text})`, values })),
      fc
        .tuple(tie('where'), fc.constantFrom('AND', 'AND', 'OR'), tie('where'))
        .map(([left, word, right]) => ({
          text: `(${left.text}) ${word} (${right.text})`,
          values: [...left.values, ...right.values],
        })),
    ),
  }),
)

/** Puts constants in for the values: what a subquery gives is known to no plan. */
async function filled({ text, values }: { text: string; values: readonly string[] }): Promise<string> {
  let sql = text
  for (const value of values) {
    const [row] = await bench.engine.rows(
      `SELECT typeof(v) AS type, v::VARCHAR AS text FROM (SELECT ${value} AS v)`,
    )
    const constant = row?.text == null ? 'NULL' : `${sqlString(String(row.text))}::${row.type}`
    sql = sql.replace('?', () => constant)
  }
  return sql
}

const statements: readonly ((table: string, where: string) => string)[] = [
  (table, where) => `SELECT * FROM ${table} WHERE ${where}`,
  (table, where) => `SELECT * FROM ${table} QUALIFY count(*) OVER () > 0 AND (${where})`,
  (table, where) => `SELECT a.*, b.pid AS other FROM ${table} a LEFT JOIN ${table} b
    ON a.source_offset = b.source_offset AND b.pid > 2 WHERE a.source_offset IN
    (SELECT source_offset FROM ${table} WHERE ${where})`,
  (
    table,
    where,
  ) => `WITH matching AS (FROM ${table} WHERE ${where}) SELECT count(*), min(query_id), max(day) FROM matching
    UNION ALL SELECT count(*), min(query_id), NULL FROM ${table} WHERE pid = 1`,
  (table, where) => `SELECT * FROM ${table} a WHERE NOT EXISTS
    (SELECT 1 FROM (FROM ${table} WHERE ${where}) b WHERE b.query_id = a.query_id)`,
]

function sortedRows({ rows }: Pick<QueryResult, 'rows'>): string[] {
  return rows.map((row) => JSON.stringify(row)).sort()
}

test('a statement over the files that can match gives what it gives over all of them', async () => {
  let pruned = 0
  await withViews(bench, (views) =>
    fc.assert(
      fc.asyncProperty(where, fc.constantFrom(...statements), async (condition, statement) => {
        const text = await filled(condition)
        const result = await runOver(bench, views, statement('test.logs.pg', text))
        const expected = await table(bench, statement('memory.main.everything', text))
        assert.deepEqual(sortedRows(result), sortedRows(expected))
        if (result.readings[0]!.readFiles < result.readings[0]!.files) pruned += 1
      }),
      { numRuns: 30, includeErrorInReport: true },
    ),
  )
  assert.ok(pruned > 1, `only ${pruned} statements left out a file`)
})

test('statements that are no single SELECT run over all files', async () => {
  const { columns, readings } = await run(bench, 'SUMMARIZE test.logs.pg')
  assert.ok(columns.includes('column_name'))
  assert.equal(readings[0]!.readFiles, readings[0]!.files)
  const { rows } = await run(bench, 'PIVOT test.logs.pg ON pid USING count(*) GROUP BY is_slow')
  assert.equal(rows.length, 2)
  const plan = await run(bench, 'EXPLAIN ANALYZE SELECT count(*) FROM test.logs.pg')
  assert.match(String(plan.rows[0]?.[1]), /Total Time/)
  for (const sql of ['SELECT * FROM test.logs.pg WHERE nothing = 1', 'SELEC 1', 'SELECT 1; SELEC 1']) {
    await assert.rejects(run(bench, sql), (error) => isTailraceError(error, 'QUERY_FAILED'))
  }
})

test('anything but one statement that reads is refused before it runs', async () => {
  const refused = [
    '',
    '; -- nothing',
    'SELECT 1; SELECT 2',
    'SELECT 1; DROP TABLE nowhere',
    'CREATE TEMP TABLE mine AS SELECT 1',
    "COPY (SELECT 1) TO '/dev/stderr'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/dev/stderr'",
    "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO '/dev/stderr'",
    "COPY (PIVOT test.logs.pg ON pid USING count(*)) TO '/dev/stderr'",
    'PIVOT test.logs.pg ON pid USING count(*); SELECT 1',
    "EXPORT DATABASE 'nowhere'",
    "IMPORT DATABASE 'nowhere'",
    "ATTACH ':memory:' AS other",
    'INSTALL httpfs',
    'LOAD httpfs',
    'SET threads = 1',
    'RESET threads',
    'PRAGMA enable_profiling',
    "CALL enable_logging(storage = 'stdout')",
    'CREATE PERSISTENT SECRET s (TYPE http)',
    'PREPARE p AS SELECT 1',
    'BEGIN',
    'CHECKPOINT',
    'UPDATE EXTENSIONS',
    "FROM enable_logging(storage = 'stdout')",
    'FROM (SELECT 1), LATERAL (FROM system.main."Enable_Logging"(storage = \'stdout\'))',
    "WITH a AS MATERIALIZED (FROM enable_profiling(format = 'json')) FROM a",
    "SELECT (SELECT count(*) FROM read_text('/etc/hostname'))",
    "FROM query('FROM enable_logging()')",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    'FROM arrow_scan(1, 2, 3)',
    'FROM force_checkpoint()',
    "EXPLAIN SELECT * FROM glob('/*')",
    'PIVOT (FROM enable_logging /* ( */ ()) ON a USING count(*)',
    'PIVOT (FROM "query" (\'SELECT 1 AS a\')) ON a USING count(*)',
    "DESCRIBE FROM read_csv('/etc/hostname')",
  ]
  await withViews(bench, async (views) => {
    for (const sql of refused) {
      const refusal = runOver(bench, views, sql)
      await assert.rejects(refusal, (error) => isTailraceError(error, 'QUERY_REFUSED'), sql)
    }
  })
  const logged = await run(bench, 'SELECT count(*)::INTEGER FROM duckdb_logs')
  assert.deepEqual(logged.rows, [[0]])
})

test('words of refused statements may stand in the texts and names of one that reads', async () => {
  for (const sql of [
    "SELECT 'x; DROP TABLE y -- copy', count(*) FROM test.logs.pg",
    'SELECT "checkpoint" FROM (SELECT \'query (\' AS "checkpoint")',
    "PIVOT (FROM test.logs.pg WHERE message NOT LIKE '%query%') ON is_slow USING count(*)",
    '/* ; */ FROM range(3) -- ; ;',
    'SHOW TABLES',
    'VALUES (1), (2);',
    'EXPLAIN (FORMAT json) (SELECT 1)',
    'SELECT unnest([1, 2]) UNION ALL FROM generate_series(3)',
  ]) {
    assert.notEqual((await run(bench, sql)).rows.length, 0, sql)
  }
})

test('a mistake is shown in the line that it is in, as it was written', async () => {
  for (const [sql, reason] of [
    ['SELECT nothing_of_this FROM range(1)', /\nLINE 1: SELECT nothing_of_this FROM range\(1\)\n {15}\^/],
    ['SELECT 1,\nnothing_of_this FROM range(1)', /\nLINE 2: nothing_of_this FROM range\(1\)\n {8}\^/],
  ] as const)
    await assert.rejects(
      run(bench, sql),
      (error) => isTailraceError(error, 'QUERY_FAILED') && reason.test(error.message),
    )
})

test('a statement that fails after its first rows fails, and says why', async () => {
  const failing = "SELECT CASE WHEN range = 400000 THEN error('at last') END AS a FROM range(1000000)"
  const casting = `SELECT CASE WHEN range = 400000 THEN CAST('x' || range AS INTEGER) END AS a FROM range(1000000)`
  const pivot = `FROM (${failing}), (PIVOT (SELECT 1 AS b) ON b USING count(*))`
  for (const [sql, reason] of [
    [failing, /at last/],
    [casting, /^Conversion Error: .*\nLINE 1: SELECT CASE .*\n {45}\^/s],
    [`${'\n'.repeat(8)}${casting}`, /^Conversion Error: .*\nLINE 9: SELECT CASE .*\n {45}\^/s],
    [pivot, /after its first rows/],
  ] as const) {
    let rows = 0
    const take: TakeRows = async (batch) => {
      rows += batch.rows.length
      return true
    }
    await assert.rejects(
      withViews(bench, (views) => queryViews(bench.engine, views, sql, { take })),
      (error) => isTailraceError(error, 'QUERY_FAILED') && reason.test(error.message),
    )
    assert.ok(rows > 100_000 && rows < 500_000, `${rows} rows`)
  }
})

test('a receiver that takes no more rows ends the statement', async () => {
  let parts = 0
  await withViews(bench, (views) =>
    queryViews(bench.engine, views, 'SELECT a.range FROM range(10000000000) a', {
      take: async () => {
        parts += 1
        return parts < 3
      },
    }),
  )
  assert.equal(parts, 3)
})

test('unsafe statements all run, and all their results are shown', async (t) => {
  t.after(() => bench.engine.run('DROP TABLE IF EXISTS memory.main.kept'))
  const results: unknown[] = []
  await withViews(bench, (views) =>
    queryViews(
      bench.engine,
      views,
      'CREATE TABLE memory.main.kept AS SELECT 1 AS a; FROM kept; BEGIN; SELECT 2 AS b, 3 AS b; COMMIT; FROM (SELECT 1 AS c) LIMIT 0',
      {
        unsafe: true,
        take: async ({ columns, rows }) => {
          results.push(rows.length === 0 ? columns : rows)
          return true
        },
      },
    ),
  )
  assert.deepEqual(results, [['a'], [[1]], ['b', 'b:1'], [[2, 3]], ['c']])
})

test('foreign types, files with the partition column and files without a column are read with the types of the table', async (t) => {
  const own = await workbench(t)
  await own.storage.prepare()
  const types: [string, unknown][] = [
    ['a_decimal', 'decimal(10,2)'],
    ['a_short', 'short'],
    ['a_byte', 'byte'],
    ['a_float', 'float'],
    ['a_binary', 'binary'],
    ['a_local_time', 'timestamp_ntz'],
    ['a_list', { type: 'array', elementType: 'integer', containsNull: true }],
    ['a_struct', { type: 'struct', fields: [{ name: 'x', type: 'long', nullable: true, metadata: {} }] }],
    ['a_map', { type: 'map', keyType: 'string', valueType: 'double', valueContainsNull: true }],
    ['Part', 'integer'],
    ['later', 'string'],
  ]
  const file = async (path: string, select: string) => {
    const [written] = await own.engine.copy(
      `COPY (${select}) TO ${sqlString(`${own.staging}/${path}`)} (FORMAT parquet, RETURN_STATS)`,
    )
    await own.storage.putFile(written!.path, path)
    return { path, size: written!.bytes, modificationTime: 1, dataChange: true }
  }
  const full = await file(
    'full.parquet',
    `SELECT 1.25::DECIMAL(10,2) AS a_decimal, 2::SMALLINT AS a_short, 3::TINYINT AS a_byte, 1.5::FLOAT AS a_float,
      '\\x01'::BLOB AS a_binary, TIMESTAMP '2026-01-01 00:00:00' AS a_local_time, [1, 2] AS a_list, {'x': 1::BIGINT} AS a_struct,
      MAP {'k': 0.5::DOUBLE} AS a_map, 99 AS part, 'not in the table' AS unknown_column, 'yes' AS later`,
  )
  const narrow = await file('narrow.parquet', 'SELECT 7::TINYINT AS a_short')
  await own.storage.putIfAbsent(
    commitPath(0),
    encodeActions([
      {
        protocol: {
          minReaderVersion: 3,
          minWriterVersion: 7,
          readerFeatures: ['timestampNtz'],
          writerFeatures: ['timestampNtz'],
        },
      },
      {
        metaData: {
          id: 'x',
          format: { provider: 'parquet', options: {} },
          schemaString: JSON.stringify({
            type: 'struct',
            fields: types.map(([name, type]) => ({ name, type, nullable: true, metadata: {} })),
          }),
          partitionColumns: ['Part'],
          configuration: {},
        },
      },
      { add: { ...full, partitionValues: { Part: '5' } } },
      { add: { ...narrow, partitionValues: { Part: '' } } },
    ]),
  )
  const described = await run(own, 'SELECT column_name, column_type FROM (DESCRIBE test.logs.pg)')
  assert.deepEqual(described.rows, [
    ['a_decimal', 'DECIMAL(10,2)'],
    ['a_short', 'SMALLINT'],
    ['a_byte', 'TINYINT'],
    ['a_float', 'FLOAT'],
    ['a_binary', 'BLOB'],
    ['a_local_time', 'TIMESTAMP'],
    ['a_list', 'INTEGER[]'],
    ['a_struct', 'STRUCT(x BIGINT)'],
    ['a_map', 'MAP(VARCHAR, DOUBLE)'],
    ['Part', 'INTEGER'],
    ['later', 'VARCHAR'],
  ])
  const all = await run(
    own,
    'SELECT a_decimal::VARCHAR, a_short, a_struct.x::INTEGER, Part, later FROM test.logs.pg ORDER BY a_short',
  )
  assert.deepEqual(all.rows, [
    ['1.25', 2, 1, 5, 'yes'],
    [null, 7, null, null, null],
  ])
  const some = await run(own, 'SELECT a_short FROM test.logs.pg WHERE part = 5')
  assert.deepEqual([some.rows, some.readings[0]?.readFiles], [[[2]], 1])
})
