import { randomUUID } from 'node:crypto'
import type { WrittenFile } from '../../encoding/engine.ts'
import type { AddAction, PartitionValues } from '../protocol/actions.ts'
import { fileStatistics, type IndexedColumn } from '../protocol/statistics.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'

/** A staged file and the place it gets in the table. */
export interface PlacedFile {
  readonly localPath: string
  readonly add: AddAction
}

/** Characters that mean themselves in a file name, a Hive folder and a URI alike. */
const plainValue = /^[A-Za-z0-9._-]+$/

const nullPartition = '__HIVE_DEFAULT_PARTITION__'

/**
 * Decides where a written file goes and what the log says of it. Files without rows get no place.
 *
 * @param nowMs milliseconds since the epoch
 */
export function placeFile(
  file: WrittenFile,
  partitionColumns: readonly string[],
  indexed: readonly IndexedColumn[],
  nowMs: number,
): PlacedFile | undefined {
  if (file.rows === 0) return undefined
  const values: PartitionValues = Object.fromEntries(
    partitionColumns.map((name) => [name, file.partition.get(name) || null]),
  )
  return {
    localPath: file.path,
    add: {
      path: `${partitionFolder(values)}part-00000-${randomUUID()}.zstd.parquet`,
      partitionValues: values,
      size: file.bytes,
      modificationTime: nowMs,
      dataChange: true,
      stats: fileStatistics(file, indexed),
    },
  }
}

/** Moves files into the table, all or none. */
export async function moveIn(storage: DeltaStorage, files: readonly PlacedFile[]): Promise<void> {
  const moves = await Promise.allSettled(
    files.map(({ localPath, add }) => storage.putFile(localPath, add.path)),
  )
  const failure = moves.find((move) => move.status === 'rejected')
  if (failure === undefined) return
  const moved = files.filter((_, index) => moves[index]?.status === 'fulfilled')
  await moveOut(storage, moved)
  throw failure.reason
}

/**
 * Takes files of a failed commit back to where they were staged, so that the same batch can be landed again.
 * A file that cannot be taken back stays as an unreferenced one, which no reader sees.
 */
export async function moveOut(storage: DeltaStorage, files: readonly PlacedFile[]): Promise<void> {
  await Promise.allSettled(files.map(({ localPath, add }) => storage.withdrawFile(add.path, localPath)))
}

/** Folders are a convention; readers take the values from the log. A value that would need escapes gets none. */
function partitionFolder(values: PartitionValues): string {
  const folders = Object.entries(values).map(([name, value]) => [name, value ?? nullPartition] as const)
  const plain = folders.every((parts) => parts.every((part) => plainValue.test(part)))
  return plain ? folders.map(([name, value]) => `${name}=${value}/`).join('') : ''
}
