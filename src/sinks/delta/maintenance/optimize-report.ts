import type { AddAction, PartitionValues } from '../delta-action.ts'
import { type CompactionGroup, partitionKey } from './compaction-plan.ts'

/** What became of a partition's files. */
export interface PartitionReport {
  readonly partitionValues: PartitionValues
  /** All live files of the partition, small or not. */
  readonly filesBefore: number
  readonly filesAfter: number
  readonly bytesBefore: number
  readonly bytesAfter: number
  /** Rows that were written again; a row is counted as often as it was. */
  readonly rows: number
  readonly ms: number
}

/** What merging the small files of a table came to. */
export interface OptimizeReport {
  readonly tableVersion: number
  /** The partitions of which files were merged. */
  readonly partitions: readonly PartitionReport[]
  /** Paths of small files that stay, because their deletion vectors lie outside of the table. */
  readonly refused: readonly string[]
}

/** A merge that is in the table. */
export interface FinishedMerge {
  /** Undefined when the files had no rows. */
  readonly added: AddAction | undefined
  readonly rows: number
  readonly ms: number
}

/** Adds up merges by partition. */
export class OptimizeTally {
  readonly #before = new Map<string, { files: number; bytes: number }>()
  readonly #partitions = new Map<string, PartitionReport>()
  readonly #refused = new Set<string>()

  /** @param files all live files, before the first merge */
  constructor(files: Iterable<AddAction>) {
    for (const { partitionValues, size } of files) {
      const key = partitionKey(partitionValues)
      const { files: count, bytes } = this.#before.get(key) ?? { files: 0, bytes: 0 }
      this.#before.set(key, { files: count + 1, bytes: bytes + size })
    }
  }

  noteRefused(files: readonly AddAction[]): void {
    for (const { path } of files) this.#refused.add(path)
  }

  noteMerged({ partitionValues, files, bytes }: CompactionGroup, { added, rows, ms }: FinishedMerge): void {
    const key = partitionKey(partitionValues)
    const before = this.#before.get(key) ?? { files: files.length, bytes }
    const known = this.#partitions.get(key) ?? {
      partitionValues,
      filesBefore: before.files,
      filesAfter: before.files,
      bytesBefore: before.bytes,
      bytesAfter: before.bytes,
      rows: 0,
      ms: 0,
    }
    this.#partitions.set(key, {
      ...known,
      filesAfter: known.filesAfter - files.length + (added === undefined ? 0 : 1),
      bytesAfter: known.bytesAfter - bytes + (added?.size ?? 0),
      rows: known.rows + rows,
      ms: known.ms + ms,
    })
  }

  reportAt(tableVersion: number): OptimizeReport {
    return { tableVersion, partitions: [...this.#partitions.values()], refused: [...this.#refused] }
  }
}
