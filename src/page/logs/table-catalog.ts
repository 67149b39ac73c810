import { nameInStatement, viewColumnsSql } from '../../tables/engine-views.ts'
import { logViews } from '../../tables/postgres/views/log-views.ts'
import type { TableDeclaration } from '../../tables/table.ts'
import type { RelationEntry, TableCatalog, TableEntry } from '../api.ts'
import { recordedRange } from './found-tables.ts'
import type { LogTables } from './log-tables.ts'

/** Functions of the engine that are useful in questions about logs; the editor completes them. */
const functionsSql = `SELECT DISTINCT function_name AS name FROM duckdb_functions()
  WHERE function_type IN ('scalar', 'aggregate', 'macro') AND regexp_matches(function_name, '^[a-z][a-z0-9_]*$')
  ORDER BY name`

/** Lists everything that a statement can name. */
export async function readTableCatalog(
  tables: LogTables,
  declarations: readonly TableDeclaration[],
  signal: AbortSignal,
): Promise<TableCatalog> {
  const found = await tables.find()
  const logs = tables.all.map(({ id, name }): TableEntry => {
    const files = found.find((table) => table.id === id)?.files
    const range = files && recordedRange(found.filter((table) => table.id === id))
    return {
      id,
      name,
      exists: files !== undefined,
      rows: files?.reduce((sum, { rows = 0 }) => sum + rows, 0),
      fromMs: range?.fromMs,
      toMs: range?.toMs,
      bytes: files?.reduce((sum, { bytes }) => sum + bytes, 0),
      files: files?.length,
    }
  })
  const comments = new Map(
    declarations.flatMap(({ columns }) => columns.map(({ name, comment }) => [name, comment] as const)),
  )
  const views = new Map(logViews.views().map(({ name, comment }) => [name, comment]))
  const relations = new Map<string, RelationEntry & { columns: RelationEntry['columns'][number][] }>()
  for (const row of (await tables.rows(viewColumnsSql, signal)).rows) {
    const name = nameInStatement(String(row.database), String(row.schema), String(row.view))
    const comment = views.get(name)
    const relation = relations.get(name) ?? {
      name,
      kind: comment === undefined ? 'table' : 'view',
      comment: comment ?? '',
      columns: [],
    }
    relations.set(name, relation)
    const column = String(row.column)
    relation.columns.push({ name: column, type: String(row.type), comment: comments.get(column) ?? '' })
  }
  const functions = (await tables.rows(functionsSql, signal)).rows.map(({ name }) => String(name))
  return { logs, relations: [...relations.values()], functions }
}
