import type { JsonObject } from '../json.ts'

/** One commit, as described by its own file. */
export interface CommitSummary {
  readonly version: number
  /** Milliseconds since the epoch, by the rule that time travel uses. */
  readonly timeMs: number
  /** Empty when the writer gave none, as are `parameters` and `engine`. */
  readonly operation: string
  readonly parameters: JsonObject
  readonly engine: string
  readonly addedFiles: number
  readonly removedFiles: number
  /** Rows of the added files, without deleted rows; undefined when a file has no statistics. */
  readonly addedRows: number | undefined
}

/** The newest commits in a table's log, and the range of versions that are readable. */
export interface TableHistory {
  /** The oldest readable version with a commit file. */
  readonly firstVersion: number
  readonly lastVersion: number
  /** Newest first. */
  readonly commits: readonly CommitSummary[]
}

/** The merges in one partition. */
export interface PartitionReport {
  readonly partitionValues: Readonly<Record<string, string | null>>
  /** All live files of the partition, small or not. */
  readonly filesBefore: number
  readonly filesAfter: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** Rows written by all merges; a row that was rewritten twice counts twice. */
  readonly rows: number
  readonly ms: number
}

/** The result of merging the small files of a table. */
export interface OptimizeReport {
  readonly tableVersion: number
  /** Partitions with merged files. */
  readonly partitions: readonly PartitionReport[]
  /** Offsets that moved into the table's archive. Default 0. */
  readonly archivedOffsets?: number | undefined
  /** Paths of small files that cannot be merged because their deletion vectors are outside of the table. */
  readonly refused: readonly string[]
  /** Who merges the files of this table instead, in words; undefined when Tailrace does. */
  readonly leftTo?: string | undefined
}

/** The files of one day. */
export interface RetainedDay {
  /** In UTC, as `2026-08-31`. */
  readonly day: string
  readonly files: number
  readonly bytes: number
}

/** The result of deleting old days. */
export interface RetainReport {
  readonly tableVersion: number
  /**
   * The UTC day that counts as today, and by what: the clock of this machine, that of the storage service if it is behind,
   * or the table's newest rows if no service can confirm the clock.
   */
  readonly today: { readonly day: string; readonly by: 'clock' | 'storage' | 'rows' }
  /** The first day that is kept: also of an earlier deletion, if that one is later. */
  readonly firstDay: string
  /** The days before it that had files, oldest first. */
  readonly days: readonly RetainedDay[]
  /** Files with rows without a day. They are kept. */
  readonly undatedFiles: number
  readonly deleted: boolean
}

/** A file below a table's root. */
export interface FoundFile {
  /** Relative to the table's root. */
  readonly path: string
  readonly bytes: number
  /** Milliseconds since the epoch. */
  readonly modifiedMs: number
}

/** The data files, deletion vector files and offset archives below a table's root. Vacuum ignores all other files. */
export interface VacuumPlan {
  /** Files that no version within the retention needs. */
  readonly expired: readonly FoundFile[]
  /** Unreferenced files, so young that a writer may be about to commit them. */
  readonly young: readonly FoundFile[]
  /** Files that are live or were removed within the retention. */
  readonly needed: readonly FoundFile[]
}

export interface VacuumReport extends VacuumPlan {
  readonly tableVersion: number
  readonly retentionMs: number
  readonly deleted: boolean
}
