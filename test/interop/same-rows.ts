import { readTable } from '../../src/sinks/delta/live-files.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/local-delta-storage.ts'
import { sqlString } from '../../src/sinks/duckdb.ts'
import { columns, type Workbench } from '../sinks/delta/support.ts'

/** All rows of the test's table as DuckDB reads them from the live files, as a SQL subquery. */
export async function rowsAsSql(bench: Workbench, table = bench.table): Promise<string> {
  const storage = new LocalDeltaStorage(table)
  const contents = await readTable(storage, bench.engine)
  const parts = (contents?.files ?? []).map(async (file) => {
    const { path } = await storage.localFile(file.path)
    const date = file.partitionValues.event_date
    const value = date == null ? 'NULL' : sqlString(date)
    const partition = 'event_date' in file.partitionValues ? `, ${value}::DATE AS event_date` : ''
    return `SELECT *${partition} FROM read_parquet(${sqlString(path)}, hive_partitioning = false)`
  })
  return `(${(await Promise.all(parts)).join(' UNION ALL BY NAME ')})`
}

/** Compares the rows that another engine wrote to Parquet with the live rows, value by value. */
export async function compareRows(bench: Workbench, rows: string, table = bench.table) {
  const names = columns.map(({ name }) => name).join(', ')
  const ours = `SELECT ${names} FROM ${await rowsAsSql(bench, table)}`
  const theirs = `SELECT ${names} FROM read_parquet(${sqlString(rows)})`
  const [counts] = await bench.engine.rows(
    `SELECT (SELECT count(*) FROM (${theirs}))::INTEGER AS seen,
      (SELECT count(*) FROM (${ours} EXCEPT ALL ${theirs}))::INTEGER AS missing,
      (SELECT count(*) FROM (${theirs} EXCEPT ALL ${ours}))::INTEGER AS surplus`,
  )
  return counts
}
