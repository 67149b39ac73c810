import type { ChosenEngine } from '../../run/inspection/choose-engine.ts'
import type { Statements } from '../../run/inspection/statements.ts'
import { sqlIdentifier } from '../../tables/sql.ts'
import type { TableDeclaration } from '../../tables/table.ts'

/** A table or view that a statement can name. */
export interface CatalogEntry {
  /** As a statement has to write it. */
  readonly name: string
  readonly columns: readonly CatalogColumn[]
}

export interface CatalogColumn {
  readonly name: string
  readonly type: string
  readonly comment: string
}

/** Names that need no quotes. */
const plainName = /^[a-z_][a-z0-9_]*$/i

/**
 * Lists the tables and views of a query's engine: of the engine of this process those that it has, of another engine the
 * tables of the config.
 */
export async function readCatalog(
  { ability, targets }: ChosenEngine,
  session: Statements,
): Promise<readonly CatalogEntry[]> {
  const [first] = targets
  if (first === undefined || ability.engineOf(first) !== undefined)
    return targets.map(({ table }) => declared(table))
  const comments = new Map(
    targets.flatMap(({ table }) => table.columns.map(({ name, comment }) => [name, comment])),
  )
  const entries = new Map<string, CatalogColumn[]>()
  await session.run({
    sql: viewColumnsSql,
    take: async ({ rows }) => {
      for (const [database, schema, view, column, type] of rows as string[][]) {
        const name = nameOf(database ?? '', schema ?? '', view ?? '')
        const columns = entries.get(name) ?? []
        entries.set(name, columns)
        columns.push({ name: column ?? '', type: type ?? '', comment: comments.get(column ?? '') ?? '' })
      }
      return true
    },
  })
  return Array.from(entries, ([name, columns]) => ({ name, columns }))
}

const viewColumnsSql = `SELECT views.database_name, views.schema_name, views.view_name, column_name, data_type
  FROM duckdb_views() AS views JOIN duckdb_columns() AS columns
    ON columns.database_name = views.database_name AND columns.schema_name = views.schema_name AND columns.table_name = views.view_name
  WHERE NOT views.internal ORDER BY views.database_name = 'memory', views.database_name, views.schema_name, views.view_name, column_index`

function nameOf(database: string, schema: string, view: string): string {
  const parts = database === 'memory' ? [view] : [database, schema, view]
  return parts.map((part) => (plainName.test(part) ? part : sqlIdentifier(part))).join('.')
}

function declared({ name, columns }: TableDeclaration): CatalogEntry {
  return { name: [name.catalog, name.schema, name.table].join('.'), columns }
}
