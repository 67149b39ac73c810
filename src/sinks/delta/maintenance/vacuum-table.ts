import { posix } from 'node:path'
import type { Clock } from '../../../clock.ts'
import { TailraceError } from '../../../errors.ts'
import type { FoundFile, VacuumPlan, VacuumReport } from '../../table-reports.ts'
import { archiveFolder, manifestPath, readManifest } from '../archive/archive-manifest.ts'
import { requireArchive } from '../archive/offset-archive.ts'
import { type LoadContext, loadState } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import { type AddAction, type MetaDataAction, type RemovedFile, storagePath } from '../protocol/actions.ts'
import { deletionVectorName, isDeletionVectorName } from '../protocol/deletion-vector.ts'
import { checkAppendable, clusteringDomain } from '../protocol/features.ts'
import { defaultFileRetentionMs, fileRetentionMs } from '../protocol/file-retention.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'

const hourMs = 3_600_000

/** The shortest retention allowed without a flag. */
const safeRetentionMs = defaultFileRetentionMs

/** Concurrent deletions. */
const parallelDeletions = 16

/** Concurrent listings of folders. */
const parallelListings = 8

export interface VacuumOptions extends LoadContext {
  readonly clock: Clock
  /**
   * Default: the table's own retention. A longer one is refused, because the log keeps removed files only for the
   * table's retention.
   */
  readonly retentionMs?: number | undefined
  /** Allows a retention below `safeRetentionMs`, which can delete files of a running write. */
  readonly allowShortRetention: boolean
  /** Whether expired files are deleted; otherwise they are only reported. */
  readonly deletes: boolean
}

/**
 * Finds the data files that no version within the retention needs, and deletes them with `deletes`.
 *
 * Writes nothing to the log, and can be interrupted at any point.
 *
 * @returns undefined when there is no table
 * @throws USAGE for a retention that is too short or too long, TABLE_UNSUPPORTED for a table with features that this
 * program does not implement, TABLE_CORRUPT
 */
export async function vacuumTable(options: VacuumOptions): Promise<VacuumReport | undefined> {
  const { storage, engine, clock, deletes } = options
  const nowMs = clock.now()
  // Files are listed before the log is read, so that every listed file that is committed meanwhile is seen as live.
  const found = await dataFiles(storage)
  const archiveFiles = await filesOf(storage, archiveFolder)
  const state = await loadState(storage, engine, { keepFiles: true, statistics: false, keepRemoved: true })
  if (state === undefined) return undefined
  checkAppendable(state.protocol, state.metaData, state.domains.get(clusteringDomain))
  await requireArchive(state, { storage, engine })
  const retentionMs = checkedRetention(state.metaData, options)
  const cutoffMs = nowMs - retentionMs
  const data = planVacuum(found, state.files!.values(), state.removed!.values(), cutoffMs)
  // A short retention may be allowed for data files. A lost file of the archive would lose offsets.
  const archiveCutoffMs = Math.min(cutoffMs, nowMs - safeRetentionMs)
  const archive = await planArchive(archiveFiles, storage, state, archiveCutoffMs)
  const plan = {
    expired: [...data.expired, ...archive.expired],
    young: [...data.young, ...archive.young],
    needed: [...data.needed, ...archive.needed],
  }
  if (deletes) {
    await eachOf(plan.expired, parallelDeletions, ({ path }) => storage.remove(path))
  }
  return { ...plan, tableVersion: state.version, retentionMs, deleted: deletes }
}

function checkedRetention(
  metaData: MetaDataAction,
  { retentionMs: requested, allowShortRetention }: VacuumOptions,
): number {
  const tableMs = fileRetentionMs(metaData)
  const retentionMs = requested ?? tableMs
  const context = { retentionHours: retentionMs / hourMs, tableHours: tableMs / hourMs }
  if (retentionMs > tableMs) {
    throw new TailraceError(
      'USAGE',
      `The table keeps track of removed files for ${tableMs / hourMs} hours only; set delta.deletedFileRetentionDuration to keep them longer.`,
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

/** Lists every data file below the root, except hidden ones, those in hidden folders, and those of nested tables. */
async function dataFiles(storage: DeltaStorage): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  const waiting = ['']
  const scan = async (folder: string): Promise<void> => {
    const { objects, folders } = await storage.contentsOf(folder)
    if (folder !== '' && folders.includes('_delta_log')) return
    for (const { name, bytes, modifiedMs } of objects) {
      if (!isHiddenName(name)) found.push({ path: posix.join(folder, name), bytes, modifiedMs })
    }
    for (const name of folders) if (!isHiddenName(name)) waiting.push(posix.join(folder, name))
  }
  while (waiting.length > 0) await eachOf(waiting.splice(0), parallelListings, scan)
  return found.sort((left, right) => (left.path < right.path ? -1 : 1))
}

/** Runs `work` for all items in order, `maxConcurrent` at a time. */
async function eachOf<T>(
  items: readonly T[],
  maxConcurrent: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < items.length; from += maxConcurrent) {
    await Promise.all(items.slice(from, from + maxConcurrent).map(work))
  }
}

/**
 * Decides which files can be deleted (PROTOCOL.md and Spark's VACUUM, read 2026-11): data files and deletion vector
 * files that are not live, were not removed within the retention, and are older than it.
 *
 * Only Parquet files count as data files. A deletion vector file is identified by its name, which holds a UUID, in any
 * folder; it is needed as long as one of its vectors is.
 *
 * @param cutoffMs start of the retention, in milliseconds since the epoch
 * @throws TABLE_UNSUPPORTED when a live file has an absolute path
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
    for (const path of possiblePaths(file)) paths.add(path)
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

/**
 * Decides which files of former archives, and of attempts to archive that ended early, can be deleted.
 *
 * A file may be old and have been needed until the newest archive was written, which a running process does not know yet.
 * So an archive counts as young for as long after its successor was written.
 */
async function planArchive(
  found: readonly FoundFile[],
  storage: DeltaStorage,
  { transactions: { archivedAtMs } }: Pick<TableState, 'transactions'>,
  cutoffMs: number,
): Promise<VacuumPlan> {
  const writtenMs = new Map(found.map(({ path, modifiedMs }) => [path, modifiedMs]))
  const needed = new Set<string>()
  const young = new Set(found.filter(({ modifiedMs }) => modifiedMs >= cutoffMs).map(({ path }) => path))
  let [instantMs, paths] = [archivedAtMs, needed]
  while (instantMs !== undefined) {
    const path = manifestPath(instantMs)
    const { files, former } = await readManifest(storage, instantMs)
    for (const one of [path, ...files.map(({ name }) => `${archiveFolder}/${name}`)]) paths.add(one)
    // One that is not listed was written after the listing. A former one may have been deleted.
    const isYoung = (writtenMs.get(path) ?? cutoffMs) >= cutoffMs
    const hasFormer = isYoung && former !== undefined && writtenMs.has(manifestPath(former))
    instantMs = hasFormer ? former : undefined
    paths = young
  }
  const unneeded = found.filter(({ path }) => !needed.has(path))
  return {
    expired: unneeded.filter(({ path }) => !young.has(path)),
    young: unneeded.filter(({ path }) => young.has(path)),
    needed: found.filter(({ path }) => needed.has(path)),
  }
}

/** Lists the files of one folder, without those of its folders. */
async function filesOf(storage: DeltaStorage, folder: string): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  for await (const page of storage.pages(folder)) {
    for (const { name, bytes, modifiedMs } of page)
      found.push({ path: `${folder}/${name}`, bytes, modifiedMs })
  }
  return found
}

/** @returns whether vacuum ignores a name: the log, change data, indexes, temporary files. */
export function isHiddenName(name: string): boolean {
  return name.startsWith('_') || name.startsWith('.')
}

/** Paths are URI-encoded. The undecoded one is kept as well, because a careless writer may not have encoded it. */
function possiblePaths({ path }: Pick<AddAction, 'path'>): string[] {
  const plain = posix.normalize(path)
  try {
    return [plain, posix.normalize(decodeURIComponent(path))]
  } catch {
    return [plain]
  }
}
