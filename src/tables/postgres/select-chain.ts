import { sqlIdentifier } from '../sql.ts'
import type { ProjectionOptions } from '../table.ts'

/** SQL of columns by name. */
export type SqlColumns = Readonly<Record<string, string>>

/**
 * A chain of SELECTs, each of which adds columns to the previous one, so that no expression is evaluated twice.
 *
 * With `store` the chain is cut into steps, each a statement of its own: a step then holds only the texts that it needs.
 */
export class SelectChain {
  readonly #kept: readonly string[]
  readonly #store: ProjectionOptions['store']
  #from: string

  /**
   * @param from SQL of a relation
   * @param kept columns of it that every step keeps; one is `raw`
   */
  constructor(from: string, kept: readonly string[], store: ProjectionOptions['store']) {
    this.#from = from
    this.#kept = kept
    this.#store = store
  }

  /** SQL of the relation with all columns. */
  get from(): string {
    return this.#from
  }

  /** Adds columns, computed from those that are there. */
  add(columns: SqlColumns): void {
    const list = Object.entries(columns).map(([name, sql]) => `${sql} AS ${sqlIdentifier(name)}`)
    this.#from = `(SELECT *, ${list.join(',\n')} FROM ${this.#from})`
  }

  /**
   * Ends a step: of the columns, only those kept and those given are there afterwards. Does nothing without `store`.
   *
   * @param columns names, or expressions with a name
   * @param text name of one more column, with texts that are nearly always those of `raw`: these are not stored twice
   */
  endStep(columns: readonly string[], text?: string): void {
    if (this.#store === undefined) return
    const isOther = `${text} IS DISTINCT FROM raw`
    const other =
      text === undefined ? [] : [`CASE WHEN ${isOther} THEN ${text} END AS other`, `${isOther} AS is_other`]
    this.#from = this.#store(`SELECT ${[...this.#kept, ...columns, ...other].join(', ')} FROM ${this.#from}`)
    if (text !== undefined) this.add({ [text]: 'CASE WHEN is_other THEN other ELSE raw END' })
  }
}
