import { TailraceError } from '../../errors.ts'
import type { Column, ColumnType, TableDeclaration, TableName } from '../../tables/table.ts'
import { provenanceColumns } from '../../tables/table.ts'
import { qualifiedName, quoteName, quoteText } from './sql-text.ts'

/** How a table that is created is laid out. */
export type TableLayout =
  | { readonly clusterBy: 'auto' | readonly string[] }
  | { readonly partitionBy: readonly string[] }

/** https://docs.databricks.com/sql/language-manual/sql-ref-datatypes */
export const databricksTypes: Readonly<Record<ColumnType, string>> = {
  string: 'STRING',
  long: 'BIGINT',
  integer: 'INT',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  date: 'DATE',
  timestamp: 'TIMESTAMP',
}

/** Columns that no row lacks. The others are nullable: a batch must not fail for a value that is missing. */
export const requiredColumns: ReadonlySet<string> = new Set([
  ...provenanceColumns.map(({ name }) => name),
  'raw',
])

/**
 * The statement that creates a table from its declaration, and does nothing where there is one.
 *
 * @throws CONFIG_INVALID when the layout names a column that the table does not have
 */
export function createTableSql(
  { name, columns }: Pick<TableDeclaration, 'name' | 'columns'>,
  {
    layout,
    properties,
  }: { readonly layout: TableLayout; readonly properties: Readonly<Record<string, string>> },
): string {
  const entries = Object.entries(properties).map(([key, value]) => `${quoteText(key)} = ${quoteText(value)}`)
  return [
    `CREATE TABLE IF NOT EXISTS ${qualifiedName(name)} (\n${columnDefinitions(columns)}\n)`,
    'USING DELTA',
    layoutSql(layout, columns),
    "COMMENT 'PostgreSQL server logs, landed by Tailrace.'",
    ...(entries.length === 0 ? [] : [`TBLPROPERTIES (${entries.join(', ')})`]),
  ].join('\n')
}

/** The statement that adds columns, all nullable: rows that are there have no values for them. */
export function addColumnsSql(name: TableName, columns: readonly Column[]): string {
  const list = columns.map(
    (column) =>
      `${quoteName(column.name)} ${databricksTypes[column.type]} COMMENT ${quoteText(column.comment)}`,
  )
  return `ALTER TABLE ${qualifiedName(name)} ADD COLUMNS (${list.join(', ')})`
}

/** The columns of a table as its definition lists them, one to a line. */
export function columnDefinitions(columns: readonly Column[]): string {
  const lines = columns.map(({ name, type, comment }) => {
    const required = requiredColumns.has(name) ? ' NOT NULL' : ''
    return `  ${quoteName(name)} ${databricksTypes[type]}${required} COMMENT ${quoteText(comment)}`
  })
  return lines.join(',\n')
}

/** @throws CONFIG_INVALID when the layout names a column that the table does not have */
export function layoutSql(layout: TableLayout, columns: readonly Column[]): string {
  if ('clusterBy' in layout && layout.clusterBy === 'auto') return 'CLUSTER BY AUTO'
  const [keyword, names] =
    'clusterBy' in layout
      ? ['CLUSTER BY', layout.clusterBy as readonly string[]]
      : ['PARTITIONED BY', layout.partitionBy]
  const unknown = names.find((name) => !columns.some((column) => column.name === name))
  if (unknown !== undefined) {
    throw new TailraceError(
      'CONFIG_INVALID',
      `sink.layout names the column ${unknown}, which the table lacks.`,
    )
  }
  return `${keyword} (${names.map(quoteName).join(', ')})`
}
