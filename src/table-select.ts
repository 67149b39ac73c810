import type { LiveFile, TableColumn, TableContents } from './sinks/delta/live-files.ts'
import { sqlIdentifier, sqlString } from './sinks/duckdb.ts'

/** @returns the engine's type of a column; one that it has no match for is shown as text. */
export function columnSql({ sqlType }: TableColumn): string {
  return sqlType ?? 'VARCHAR'
}

/**
 * SQL of a SELECT of every live row of some files of a table, with the table's columns and types: one branch for each
 * combination of partition values, because these are in the log and not in the files.
 *
 * @param relationOf makes the rows of some of the files a relation, as SQL
 */
export async function tableSelect(
  contents: TableContents,
  files: readonly LiveFile[],
  relationOf: (files: readonly LiveFile[]) => Promise<string>,
): Promise<string> {
  const columns = contents.columns.map(
    (column) => `${sqlIdentifier(column.name)}::${columnSql(column)} AS ${sqlIdentifier(column.name)}`,
  )
  const partitions = new Map<string, LiveFile[]>()
  for (const file of files) {
    const key = JSON.stringify(file.partitionValues)
    const some = partitions.get(key) ?? []
    partitions.set(key, some)
    some.push(file)
  }
  const branches: string[] = []
  for (const some of partitions.values()) branches.push(branchOf(contents, some, await relationOf(some)))
  // The empty branch gives a column that no file has its name and type.
  const empty = contents.columns.map(
    (column) => `NULL::${columnSql(column)} AS ${sqlIdentifier(column.name)}`,
  )
  const all = [`SELECT ${empty.join(', ')} WHERE false`, ...branches]
  return `SELECT ${columns.join(', ')} FROM (${all.join(' UNION ALL BY NAME ')})`
}

function branchOf(
  { columns, partitionColumns }: TableContents,
  files: readonly LiveFile[],
  relation: string,
): string {
  if (partitionColumns.length === 0) return `FROM ${relation}`
  const values = partitionColumns.map((name) => {
    // An empty text stands for NULL as well.
    const value = files[0]?.partitionValues[name] || null
    const column = columns.find((one) => one.name === name)
    const type = column === undefined ? 'VARCHAR' : columnSql(column)
    return `${value === null ? 'NULL' : sqlString(value)}::${type} AS ${sqlIdentifier(name)}`
  })
  // Some writers keep the partition columns in the files too; the log's word counts.
  const excluded = partitionColumns.map((name) => sqlString(name.toLowerCase())).join(', ')
  return `SELECT COLUMNS(name -> lower(name) NOT IN (${excluded})), ${values.join(', ')} FROM ${relation}`
}
