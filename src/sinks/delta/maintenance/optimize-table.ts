import { rm } from 'node:fs/promises'
import { TailraceError } from '../../../errors.ts'
import type { OptimizeReport, PartitionReport } from '../../table-reports.ts'
import { requireArchive } from '../archive/offset-archive.ts'
import type { CommitContext } from '../log/commit.ts'
import { loadState, readNewCommits } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import type { AddAction } from '../protocol/actions.ts'
import { checkAppendable, clusteringDomain } from '../protocol/features.ts'
import { type CompactionGroup, partitionKey, planCompaction } from './compaction-plan.ts'
import { commitMerge, type MergeContext, mergeFiles } from './merge-files.ts'
import { otherOptimizer } from './other-optimizer.ts'
import { Overtaken } from './overtaken.ts'

export interface OptimizeOptions extends MergeContext, CommitContext {
  /** Desired file size. */
  readonly targetBytes: number
  /** Partitions with fewer small files stay unchanged. At least 2. */
  readonly minFiles: number
  /** Whether today's partition (UTC) still grows; its files are merged only while they are very small then. */
  readonly isGrowing: boolean
  /** Called before each merge; false ends the work early. */
  readonly mayContinue: () => boolean
}

/** Consecutive plans that may fail because other commits changed the table. */
const maxConflicts = 10

/**
 * Merges the small files of a table, with one commit per merged file. Rows do not change, and the commits have
 * `dataChange: false`, so readers of the table's changes ignore them.
 *
 * A table whose files another engine merges is left unchanged (`otherOptimizer`), from the first commit on that says so.
 *
 * It can be interrupted at any point: committed merges stay, and the table always has the same rows.
 *
 * @returns undefined when there is no table
 * @throws TABLE_UNSUPPORTED, TABLE_CORRUPT, DISK_FULL, ENCODE_FAILED, COMMIT_CONTENDED, COMMIT_UNKNOWN
 */
export async function optimizeTable(options: OptimizeOptions): Promise<OptimizeReport | undefined> {
  const { storage, engine } = options
  const state = await loadState(storage, engine, { keepFiles: true, statistics: false })
  if (state === undefined) return undefined
  await requireArchive(state, { storage, engine })
  const tally = new OptimizeTally(filesOf(state))
  for (let conflicts = 0; conflicts < maxConflicts; ) {
    // Append-only tables and change data feeds allow a merge, because it changes no row.
    checkAppendable(state.protocol, state.metaData, state.domains.get(clusteringDomain))
    const leftTo = otherOptimizer(state)
    if (leftTo !== undefined) return tally.reportAt(state.version, leftTo)
    const plan = planCompaction(filesOf(state), {
      ...options,
      location: storage.location,
      today: options.isGrowing ? new Date(options.clock.now()).toISOString().slice(0, 10) : undefined,
    })
    tally.noteRefused(plan.refused)
    if (plan.groups.length === 0) return tally.reportAt(state.version)
    let overtaken = false
    for (const group of plan.groups) {
      if (!options.mayContinue()) return tally.reportAt(state.version)
      const merge = await mergeGroup(state, group, options)
      overtaken = merge === undefined
      if (merge === undefined) break
      tally.noteMerged(group, merge)
    }
    conflicts = overtaken ? conflicts + 1 : 0
    await readNewCommits(storage, state)
  }
  throw new TailraceError(
    'COMMIT_CONTENDED',
    `Merging small files was given up: other commits removed the files during ${maxConflicts} attempts.`,
    { context: { attempts: maxConflicts } },
  )
}

/** @returns undefined when another commit removed one of the files meanwhile, or changed the table's protocol or metadata */
async function mergeGroup(
  state: TableState,
  group: CompactionGroup,
  options: OptimizeOptions,
): Promise<FinishedMerge | undefined> {
  const { clock } = options
  const startedMs = clock.now()
  const written = await mergeFiles(group, state.metaData, options)
  try {
    const added = await commitMerge(state, group, written, options)
    return { added, rows: written?.rows ?? 0, ms: clock.now() - startedMs }
  } catch (error) {
    if (error instanceof Overtaken) return undefined
    throw error
  } finally {
    // The file is still there after a failed attempt or an upload to Azure.
    if (written !== undefined) await rm(written.path, { force: true })
  }
}

function filesOf({ files }: TableState) {
  return files?.values() ?? []
}

/** A committed merge. */
export interface FinishedMerge {
  /** Undefined when the files had no rows. */
  readonly added: AddAction | undefined
  readonly rows: number
  readonly ms: number
}

/** Sums up merges by partition. */
class OptimizeTally {
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

  reportAt(tableVersion: number, leftTo?: string): OptimizeReport {
    return {
      tableVersion,
      partitions: [...this.#partitions.values()],
      refused: [...this.#refused],
      leftTo,
    }
  }
}
