import { posix } from 'node:path'
import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { loadState } from '../log/load.ts'
import type { RemovedFile } from '../log/state.ts'
import { type AddAction, type MetaDataAction, storagePath } from '../protocol/actions.ts'
import { deletionVectorName, isDeletionVectorName } from '../protocol/deletion-vector.ts'
import { checkAppendable, clusteringDomain } from '../protocol/features.ts'
import { intervalMs } from '../protocol/interval.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'

const hourMs = 3_600_000

/** Delta's default for `delta.deletedFileRetentionDuration`, and the shortest retention that is safe without care. */
export const safeRetentionMs = 168 * hourMs

/** Deletions under way at a time. */
const parallelDeletions = 16

/** Folders that are listed at a time. */
const parallelListings = 8

export interface VacuumOptions {
  readonly storage: DeltaStorage
  /** Reads checkpoints. */
  readonly engine: EmbeddedEngine
  readonly clock: Clock
  /** Default what the table says. Longer than that is refused: the log forgets removed files by the table's rule. */
  readonly retentionMs?: number | undefined
  /** Allows a retention below `safeRetentionMs`, with which files of a write that is under way can be deleted. */
  readonly allowShortRetention: boolean
  /** Whether expired files are deleted, or only told. */
  readonly deletes: boolean
}

export interface VacuumReport extends VacuumPlan {
  readonly tableVersion: number
  readonly retentionMs: number
  readonly deleted: boolean
}

/**
 * Finds the data files that no version within the retention needs, and deletes them if it is told to.
 *
 * Nothing is written to the log, and a stop anywhere leaves fewer files to delete.
 *
 * @returns undefined when there is no table
 * @throws USAGE for a retention that is too short or too long, TABLE_UNSUPPORTED when the table has rules that this
 * program does not know, TABLE_CORRUPT
 */
export async function vacuumTable(options: VacuumOptions): Promise<VacuumReport | undefined> {
  const { storage, engine, clock, deletes } = options
  const nowMs = clock.now()
  // Listed before the log is read: whatever is committed until then is known to be live.
  const found = await dataFiles(storage)
  const state = await loadState(storage, engine, { keepFiles: true, statistics: false, keepRemoved: true })
  if (state === undefined) return undefined
  checkAppendable(state.protocol, state.metaData, state.domains.get(clusteringDomain))
  const retentionMs = checkedRetention(state.metaData, options)
  const plan = planVacuum(found, state.files!.values(), state.removed!.values(), nowMs - retentionMs)
  if (deletes) {
    await eachOf(plan.expired, parallelDeletions, ({ path }) => storage.remove(path))
  }
  return { ...plan, tableVersion: state.version, retentionMs, deleted: deletes }
}

function checkedRetention(
  { configuration = {} }: MetaDataAction,
  { retentionMs: asked, allowShortRetention }: VacuumOptions,
): number {
  const property = configuration['delta.deletedFileRetentionDuration']
  const statedMs = property === undefined ? safeRetentionMs : intervalMs(property)
  if (statedMs === undefined || statedMs < 0) {
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `The property delta.deletedFileRetentionDuration is no interval that is known here: ${property}.`,
    )
  }
  const retentionMs = asked ?? statedMs
  const context = { retentionHours: retentionMs / hourMs, tableHours: statedMs / hourMs }
  if (retentionMs > statedMs) {
    throw new TailraceError(
      'USAGE',
      `The table keeps track of removed files for ${statedMs / hourMs} hours only; set delta.deletedFileRetentionDuration to keep them longer.`,
      { context },
    )
  }
  if (retentionMs < safeRetentionMs && !allowShortRetention) {
    throw new TailraceError(
      'USAGE',
      `A retention of ${retentionMs / hourMs} hours can delete files that a reader or a writer still needs; the shortest one without --allow-short-retention is ${safeRetentionMs / hourMs} hours.`,
      { context },
    )
  }
  return retentionMs
}

/** Every file below the root that is not hidden, nor in a hidden folder, nor in another table. */
async function dataFiles(storage: DeltaStorage): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  const waiting = ['']
  const look = async (folder: string): Promise<void> => {
    const { objects, folders } = await storage.contentsOf(folder)
    if (folder !== '' && folders.includes('_delta_log')) return
    for (const { name, bytes, modifiedMs } of objects) {
      if (!isHiddenName(name)) found.push({ path: posix.join(folder, name), bytes, modifiedMs })
    }
    for (const name of folders) if (!isHiddenName(name)) waiting.push(posix.join(folder, name))
  }
  while (waiting.length > 0) await eachOf(waiting.splice(0), parallelListings, look)
  return found.sort((left, right) => (left.path < right.path ? -1 : 1))
}

/** Some at a time, the first ones first. */
async function eachOf<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < items.length; from += atOnce) {
    await Promise.all(items.slice(from, from + atOnce).map(work))
  }
}

/** A file below a table's root. */
export interface FoundFile {
  /** Relative to the table's root. */
  readonly path: string
  readonly bytes: number
  /** Milliseconds since the epoch. */
  readonly modifiedMs: number
}

/** What is below a table's root, sorted out; everything else is none of vacuum's. */
export interface VacuumPlan {
  /** No version within the retention needs them. */
  readonly expired: readonly FoundFile[]
  /** Unreferenced, and so young that a writer may be about to commit them. */
  readonly young: readonly FoundFile[]
  /** Live, or removed within the retention. */
  readonly needed: readonly FoundFile[]
}

/**
 * Decides which files may go (PROTOCOL.md and Spark's VACUUM, read 2026-11): data files and those of deletion vectors
 * that are not live, that were not removed within the retention, and that are themselves older than it.
 *
 * Only Parquet files are data files to it. A file of deletion vectors is known by its name, which has a UUID, in
 * whichever folder: it is needed as long as one of its vectors is.
 *
 * @param cutoffMs milliseconds since the epoch: where the retention begins
 * @throws TABLE_UNSUPPORTED when a live file may lie anywhere, because its path is absolute
 */
export function planVacuum(
  found: readonly FoundFile[],
  live: Iterable<AddAction>,
  removed: Iterable<RemovedFile>,
  cutoffMs: number,
): VacuumPlan {
  const paths = new Set<string>()
  const vectors = new Set<string>()
  const need = (file: Pick<AddAction, 'path' | 'deletionVector'>): void => {
    for (const path of readings(file)) paths.add(path)
    const vector = file.deletionVector && deletionVectorName(file.deletionVector)
    if (vector !== undefined) vectors.add(vector)
  }
  for (const file of live) {
    storagePath(file)
    need(file)
  }
  for (const file of removed) if (file.deletionTimestamp >= cutoffMs) need(file)
  const isVector = ({ path }: FoundFile): boolean => isDeletionVectorName(posix.basename(path))
  const known = found.filter((file) => file.path.endsWith('.parquet') || isVector(file))
  const isNeeded = (file: FoundFile): boolean =>
    isVector(file) ? vectors.has(posix.basename(file.path)) : paths.has(file.path)
  const unneeded = known.filter((file) => !isNeeded(file))
  return {
    expired: unneeded.filter(({ modifiedMs }) => modifiedMs < cutoffMs),
    young: unneeded.filter(({ modifiedMs }) => modifiedMs >= cutoffMs),
    needed: known.filter(isNeeded),
  }
}

/** Whether a name in a table's folder is left alone: the log, change data, indexes, temporary files. */
export function isHiddenName(name: string): boolean {
  return name.startsWith('_') || name.startsWith('.')
}

/** A path is URI-encoded; one that a careless writer left as it is must not cost its file. */
function readings({ path }: Pick<AddAction, 'path'>): string[] {
  const plain = posix.normalize(path)
  try {
    return [plain, posix.normalize(decodeURIComponent(path))]
  } catch {
    return [plain]
  }
}
