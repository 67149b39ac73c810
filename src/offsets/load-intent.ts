import type { Span } from '../records.ts'

/** One staged file of a load. */
export interface IntendedFile {
  /** Path below the pipeline's staging folder in the volume. */
  readonly name: string
  readonly bytes: number
  readonly rows: number
}

/** The progress of a replay, and the range of `ingest_ts` that separates its rows from those that they replace. */
export interface Replacement {
  /** The old rows are removed once, after the files are staged and before they are loaded. */
  readonly oldRows: 'remain' | 'removed'
  /** The first and last `ingest_ts` of the new rows, as SQL text in UTC. No older row has a value between them. */
  readonly ingestedFrom: string
  readonly ingestedTo: string
}

/**
 * A load into a table that cannot hold offsets, stored in the offset file before it begins.
 *
 * A process that finds one at its start finishes exactly this load, with these spans and files, before any other.
 */
export interface LoadIntent {
  /** The batch's id. */
  readonly id: string
  /**
   * The sink's mode. Only the mode that began a load can finish it. Of `replace-where`, which repeats a batch without harm, it
   * says that rows beyond the offsets may be in the table, or come into it; it has no files.
   */
  readonly mode: 'copy-into' | 'stage-only' | 'replace-where'
  /** The batch's spans; for a replay, the one range that is landed again. */
  readonly spans: readonly Span[]
  readonly files: readonly IntendedFile[]
  /**
   * When the statement that loads the files was last announced, a moment before it was sent, in milliseconds since the
   * epoch; null before. Intents of earlier releases do not say, and have null for every replay.
   */
  readonly loadingSinceMs?: number | null
  /** Present for a replay. */
  readonly replaces?: Replacement
}

/** @returns the number of rows in all files of an intent */
export function intendedRows({ files }: LoadIntent): number {
  return files.reduce((sum, { rows }) => sum + rows, 0)
}
