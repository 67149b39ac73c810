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
    await engine.run(relationSql(members, set))
    for (const { name, body } of functions) {
      await engine.run(`CREATE OR REPLACE MACRO ${sqlIdentifier(name)}(s) AS ${body.duckdb}`)
    }
    for (const { name, sql } of views()) {
      if (!taken.has(name))
        await engine.run(`CREATE OR REPLACE VIEW ${sqlIdentifier(name)} AS ${inlined(sql)}`)
    }
  }
}

/**
 * SQL that creates the relation of a set, or replaces it.
 *
 * @param read the members whose rows it has. Default: all of the set
 * @param condition that its rows meet. Default: none
 */
export function relationSql(
  members: readonly SetMember[],
  set: ViewSet,
  read: (member: SetMember) => boolean = () => true,
  condition?: string,
): string {
  const tables = members.filter((member) => member.set === set)
  // Declared columns that no table has yet are NULL, so that every view can be created.
  const columns = new Map(
    tables.flatMap((table) => table.columns.map(({ name, type }) => [name, type] as const)),
  )
  const empty = [...columns].map(([name, type]) => `NULL::${sqlType(type)} AS ${sqlIdentifier(name)}`)
  const where = condition === undefined ? '' : ` WHERE ${condition}`
  const all = [
    `SELECT ${empty.join(', ')} WHERE false`,
    ...tables.filter(read).map(({ view }) => `SELECT * FROM ${view}${where}`),
  ]
  return `CREATE OR REPLACE VIEW ${sqlIdentifier(set.relation)} AS ${all.join(' UNION ALL BY NAME ')}`
}

/**
 * Parts of a view that are read twice would be materialized with all of their columns, of which a statement over the view
 * needs few: such a view takes four times as long. Spark inlines them by itself, and has no words for it.
 */
function inlined(sql: string): string {
  return sql.replaceAll(/^((?:WITH )?\w+ AS) \($/gm, '$1 NOT MATERIALIZED (')
}
