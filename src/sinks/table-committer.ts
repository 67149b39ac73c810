import type { TailraceError } from '../errors.ts'
import type { ArchivedOffset } from '../offsets/archived-offsets.ts'
import type { LandedOffsets } from '../offsets/landed-offsets.ts'
import type { BlobGeneration, Span } from '../records.ts'
import type { WrittenFile } from './encoding/engine.ts'

/** A batch encoded as Parquet. */
export interface EncodedBatch {
  /** Files in the staging directory: one per partition, without partition columns, or one file with all columns. */
  readonly files: readonly WrittenFile[]
  readonly rows: number
  readonly rejected: number
  /** The rejected rows by reason. Default: unknown. */
  readonly rejectedBy?: Readonly<Record<string, number>> | undefined
  readonly partial: number
}

/** The result of a commit whose rows and offsets are durable. */
export interface CommitReceipt {
  readonly tableVersion?: number | undefined
}

/** What a table's log is to say of a stored file: JSON that only the kind of sink that wrote it reads. */
export type StoredFile = Readonly<Record<string, unknown>>

/**
 * Rows that are stored where a table can name them, and the ranges that they cover. No reader sees them before `landUnits`.
 */
export interface WrittenUnit {
  /** At most one range of each blob generation. */
  readonly spans: readonly Span[]
  readonly files: readonly StoredFile[]
  readonly rows: number
}

/**
 * Stores the rows of units. It reads no offsets, so that any number of processes may use one table at the same time, also
 * beside a run.
 */
export interface UnitStore {
  /**
   * Stores the files of batches where the table can name them, without naming them. The same rows may be stored again by
   * another process: only the unit that `landUnits` takes first counts.
   *
   * @returns the `files` of a unit
   */
  storeUnit(encoded: readonly EncodedBatch[]): Promise<readonly StoredFile[]>

  /** Releases cached data that can be loaded again; called when space or memory is short. */
  releaseCaches(): Promise<void>

  close(): Promise<void>
}

/**
 * The result for one unit. `landed-before`: the table has its ranges already. Otherwise nothing of it is landed:
 * `refused` says why, as a sentence.
 */
export type UnitOutcome = 'landed' | 'landed-before' | { readonly refused: string }

export interface DiscardOptions {
  /** Whether rows of its ranges are removed where they are not those of the load, each once. */
  readonly removesRows: boolean
}

/** What a load that was given up has left. */
export interface DiscardedLoad {
  readonly batch: string
  /** `read-again`: the next start reads the ranges; `replay-again`: the rows of a replayed range are missing until its replay. */
  readonly outcome: 'landed' | 'read-again' | 'replay-again'
  readonly removedRows: number
}

/** The result of `landUnits`. */
export interface UnitsReceipt extends CommitReceipt {
  /** In the order of the units. */
  readonly outcomes: readonly UnitOutcome[]
}

/** The offsets of an open table that are in its archive, and so not in memory. */
export interface CommitterArchive {
  /** Whether it had offsets of the pipeline's blobs when the table was opened; only sought where `landed()` had none. */
  readonly hasOwn: boolean

  /** Whether it may have a generation: certainly not one that was created lately, or that `landed()` has. */
  mayHave(source: BlobGeneration): boolean

  /** @returns the archived generations of some blobs that `landed()` has not */
  find(blobs: readonly string[]): Promise<readonly ArchivedOffset[]>

  /** Makes `landed()` have all generations of some blobs, until `forget`. */
  recall(blobs: readonly string[]): Promise<void>

  /**
   * Takes offsets that are in the archive out of `landed()`, except those of blobs for which `isNeeded` holds, and those
   * whose marks the archive lacks.
   */
  forget(isNeeded: (blob: string) => boolean): Promise<void>
}

/**
 * Adds encoded files to one open table.
 *
 * Implementations make a batch's rows and the new offset of each of its blobs durable together: in one atomic step, or in
 * steps that the next `open` completes after a crash.
 */
export interface TableCommitter {
  /** A short name for logs, such as the table's path; holds no secret. */
  readonly location: string

  /** The newest known version of the table; undefined for sinks without table versions. */
  readonly tableVersion: number | undefined

  /**
   * Creates the table, or opens it and checks its schema against the declaration.
   *
   * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, TABLE_CORRUPT
   */
  open(): Promise<void>

  /** Reads commits of other processes; absent for sinks that only one process can use. */
  refresh?(): Promise<void>

  /** The landed offset of each blob generation, without those in `archive`. Current after `open`, `land` and `replace`. */
  landed(): LandedOffsets

  /** Absent for a table that keeps no offsets apart. */
  readonly archive?: CommitterArchive

  /**
   * Commits a batch: its rows, and each span's `end` as the new offset of its blob generation. Requires that the
   * generation's current offset is the span's `start`; a generation without an offset allows any start.
   *
   * @throws CommitFencedError when another process moved an offset: nothing of the batch is visible, and `landed()` has
   * the table's offsets
   * @throws COMMIT_CONTENDED when all attempts are used: nothing is visible, try again
   * @throws COMMIT_UNKNOWN when the batch may be committed: only `open` finds out, and the files must be kept
   */
  land(spans: readonly Span[], encoded: EncodedBatch): Promise<CommitReceipt>

  /**
   * Replaces the rows of a landed range: removes every row of the span's generation with a `source_offset` in
   * `[start, end)` and adds the rows of `encoded`. Offsets stay unchanged.
   */
  replace(
    span: Span,
    encoded: readonly EncodedBatch[],
  ): Promise<CommitReceipt & { readonly removedRows: number }>

  /**
   * Commits units, each whole: those whose ranges start at the table's offsets, or where the range of another one of these
   * units ends. In one atomic step, or in several where one cannot hold them all. Doing it twice gives the same table as doing
   * it once, also after a failure. A generation without an offset starts at 0. Absent where `Sink.units` has none.
   *
   * @throws COMMIT_CONTENDED, COMMIT_UNKNOWN as `land`
   */
  landUnits?(units: readonly WrittenUnit[]): Promise<UnitsReceipt>

  /**
   * Blobs of which nobody knows whether the rows of a load are in the table, by `source_blob`, each with the reason: they
   * must not be read before `discardLoad`. Absent for none.
   */
  readonly heldBlobs?: ReadonlyMap<string, TailraceError>

  /**
   * Gives up a load of an earlier process that no start could settle.
   *
   * @param id of the load; undefined for the only one
   * @throws USAGE when there is no such load, or several without an id
   * @throws LOAD_UNCLEAR when the table has other rows of its ranges than those of the load, each once
   */
  discardLoad?(id: string | undefined, options: DiscardOptions): Promise<DiscardedLoad>

  /** Releases cached data that can be loaded again; called when space or memory is short. */
  releaseCaches(): Promise<void>

  close(): Promise<void>
}
