import { posix } from 'node:path'
import { deletionVectorName, isDeletionVectorName } from '../deletion-vector.ts'
import type { AddAction } from '../delta-action.ts'
import { storagePath } from '../delta-action.ts'
import type { RemovedFile } from '../table-state.ts'

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
