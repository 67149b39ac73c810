import { qualifiedName, quoteText } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import { keyColumns } from '../tables/key-columns.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'

/** Each file is one query of a UNION. */
const maxFilesPerStatement = 20

/**
 * Finds the staged files of which a table has every row, whoever loaded it. Removing such a file loses nothing, even if a
 * stream has not taken it yet.
 *
 * https://docs.databricks.com/sql/language-manual/functions/read_files (read 2026-11-29)
 *
 * @param folder the staging folder, to which names are relative
 */
export async function ingestedFiles(
  warehouse: Warehouse,
  table: TableName,
  folder: string,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  const ingested = new Set<string>()
  for (let from = 0; from < names.length; from += maxFilesPerStatement) {
    const files = names.slice(from, from + maxFilesPerStatement)
    const rows = await warehouse.execute({
      label: 'find files that are loaded',
      sql: files.map((name) => missingRowsSql(table, folder, name)).join('\nUNION ALL '),
      repeatable: true,
    })
    for (const { name, missing } of rows) if (Number(missing) === 0) ingested.add(String(name))
  }
  return ingested
}

function missingRowsSql(table: TableName, folder: string, name: string): string {
  const isThere = keyColumns.map((key) => `t.${key} = f.${key}`).join(' AND ')
  return `SELECT ${quoteText(name)} AS name, count(*) AS missing FROM read_files(${quoteText(`${folder}/${name}`)}, format => 'parquet') AS f
WHERE NOT EXISTS (SELECT 1 FROM ${qualifiedName(table)} AS t WHERE ${isThere})`
}
