import type { Span } from '../records.ts'

/** One file of a batch, as it lies in the volume. */
export interface IntendedFile {
  /** Below the pipeline's staging folder. */
  readonly name: string
  readonly bytes: number
  readonly rows: number
}

/** How far a replay is, and what tells its rows from those that they replace. */
export interface Replacement {
  /** Their removal comes after the files are staged, and must not be repeated once loading has begun. */
  readonly oldRows: 'remain' | 'removed'
  /** The first and last `ingest_ts` of the new rows, as SQL text in UTC: no older row lies between them. */
  readonly ingestedFrom: string
  readonly ingestedTo: string
}

/**
 * What is about to be done with a table that cannot hold offsets, written down before it begins: whoever finds it
 * afterwards ends exactly this, with these very boundaries and files, before anything else.
 */
export interface LoadIntent {
  /** The batch's id. */
  readonly id: string
  /** How its files become rows, which only the same way can end. */
  readonly mode: 'copy-into' | 'stage-only'
  /** What the batch accounts for; of a replay, the one range that is landed again. */
  readonly spans: readonly Span[]
  readonly files: readonly IntendedFile[]
  /** Present for a replay. */
  readonly replaces?: Replacement
}

/** @returns the rows of all files of an intent */
export function intendedRows({ files }: LoadIntent): number {
  return files.reduce((sum, { rows }) => sum + rows, 0)
}
