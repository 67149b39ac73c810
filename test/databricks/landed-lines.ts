import assert from 'node:assert/strict'
import type { DuckDbWarehouse } from '../../doubles/workspace/duckdb-warehouse.ts'
import { assertLandedOnce, mirroredOffset } from '../support/landed-once.ts'
import type { TestStorage } from '../support/storage.ts'
import { type LandedRow, landedRow, landedRowsSql } from '../support/table-rows.ts'

/**
 * All rows of a relation in the order of their places.
 *
 * @param relation what DuckDB reads from: a table's name, or files
 */
export async function rowsIn(warehouse: DuckDbWarehouse, relation: string): Promise<readonly LandedRow[]> {
  return (await warehouse.rows(landedRowsSql(relation))).map(landedRow)
}

/** Asserts that each complete line of the blobs is there once, and that the offset file says exactly that much. */
export async function assertEachLineOnce(
  storage: TestStorage,
  blobs: readonly string[],
  { rows, offsetPath }: { readonly rows: readonly LandedRow[]; readonly offsetPath: string },
): Promise<{ rows: number; bytes: number }> {
  const totals = { rows: rows.length, bytes: 0 }
  for (const blob of blobs) {
    const end = assertLandedOnce(blob, await storage.content(blob), rows)
    assert.equal(await mirroredOffset(offsetPath, blob), end, `${blob}: offset`)
    totals.bytes += end
  }
  return totals
}
