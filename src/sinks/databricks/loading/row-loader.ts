import type { LandedOffset, LandedOffsets } from '../../../offsets/landed-offsets.ts'
import type { LoadIntent } from '../../../offsets/load-intent.ts'
import type { Span } from '../../../records.ts'
import type { EncodedBatch } from '../../table-committer.ts'

/** Where offsets, and what is under way, are written down: the truth for a table that holds no offsets. */
export interface LoadLedger {
  readonly intent: LoadIntent | undefined
  /** Makes both durable, at once and together. */
  record(offsets: LandedOffsets, intent: LoadIntent | undefined): Promise<void>
}

/** Writes down what is about to be done, beside the offsets as they stand. */
export type NoteIntent = (intent: LoadIntent) => Promise<void>

/** What became of an intent that an earlier process left. */
export type Settlement = 'done' | 'not-begun'

/** One way for encoded files to become rows of a table that holds no offsets. */
export interface RowLoader {
  /** Makes ready what rows go to, and checks that they fit. */
  open(): Promise<void>

  /**
   * Ends what an earlier process had begun.
   *
   * @throws LOAD_UNCLEAR when it can no longer be told whether the rows are there
   */
  settle(intent: LoadIntent, note: NoteIntent): Promise<Settlement>

  /**
   * Adds a batch's rows. After a failure it is called again with the same batch, and then adds what is not there yet.
   *
   * @param begun the intent of the call before, if that one got so far
   */
  add(
    batch: { readonly spans: readonly Span[]; readonly encoded: EncodedBatch },
    begun: LoadIntent | undefined,
    note: NoteIntent,
  ): Promise<void>

  /** Puts rows in the place of those that a range has. @returns how many were removed */
  replace(span: Span, encoded: readonly EncodedBatch[], note: NoteIntent): Promise<number>

  /** How far the rows themselves say that each blob generation is landed. None where the rows cannot be asked. */
  landedByRows(): Promise<readonly LandedOffset[]>

  /** Removes what is not needed any more; called when a batch is landed, and never in its way. */
  tidy(): Promise<void>

  /** Gives back what can be had again, while space or memory is short. */
  reclaim(): Promise<void>
}
