import { readTable as readContents } from '../../src/sinks/delta/query/read-table.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { type JsonRow, sqlString } from '../../src/sinks/encoding/engine.ts'
import { withEngine } from '../../src/sinks/encoding/engine-session.ts'

/** One row of a table, as far as most tests look. */
export interface LandedRow {
  readonly blob: string
  readonly offset: number
  readonly length: number
  readonly index: number
  readonly raw: string
  readonly status: string
}

/** Runs a SELECT over a table's newest version; `from` stands for the table in it. */
export async function selectFrom(
  tableDirectory: string,
  select: (from: string) => string,
): Promise<readonly JsonRow[]> {
  return withEngine(async (engine) => {
    const storage = new LocalDeltaStorage(tableDirectory)
    const contents = await readContents(storage, engine)
    if (contents === undefined || contents.files.length === 0) return []
    const paths = await Promise.all(
      contents.files.map(async ({ path }) => (await storage.localFile(path)).path),
    )
    const list = paths.map(sqlString).join(', ')
    return engine.rows(select(`read_parquet([${list}], hive_partitioning = false, union_by_name = true)`))
  })
}

/** All rows of a table in the order of their places; none when there is no table. */
export async function readTable(tableDirectory: string): Promise<readonly LandedRow[]> {
  return (await selectFrom(tableDirectory, landedRowsSql)).map(landedRow)
}

/** SQL of the rows of a relation in the order of their places; both engines understand it. */
export function landedRowsSql(relation: string): string {
  return `SELECT source_blob, source_offset, source_length, source_index, raw, parse_status FROM ${relation}
    ORDER BY source_blob, source_generation, source_offset, source_index`
}

/** @param row a row of `landedRowsSql`, however its engine writes integers */
export function landedRow(row: Readonly<Record<string, unknown>>): LandedRow {
  return {
    blob: String(row.source_blob),
    offset: Number(row.source_offset),
    length: Number(row.source_length),
    index: Number(row.source_index),
    raw: String(row.raw),
    status: String(row.parse_status),
  }
}
