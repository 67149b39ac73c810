import { sqlIdentifier } from './sql.ts'

/** Names that need no quotes. */
const plainName = /^[a-z_][a-z0-9_]*$/i

/** SQL of the columns of all tables and views that a statement of the embedded engine can name. */
export const viewColumnsSql = `SELECT views.database_name AS database, views.schema_name AS schema, views.view_name AS view,
    column_name AS "column", data_type AS type
  FROM duckdb_views() AS views JOIN duckdb_columns() AS columns
    ON columns.database_name = views.database_name AND columns.schema_name = views.schema_name AND columns.table_name = views.view_name
  WHERE NOT views.internal
  ORDER BY views.database_name = 'memory', views.database_name, views.schema_name, views.view_name, column_index`

/** @returns the name of a table or view as a statement has to write it */
export function nameInStatement(database: string, schema: string, view: string): string {
  const parts = database === 'memory' ? [view] : [database, schema, view]
  return parts.map((part) => (plainName.test(part) ? part : sqlIdentifier(part))).join('.')
}
