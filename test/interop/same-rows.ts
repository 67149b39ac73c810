import { randomUUID } from 'node:crypto'
import { LiveRows, readDeletedRows } from '../../src/sinks/delta/files/live-rows.ts'
import { readTable } from '../../src/sinks/delta/query/read-table.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { sqlString } from '../../src/sinks/encoding/engine.ts'
import { columns, type Workbench } from '../sinks/delta/support.ts'

/**
 * All rows of the test's table as DuckDB reads them from the live files, as a SQL subquery; each has the place of its
 * file in the list as `file`.
 */
export async function rowsAsSql(bench: Workbench, table = bench.table): Promise<string> {
  const storage = new LocalDeltaStorage(table)
  const { files = [] } = (await readTable(storage, bench.engine)) ?? {}
  const deleted = await readDeletedRows(storage, files)
  const rows = new LiveRows(bench.engine, randomUUID())
  const parts: string[] = []
  for (const [place, file] of files.entries()) {
    const { path } = await storage.localFile(file.path)
    const date = file.partitionValues.event_date
    const value = date == null ? 'NULL' : sqlString(date)
    const partition = 'event_date' in file.partitionValues ? `, ${value}::DATE AS event_date` : ''
    const relation = await rows.relation([{ path, deleted: deleted.get(file.path) }])
    parts.push(`SELECT ${place} AS file, *${partition} FROM ${relation}`)
  }
  return `(${parts.join(' UNION ALL BY NAME ')})`
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
