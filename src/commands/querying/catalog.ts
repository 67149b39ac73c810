import type { ChosenEngine } from '../../run/inspection/choose-engine.ts'
import type { Statements } from '../../run/inspection/statements.ts'
import { nameInStatement, viewColumnsSql } from '../../tables/engine-views.ts'
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
        const name = nameInStatement(database ?? '', schema ?? '', view ?? '')
        const columns = entries.get(name) ?? []
        entries.set(name, columns)
        columns.push({ name: column ?? '', type: type ?? '', comment: comments.get(column ?? '') ?? '' })
      }
      return true
    },
  })
  return Array.from(entries, ([name, columns]) => ({ name, columns }))
}

function declared({ name, columns }: TableDeclaration): CatalogEntry {
  return { name: [name.catalog, name.schema, name.table].join('.'), columns }
}
