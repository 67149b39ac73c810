import { randomUUID } from 'node:crypto'
import type { WrittenFile } from '../../encoding/engine.ts'
import type { AddAction, PartitionValues } from '../protocol/actions.ts'
import type { IndexedColumn } from '../protocol/schema.ts'
import { fileStatistics } from '../protocol/statistics.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'

/** A staged file and its future place in the table. */
export interface PlacedFile {
  readonly localPath: string
  readonly add: AddAction
}

/** Values that need no escape in a file name, a Hive folder name or a URI. */
const plainValue = /^[A-Za-z0-9._-]+$/

const nullPartition = '__HIVE_DEFAULT_PARTITION__'

/**
 * Chooses the path of a written file in the table and builds its add action.
 *
 * @param nowMs milliseconds since the epoch
 * @returns undefined for a file without rows
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

/** Moves files into the table. After an error, all of them are back where they were staged. */
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
 * Moves the files of a failed commit back to where they were staged, so that the same batch can be landed again.
 * A file that cannot be moved stays in the table unreferenced, which no reader sees.
 */
export async function moveOut(storage: DeltaStorage, files: readonly PlacedFile[]): Promise<void> {
  await Promise.allSettled(files.map(({ localPath, add }) => storage.withdrawFile(add.path, localPath)))
}

/** Hive folders are only a convention: readers take the values from the log. Values that need escapes get no folder. */
function partitionFolder(values: PartitionValues): string {
  const folders = Object.entries(values).map(([name, value]) => [name, value ?? nullPartition] as const)
  const plain = folders.every((parts) => parts.every((part) => plainValue.test(part)))
  return plain ? folders.map(([name, value]) => `${name}=${value}/`).join('') : ''
}
