import type { Column } from '../../../tables/table.ts'
import type { ViewSet } from '../../../tables/views.ts'
import { type EmbeddedEngine, sqlIdentifier } from '../../encoding/engine.ts'
import { sqlType } from '../protocol/schema.ts'

/** A table of a set, in the engine. */
export interface SetMember {
  readonly pipeline: string
  readonly set: ViewSet
  /** The declared columns. */
  readonly columns: readonly Column[]
  /** Name of its view, as SQL. */
  readonly view: string
}

/**
 * Creates the views of view sets, beside the views of the tables.
 *
 * @param taken names that the views must not hide, in lower case: those of the tables
 */
export async function createSetViews(
  engine: EmbeddedEngine,
  members: readonly SetMember[],
  taken: ReadonlySet<string>,
): Promise<void> {
  for (const set of new Set(members.map((member) => member.set))) {
    const { relation, functions, views } = set
    if (taken.has(relation)) continue
    await engine.run(relationSql(set, relationRowsSql(members, set)))
    for (const { name, body } of functions) {
      await engine.run(`CREATE OR REPLACE MACRO ${sqlIdentifier(name)}(s) AS ${body.duckdb}`)
    }
    for (const { name, sql } of views()) {
      if (!taken.has(name)) await engine.run(viewSql(name, sql))
    }
  }
}

/**
 * SQL of the rows of a set's tables, with all of their columns.
 *
 * @param read the members whose rows they are. Default: all of the set
 */
export function relationRowsSql(
  members: readonly SetMember[],
  set: ViewSet,
  read: readonly SetMember[] = members,
): string {
  // Declared columns that no table has yet are NULL, so that every view can be created.
  const columns = new Map(
    members
      .filter((table) => table.set === set)
      .flatMap((table) => table.columns.map(({ name, type }) => [name, type] as const)),
  )
  const empty = [...columns].map(([name, type]) => `NULL::${sqlType(type)} AS ${sqlIdentifier(name)}`)
  const all = [
    `SELECT ${empty.join(', ')} WHERE false`,
    ...read.filter((table) => table.set === set).map(({ view }) => `SELECT * FROM ${view}`),
  ]
  return all.join(' UNION ALL BY NAME ')
}

/** SQL that creates the relation of a set with the given rows, or replaces it. */
export function relationSql({ relation }: ViewSet, rows: string): string {
  return `CREATE OR REPLACE VIEW ${sqlIdentifier(relation)} AS ${rows}`
}

/** SQL that creates a view of a set, or replaces it. */
export function viewSql(name: string, sql: string): string {
  return `CREATE OR REPLACE VIEW ${sqlIdentifier(name)} AS ${inlined(sql)}`
}

/**
 * Parts of a view that are read twice would be materialized with all of their columns, of which a statement over the view
 * needs few: such a view takes four times as long. Spark inlines them by itself, and has no words for it.
 */
function inlined(sql: string): string {
  return sql.replaceAll(/^((?:WITH )?\w+ AS) \($/gm, '$1 NOT MATERIALIZED (')
}
