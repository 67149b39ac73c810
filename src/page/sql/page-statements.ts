import type { QuerySession } from '../../sinks/query-session.ts'
import type { TableCatalog } from '../api.ts'

/** Where the statements of a person run. */
export interface PageStatements extends Pick<QuerySession, 'run' | 'writeParquet'> {
  /** What the person should know before running one; undefined: nothing. */
  readonly note: string | undefined
  /** How long a statement may take, and what the person can do when that was not enough. */
  readonly limit: { readonly maxMs: number; readonly remedy: string }
  /** Everything that a statement can name. */
  catalog(signal: AbortSignal): Promise<TableCatalog>
}
