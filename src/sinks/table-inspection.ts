import type { LandedOffset } from '../offsets/landed-offsets.ts'
import type { LandedRows } from './landed-rows.ts'

/** A pipeline's table, as a command looks at it: nothing is changed. */
export interface LookedTable {
  /** How far the pipeline has landed each blob generation; the newest generation of each blob comes last. */
  generations(): Promise<readonly LandedOffset[]>

  /** @returns undefined when there is no table yet, or no way to ask for its rows */
  rows(): Promise<LandedRows | undefined>

  /**
   * Checks whether a run could land in it, and says in one or more sentences what is there.
   *
   * @throws TABLE_DENIED, TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, WAREHOUSE_DENIED: what a run would fail with
   */
  check(): Promise<readonly string[]>

  close(): Promise<void>
}
