import { posix } from 'node:path'
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
 * Decides which files may go (PROTOCOL.md and Spark's VACUUM, read 2026-11): data files that are not live, that were
 * not removed within the retention, and that are themselves older than it.
 *
 * Only Parquet files are data files to it. Deletion vectors stay, although their names are no hidden ones.
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
  const needed = new Set<string>()
  for (const file of live) {
    storagePath(file)
    for (const path of readings(file)) needed.add(path)
  }
  for (const file of removed) {
    if (file.deletionTimestamp >= cutoffMs) for (const path of readings(file)) needed.add(path)
  }
  const data = found.filter(({ path }) => path.endsWith('.parquet'))
  const unneeded = data.filter(({ path }) => !needed.has(path))
  return {
    expired: unneeded.filter(({ modifiedMs }) => modifiedMs < cutoffMs),
    young: unneeded.filter(({ modifiedMs }) => modifiedMs >= cutoffMs),
    needed: data.filter(({ path }) => needed.has(path)),
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
