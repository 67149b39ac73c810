import type { LandedOffsets } from '../offsets/landed-offsets.ts'
import type { Span } from '../records.ts'
import type { WrittenFile } from './encoding/engine.ts'

/** A batch as Parquet: what a committer makes visible. */
export interface EncodedBatch {
  /** Files in the staging directory, one per partition value. They hold no partition column. */
  readonly files: readonly WrittenFile[]
  readonly rows: number
  readonly rejected: number
  readonly partial: number
}

/** What a committer reports once rows and offsets are durable. */
export interface CommitReceipt {
  readonly tableVersion?: number
}

/**
 * Turns encoded files into rows of one open table.
 *
 * Implementations make a batch's rows and the new offset of each of its blobs durable together: in one atomic step, or
 * so that the next `open` ends what a crash has cut in two.
 */
export interface TableCommitter {
  /** A short name for logs, without secrets, such as the table's path. */
  readonly location: string

  /** The newest version of the table that is known here; undefined where tables have none that counts. */
  readonly tableVersion: number | undefined

  /**
   * Creates the table, or opens it and checks its schema against the declaration.
   *
   * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, TABLE_CORRUPT
   */
  open(): Promise<void>

  /** Takes up what other processes have committed; missing where no other process can. */
  refresh?(): Promise<void>

  /** How far the table says that each blob generation is landed. Current after `open`, `land` and `replace`. */
  landed(): LandedOffsets

  /**
   * Commits a batch: its rows, and `end` as the new offset of each span's blob generation, if that
   * generation's offset in the table still is the span's `start` (a generation never seen counts as any start).
   *
   * @throws CommitFencedError when another process moved an offset: nothing of the batch is visible, and `landed()` has
   * the table's offsets
   * @throws COMMIT_CONTENDED when the attempts are used up: nothing is visible, try again
   * @throws COMMIT_UNKNOWN when storage does not tell: only `open` finds out, and the files may be the table's
   */
  land(spans: readonly Span[], encoded: EncodedBatch): Promise<CommitReceipt>

  /**
   * Replaces what the table holds of a landed range: in one commit, removes every row of the span's
   * generation whose `source_offset` lies in `[start, end)` and adds the rows of `encoded`. Offsets stay.
   */
  replace(
    span: Span,
    encoded: readonly EncodedBatch[],
  ): Promise<CommitReceipt & { readonly removedRows: number }>

  /** Forgets what can be loaded again; called when space or memory is short. */
  releaseCaches(): Promise<void>

  close(): Promise<void>
}
