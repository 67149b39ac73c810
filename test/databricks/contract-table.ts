import type { TableLayout } from '../../src/sinks/databricks/tables/definition.ts'
import { ensureTable } from '../../src/sinks/databricks/tables/live-table.ts'
import { qualifiedName } from '../../src/tables/spark-sql.ts'
import type { TableDeclaration } from '../../src/tables/table.ts'
import type { ContractBench } from './contract-bench.ts'
import { contractTable, rowText } from './contract-rows.ts'

/** Makes transactions possible, and Zerobus impossible. */
export const catalogCommits = { 'delta.feature.catalogManaged': 'supported' }

/** Creates a table with a column of each type. */
export async function createdTable(
  bench: ContractBench,
  {
    layout = { clusterBy: ['instant'] },
    properties = {},
  }: { readonly layout?: TableLayout; readonly properties?: Readonly<Record<string, string>> } = {},
): Promise<TableDeclaration> {
  const declaration = contractTable(bench.table())
  await ensureTable({
    warehouse: bench.warehouse,
    declaration,
    layout,
    properties,
    create: true,
    evolve: false,
    hasLanded: async () => false,
  })
  return declaration
}

/** @returns all values of each row in one text, in the order of their places */
export async function rowsOf(
  bench: ContractBench,
  { name }: Pick<TableDeclaration, 'name'>,
): Promise<readonly string[]> {
  const rows = await bench.query(
    `SELECT ${rowText} AS row_text FROM ${qualifiedName(name)} ORDER BY source_offset, text`,
  )
  return rows.map(({ row_text }) => String(row_text))
}
