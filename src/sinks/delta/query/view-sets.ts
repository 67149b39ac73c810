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

/** Statements that name no view, and may list all of them. */
const readsCatalog = /\b(?:show|describe|pragma|information_schema|(?:duckdb|pg|sqlite)_\w+)\b/i

/**
 * The views of view sets in an engine, beside the views of its tables. A view is created when a statement names it: to
 * create all of them takes the engine longer than most statements.
 */
export class SetViews {
  readonly #engine: EmbeddedEngine
  /** SQL of the views that are not created yet, by name, in an order in which they can be created. */
  readonly #missing: Map<string, string>

  private constructor(engine: EmbeddedEngine, missing: Map<string, string>) {
    this.#engine = engine
    this.#missing = missing
  }

  /**
   * Creates the relations and the functions of the sets.
   *
   * @param taken names that the views must not hide, in lower case: those of the tables
   */
  static async open(
    engine: EmbeddedEngine,
    members: readonly SetMember[],
    taken: ReadonlySet<string>,
  ): Promise<SetViews> {
    const missing = new Map<string, string>()
    for (const set of new Set(members.map((member) => member.set))) {
      const { relation, functions, views } = set
      if (taken.has(relation)) continue
      await engine.run(relationSql(set, relationRowsSql(members, set)))
      for (const { name, body } of functions) {
        await engine.run(`CREATE OR REPLACE MACRO ${sqlIdentifier(name)}(s) AS ${body.duckdb}`)
      }
      for (const { name, sql } of views()) if (!taken.has(name)) missing.set(name, sql)
    }
    return new SetViews(engine, missing)
  }

  /** Creates the views that the text of a statement names, and the views that these read. */
  async create(statement: string): Promise<void> {
    if (readsCatalog.test(statement)) await this.createAll()
    else await this.#create(wordsOf(statement))
  }

  /** @returns whether there were any left to create */
  async createAll(): Promise<boolean> {
    const isNew = this.#missing.size > 0
    await this.#create(new Set(this.#missing.keys()))
    return isNew
  }

  async #create(names: ReadonlySet<string>): Promise<void> {
    const wanted = new Set<string>()
    // Each reads only views before it.
    for (const [name, sql] of [...this.#missing].reverse())
      if (names.has(name) || wanted.has(name)) {
        wanted.add(name)
        for (const [, read] of sql.matchAll(/\b(?:FROM|JOIN) (\w+)/g)) wanted.add(read!)
      }
    for (const [name, sql] of this.#missing) {
      if (!wanted.has(name)) continue
      await this.#engine.run(viewSql(name, sql))
      this.#missing.delete(name)
    }
  }
}

/** The words of a text in lower case, as the engine compares names. */
function wordsOf(text: string): ReadonlySet<string> {
  return new Set(text.toLowerCase().match(/\w+/g))
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
