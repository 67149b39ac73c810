import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { DuckDbWarehouse, type DuckDbWarehouseOptions } from '../../../doubles/workspace/duckdb-warehouse.ts'
import { DiskVolumes } from '../../../doubles/workspace/volume-files.ts'
import { SqlFailure, type StatementRows, type Value } from '../../../doubles/workspace/warehouse-engine.ts'
import { sqlString } from '../../../src/tables/sql.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const folder = '/Volumes/lake/logs/stage'
const managed = "TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')"

interface Bench {
  readonly warehouse: DuckDbWarehouse
  query(sql: string, parameters?: Readonly<Record<string, string>>): Promise<readonly (readonly Value[])[]>
}

/** Two tables with catalog-managed commits: rows `t(k, n)` and the counter `c(id, n)`, whose one row is 0. */
async function bench(t: TestContext, options: Partial<DuckDbWarehouseOptions> = {}): Promise<Bench> {
  const volumes = new DiskVolumes(await temporaryDirectory(t))
  const warehouse = await DuckDbWarehouse.open({ volumes, ...options })
  t.after(() => warehouse.close())
  const query: Bench['query'] = async (sql, parameters = {}) => {
    const result = await warehouse.execute(sql, {
      parameters: Object.entries(parameters).map(([name, value]) => ({ name, type: 'STRING', value })),
      catalog: 'lake',
      schema: 'logs',
      signal: new AbortController().signal,
    })
    return (result as StatementRows).rows
  }
  await query('CREATE CATALOG lake')
  await query('CREATE SCHEMA lake.logs')
  await volumes.create('lake', 'logs', 'stage')
  await query(`CREATE TABLE t (k STRING, n BIGINT) ${managed}`)
  await query(`CREATE TABLE c (id STRING, n BIGINT) ${managed}`)
  await query("INSERT INTO c SELECT 'only', 0")
  const path = `${folder}/a.parquet`
  await volumes.write(path, Buffer.alloc(0))
  await warehouse.rows(
    `COPY (SELECT 'a' AS k, range AS n FROM range(3)) TO ${sqlString(volumes.onDisk(path))} (FORMAT parquet)`,
  )
  return { warehouse, query }
}

/** Moves the counter from one number to the next, and adds a row; fails when the counter is elsewhere. */
const step = (from: number): string => `BEGIN ATOMIC
  IF NOT EXISTS (SELECT 1 FROM c WHERE n = ${from}) THEN
    SIGNAL SQLSTATE '45T01' SET MESSAGE_TEXT = 'moved';
  END IF;
  INSERT INTO t (k, n) SELECT 'step', ${from};
  UPDATE c SET n = n + 1 WHERE id = 'only';
END`

function failure(errorClass: RegExp, sqlState: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SqlFailure, String(error))
    assert.match(error.errorClass, errorClass)
    assert.equal(error.sqlState, sqlState, error.message)
    return true
  }
}

test('a transaction commits all of its statements, or none when one of them fails or signals', async (t) => {
  const { query } = await bench(t)
  await query(step(0))
  await assert.rejects(query(step(0)), failure(/^USER_RAISED_EXCEPTION$/, '45T01'))
  const failing =
    "BEGIN ATOMIC INSERT INTO t (k, n) SELECT 'x', 1; INSERT INTO c (id, n) SELECT 'x', CAST('no' AS BIGINT); END"
  await assert.rejects(query(failing), failure(/^CAST_INVALID_INPUT$/, '22018'))
  assert.deepEqual(await query('SELECT k, n FROM t'), [['step', 0n]])
  assert.deepEqual(await query('SELECT id, n FROM c'), [['only', 1n]])
})

test('of two transactions on one row, the one that commits second fails and leaves nothing', async (t) => {
  const { query, warehouse } = await bench(t)
  const hold = warehouse.holdNext(/^BEGIN ATOMIC/)
  const first = query(step(0))
  await hold.reached
  await query(step(0))
  hold.release()
  await assert.rejects(first, failure(/^DELTA_CONCURRENT_APPEND$/, '2D521'))
  assert.deepEqual(await query('SELECT k, n FROM t'), [['step', 0n]])
  assert.deepEqual(await query('SELECT n FROM c'), [[1n]])
})

test('a transaction reads one snapshot, and adding rows to a table conflicts with no other addition', async (t) => {
  const { query, warehouse } = await bench(t)
  const hold = warehouse.holdNext(/^BEGIN ATOMIC/)
  const counting = query("BEGIN ATOMIC INSERT INTO t (k, n) SELECT 'seen', count(*) FROM c; END")
  await hold.reached
  await query("INSERT INTO t (k, n) SELECT 'other', 7")
  hold.release()
  await counting
  assert.deepEqual(await query('SELECT k, n FROM t ORDER BY k'), [
    ['other', 7n],
    ['seen', 1n],
  ])
})

test('two transactions that add the same new key both commit: no page says that they conflict', async (t) => {
  const { query, warehouse } = await bench(t)
  const add = `BEGIN ATOMIC
    MERGE INTO c USING (SELECT 'new' AS id, 1 AS n) AS s ON c.id = s.id WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, s.n);
    INSERT INTO t (k, n) SELECT 'twice', 1; END`
  const hold = warehouse.holdNext(/^BEGIN ATOMIC/)
  const first = query(add)
  await hold.reached
  await query(add)
  hold.release()
  await first
  assert.deepEqual(await query("SELECT count(*) AS n FROM t WHERE k = 'twice'"), [[2n]])
})

test('a transaction reads a file with the hint or by COPY INTO, where the warehouse does one of both only, too', async (t) => {
  const hinted = `BEGIN ATOMIC INSERT INTO t (k, n) SELECT k, n FROM read_files('${folder}/a.parquet', format => 'parquet') WITH (allow_nontransactional_reads = true); END`
  const copy = `BEGIN ATOMIC COPY INTO t FROM (SELECT k, n FROM '${folder}') FILEFORMAT = PARQUET FILES = ('a.parquet'); END`
  const unsupported = failure(/^TRANSACTION_NOT_SUPPORTED\./, '0A000')
  for (const [reads, works, fails] of [
    ['files', hinted, copy],
    ['copy', copy, hinted],
  ] as const) {
    const { query } = await bench(t, { transactionReads: reads })
    await assert.rejects(query(fails), unsupported)
    await query(works)
    assert.deepEqual(await query('SELECT count(*) AS n, sum(n) AS s FROM t'), [[3n, 3n]])
  }
  const { query } = await bench(t)
  await assert.rejects(query(hinted.replace(/WITH \(.*?\)/, '')), unsupported)
  await assert.rejects(
    query(hinted.replace('a.parquet', 'none.parquet')),
    failure(/^CF_PATH_DOES_NOT_EXIST_FOR_READ_FILES$/, '42K03'),
  )
  await query(copy)
  await query(copy)
  assert.deepEqual(await query('SELECT count(*) AS n FROM t'), [[3n]])
})

test('a table without catalog-managed commits, or with a row filter or a mask, is in no transaction', async (t) => {
  const { query, warehouse } = await bench(t)
  const unsupported = failure(/^TRANSACTION_NOT_SUPPORTED\./, '0A000')
  await query('CREATE TABLE plain (k STRING)')
  await assert.rejects(query("BEGIN ATOMIC INSERT INTO plain SELECT 'x'; END"), unsupported)
  warehouse.restrict('lake.logs.t', { rowFilter: 'n > 0' })
  await assert.rejects(query("BEGIN ATOMIC INSERT INTO t SELECT 'x', 1; END"), unsupported)
  warehouse.restrict('lake.logs.t', { masks: new Map([['k', "'***'"]]) })
  await assert.rejects(query("BEGIN ATOMIC INSERT INTO t SELECT 'x', 1; END"), unsupported)
  const old = await bench(t, { catalogCommits: false }).catch((error: unknown) => error)
  assert.ok(failure(/^DELTA_UNSUPPORTED_FEATURES_IN_CONFIG$/, '56038')(old))
})

test('REPLACE WHERE exchanges rows in one step, refuses rows outside of its condition, and fails when another one was first', async (t) => {
  const { query, warehouse } = await bench(t)
  await query("INSERT INTO t SELECT 'old', 1")
  await query("INSERT INTO t SELECT 'kept', 9")
  const replace = "INSERT INTO t REPLACE WHERE n >= CAST(:from AS BIGINT) AND n < 5 SELECT 'new' AS k, 2 AS n"
  assert.deepEqual(await query(replace, { from: '1' }), [[2n, 1n]])
  assert.deepEqual(await query('SELECT k, n FROM t ORDER BY n'), [
    ['new', 2n],
    ['kept', 9n],
  ])
  await assert.rejects(query(replace, { from: '3' }), failure(/^DELTA_REPLACE_WHERE_MISMATCH$/, '44000'))
  const hold = warehouse.holdNext(/REPLACE/)
  const first = query(replace, { from: '1' })
  await hold.reached
  await query(replace, { from: '1' })
  hold.release()
  await assert.rejects(first, failure(/^DELTA_CONCURRENT_APPEND$/, '2D521'))
  assert.deepEqual(await query('SELECT k, n FROM t ORDER BY n'), [
    ['new', 2n],
    ['kept', 9n],
  ])
})

test('a row filter hides rows from reads and changes, a mask hides values, and information_schema shows both', async (t) => {
  const { query, warehouse } = await bench(t)
  await query("INSERT INTO t SELECT 'a', 1")
  warehouse.restrict('lake.logs.t', { rowFilter: 'n > 5', masks: new Map([['k', "'***'"]]) })
  assert.deepEqual(await query('SELECT count(*) AS n FROM t'), [[0n]])
  assert.deepEqual(await query('DELETE FROM t WHERE n = 1'), [[0n]])
  await query("INSERT INTO t SELECT 'b', 6")
  assert.deepEqual(await query('SELECT k, n FROM t'), [['***', 6n]])
  assert.deepEqual(
    await query("SELECT filter_name FROM lake.information_schema.row_filters WHERE table_name = 't'"),
    [['a_filter']],
  )
  assert.deepEqual(
    await query("SELECT column_name FROM lake.information_schema.column_masks WHERE table_name = 't'"),
    [['k']],
  )
})

test('a table has an id until it is dropped, and a history of who changed it', async (t) => {
  const { query, warehouse } = await bench(t)
  const idOf = async (): Promise<Value | undefined> => (await query('DESCRIBE DETAIL t'))[0]?.[1]
  const id = await idOf()
  await query("INSERT INTO t SELECT 'a', 1")
  await warehouse.changedByOthers('lake.logs.t', 'RESTORE', 'DELETE FROM lake.logs.t')
  const history = await query('DESCRIBE HISTORY t LIMIT 2')
  assert.deepEqual(
    history.map(([version, , , operation]) => [version, operation]),
    [
      [2n, 'RESTORE'],
      [1n, 'WRITE'],
    ],
  )
  assert.equal(await idOf(), id)
  await query('DROP TABLE t')
  await query('CREATE TABLE t (k STRING, n BIGINT)')
  assert.notEqual(await idOf(), id)
})

test('a guard that refuses the second commit lets the later COPY INTO of a file load it, and fails the earlier', async (t) => {
  const { query, warehouse } = await bench(t, { copyGuard: 'refuses-second-commit' })
  const copy = `COPY INTO t FROM (SELECT k, n FROM '${folder}') FILEFORMAT = PARQUET FILES = ('a.parquet')`
  const hold = warehouse.holdNext(/^COPY INTO/)
  const first = query(copy)
  await hold.reached
  assert.deepEqual(await query(copy), [[3n, 3n, 0n]])
  hold.release()
  await assert.rejects(first, failure(/^COPY_INTO_DUPLICATED_FILES_COPY_NOT_ALLOWED$/, '25000'))
  assert.deepEqual(await query('SELECT count(*) AS n FROM t'), [[3n]])
})
