import type { LandedOffset, LandedOffsets } from '../../../offsets/landed-offsets.ts'
import type { IntendedFile, LoadIntent } from '../../../offsets/load-intent.ts'
import type { BlobGeneration, Span } from '../../../records.ts'
import type { EncodedBatch, WrittenUnit } from '../../table-committer.ts'

/** Stores offsets and the running load durably. It is the only record of them, because the table holds no offsets. */
export interface LoadLedger {
  /** The recorded load that has not ended. */
  readonly intent: LoadIntent | undefined
  /** Loads that no start could settle. */
  readonly unsettled: readonly LoadIntent[]
  /** Makes all of them durable in one step. @param unsettled default: as before */
  record(
    offsets: LandedOffsets,
    intent: LoadIntent | undefined,
    unsettled?: readonly LoadIntent[],
  ): Promise<void>
}

/** Records a load intent durably, together with the current offsets. */
export type RecordIntent = (intent: LoadIntent) => Promise<void>

/** Whether the load of an earlier process's intent is complete, or nothing of it was loaded. */
export type Settlement = 'done' | 'not-begun'

/** What an unsettled load that was given up has left: all of its rows, or none, of which some may have been removed. */
export type DiscardedRows = { readonly kind: 'loaded' } | { readonly kind: 'none'; readonly removed: number }

/** Units whose rows are added together. */
export interface UnitGroup {
  /** One range of each blob generation. */
  readonly spans: readonly Span[]
  /** Files in the volume, by names below the pipeline's staging folder. */
  readonly files: readonly IntendedFile[]
  readonly rows: number
}

/** How much is added together. A unit of its own may have more, unless it has to be whole. */
export interface UnitLimits {
  readonly maxFiles: number
  /** Ranges, one of each blob generation. */
  readonly maxRanges: number
  /** Whether the files have to be in one folder, and each unit whole in one group. */
  readonly isOneStatement: boolean
}

/** The files of units in the volume. */
export interface StoredUnits {
  /** @returns the files of a unit, which `missing` has checked, by names below the pipeline's staging folder */
  filesOf(unit: WrittenUnit): readonly IntendedFile[]
  /** @returns why units cannot be landed, because their files are not there, as sentences */
  missing(units: readonly WrittenUnit[]): Promise<ReadonlyMap<WrittenUnit, string>>
  /** Removes the files of units that are landed. Failures are reported and not thrown. */
  removeLanded(landed: readonly WrittenUnit[]): Promise<void>
  /** Removes the files that nobody has landed for long. Failures are reported and not thrown. */
  removeExpired(): Promise<void>
}

/** How the rows of units are added. */
export interface UnitLoader {
  readonly files: StoredUnits
  readonly limits: UnitLimits
  /**
   * Adds rows whose files are in the volume. After a failure `RowLoader.settle` completes or discards them.
   *
   * @throws CommitFencedError as `RowLoader.add`
   */
  add(group: UnitGroup, recordIntent: RecordIntent): Promise<void>
}

/** A way to load encoded files into a table that holds no offsets. */
export interface RowLoader {
  /** Prepares the target of the load and checks that rows fit. */
  open(): Promise<void>

  /**
   * Completes or discards the load of an earlier process.
   *
   * @throws LOAD_UNCLEAR when it cannot be determined whether the rows are in the table
   */
  settle(intent: LoadIntent, recordIntent: RecordIntent): Promise<Settlement>

  /**
   * Gives an unsettled load up, as a person has decided: removes its staged files, so that no statement can load them any
   * more, and finds out whether its rows are in the table.
   *
   * @param removesRows whether rows of its ranges are removed where they are not those of the load, each once
   * @throws LOAD_UNCLEAR when the table has such rows and they are not to be removed; neither a row nor a staged file is changed then
   */
  discard?(intent: LoadIntent, removesRows: boolean): Promise<DiscardedRows>

  /**
   * Adds a batch's rows. After a failure, call it again with the same batch: it adds the rows that are missing.
   *
   * @param begun the intent that the failed call recorded, if any
   * @throws CommitFencedError when another process has landed a part of a range in another division
   */
  add(
    batch: { readonly spans: readonly Span[]; readonly encoded: EncodedBatch },
    begun: LoadIntent | undefined,
    recordIntent: RecordIntent,
  ): Promise<void>

  /** Replaces the rows of a range. @returns the number of removed rows */
  replace(span: Span, encoded: readonly EncodedBatch[], recordIntent: RecordIntent): Promise<number>

  /** Absent where the rows of units cannot be staged, or nobody here loads them. */
  readonly units?: UnitLoader | undefined

  /** Computes the landed offsets of some generations from the table's rows. Absent where `add` is never fenced. */
  landedOf?(sources: readonly BlobGeneration[]): Promise<readonly LandedOffset[]>

  /**
   * Computes landed offsets from the table's rows; empty when the rows cannot be queried.
   *
   * @throws LOAD_UNCLEAR when something was landed, and nobody knows what
   */
  landedByRows(): Promise<readonly LandedOffset[]>

  /** Removes staged files that expired. Runs in the background after a batch has landed. */
  tidy(): Promise<void>

  /** Releases files and memory that can be recreated, when space or memory is short. */
  reclaim(): Promise<void>
}
