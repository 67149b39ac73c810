import type { TableDeclaration } from '../../tables/table.ts'
import { qualifiedName, quoteName, quoteText } from './sql-text.ts'
import { columnDefinitions, databricksTypes, layoutSql, type TableLayout } from './table-definition.ts'

/**
 * The statement that makes Databricks itself load what is staged: a streaming table over the folder of files, which a
 * schedule or `REFRESH STREAMING TABLE` brings up to date. Each file is taken once.
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
