import { TailraceError } from '../../../errors.ts'
import { qualifiedName, quoteName, quoteText } from '../../../tables/spark-sql.ts'
import type { Column, ColumnType, TableDeclaration, TableName } from '../../../tables/table.ts'

/** Physical layout of a new table. */
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

/**
 * Formats the statement that creates a table from its declaration. It does nothing if the table exists.
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
    `CREATE TABLE IF NOT EXISTS ${qualifiedName(name)} (\n${columnDefinitions(columns, typeOfCompared)}\n)`,
    'USING DELTA',
    layoutSql(layout, columns),
    "COMMENT 'PostgreSQL server logs, landed by Tailrace.'",
    entries.length === 0 ? undefined : `TBLPROPERTIES (${entries.join(', ')})`,
  ]
    .filter((line) => line !== undefined)
    .join('\n')
}

/** Formats the statement that adds columns, all nullable because existing rows have no values for them. */
export function addColumnsSql(name: TableName, columns: readonly Column[]): string {
  const list = columns.map(
    (column) =>
      `${quoteName(column.name)} ${databricksTypes[column.type]} COMMENT ${quoteText(column.comment)}`,
  )
  return `ALTER TABLE ${qualifiedName(name)} ADD COLUMNS (${list.join(', ')})`
}

/** Columns that statements compare: two blobs whose names differ in case must not be one. */
export const comparedColumns: ReadonlySet<string> = new Set(['source_blob', 'source_generation'])

/**
 * Text that is compared by bytes, whatever the default collation of the schema is.
 *
 * https://docs.databricks.com/sql/language-manual/sql-ref-collation (read 2026-11-29)
 */
export const binaryText = 'STRING COLLATE UTF8_BINARY'

function typeOfCompared({ name, type }: Column): string {
  return comparedColumns.has(name) ? binaryText : databricksTypes[type]
}

/** Formats column definitions, one per line. */
function columnDefinitions(
  columns: readonly Column[],
  typeOf: (column: Column) => string = ({ type }) => databricksTypes[type],
): string {
  const lines = columns.map((column) => {
    const { name, comment, isRequired } = column
    // A missing value of any other column must not fail a batch.
    const required = isRequired === true ? ' NOT NULL' : ''
    return `  ${quoteName(name)} ${typeOf(column)}${required} COMMENT ${quoteText(comment)}`
  })
  return lines.join(',\n')
}

/** @throws CONFIG_INVALID when the layout names a column that the table does not have */
function layoutSql(layout: TableLayout, columns: readonly Column[]): string {
  if ('clusterBy' in layout && layout.clusterBy === 'auto') return 'CLUSTER BY AUTO'
  const [keyword, names] =
    'clusterBy' in layout
      ? ['CLUSTER BY', layout.clusterBy as readonly string[]]
      : ['PARTITIONED BY', layout.partitionBy]
  const unknown = names.find((name) => !columns.some((column) => column.name === name))
  if (unknown !== undefined) {
    throw new TailraceError(
      'CONFIG_INVALID',
      `sink.layout names the column ${unknown}, which the table does not have.`,
    )
  }
  return `${keyword} (${names.map(quoteName).join(', ')})`
}

/**
 * Formats the statement that makes Databricks load staged files itself: a streaming table over their folder, updated by a
 * schedule or `REFRESH STREAMING TABLE`. It loads each file once.
 *
 * https://docs.databricks.com/sql/language-manual/sql-ref-syntax-ddl-create-streaming-table and
 * https://docs.databricks.com/sql/language-manual/functions/read_files
 */
export function streamingTableSql(
  declaration: Pick<TableDeclaration, 'name' | 'columns'>,
  { layout, folder }: { readonly layout: TableLayout; readonly folder: string },
): string {
  const { name, columns } = declaration
  const schema = columns
    .map((column) => `${quoteName(column.name)} ${databricksTypes[column.type]}`)
    .join(', ')
  return [
    `CREATE OR REFRESH STREAMING TABLE ${qualifiedName(name)} (\n${columnDefinitions(columns)}\n)`,
    layoutSql(layout, columns),
    `AS SELECT ${columns.map((column) => quoteName(column.name)).join(', ')}`,
    `FROM STREAM read_files(${quoteText(`${folder}/`)}, format => 'parquet', schema => ${quoteText(schema)})`,
  ].join('\n')
}

/**
 * Quotes a path without escapes, for `PUT`, `LIST` and `REMOVE`, which may not process escapes in paths.
 *
 * @returns undefined for a path that would need an escape: with a quote, a backslash, `${` or a control character
 */
export function quotePath(path: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern has to find them
  return /['"\\\u0000-\u001f\u007f]|\$\{/.test(path) ? undefined : `'${path}'`
}
