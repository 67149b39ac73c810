import { decodeDeletionVector, deletionVectorPath, missingDeletionVector } from './deletion-vector.ts'
import type { DeltaStorage } from './delta-storage.ts'
import type { LiveFile } from './live-files.ts'
import type { NumberSet } from './roaring-bitmap.ts'

/** Files of deletion vectors that are read at a time; each holds the vectors of a few megabytes at most. */
const parallelReads = 8

/**
 * Reads which rows of some files are deleted, each file of deletion vectors once.
 *
 * @returns by the files' paths, those without a deletion vector left out
 * @throws TABLE_CORRUPT when a vector is missing or not what the log says, TABLE_UNSUPPORTED when one lies outside of
 * the table
 */
export async function readDeletedRows(
  storage: Pick<DeltaStorage, 'location' | 'read'>,
  files: readonly Pick<LiveFile, 'path' | 'deletionVector'>[],
): Promise<ReadonlyMap<string, NumberSet>> {
  const deleted = new Map<string, NumberSet>()
  const stored = new Map<string, (typeof files)[number][]>()
  for (const file of files) {
    if (file.deletionVector === undefined) continue
    const path = deletionVectorPath(file.deletionVector, storage.location)
    if (path === undefined) deleted.set(file.path, decodeDeletionVector(file.deletionVector, undefined))
    else {
      const some = stored.get(path) ?? []
      stored.set(path, some)
      some.push(file)
    }
  }
  const waiting = [...stored]
  while (waiting.length > 0) {
    await Promise.all(
      waiting.splice(0, parallelReads).map(async ([path, some]) => {
        const bytes = await storage.read(path)
        for (const { path: marked, deletionVector } of some) {
          if (bytes === undefined) throw missingDeletionVector(deletionVector!, path)
          deleted.set(marked, decodeDeletionVector(deletionVector!, bytes))
        }
      }),
    )
  }
  return deleted
}
