import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { TailraceError } from '../../../errors.ts'
import type { EmbeddedEngine, WrittenFile } from '../../encoding/engine.ts'
import { engineError } from '../../encoding/engine-errors.ts'
import { liveFile } from '../files/live-files.ts'
import { readDeletedRows, withLiveRows } from '../files/live-rows.ts'
import { moveIn, moveOut, type PlacedFile, placeFile } from '../files/placement.ts'
import { type CopiedRows, writeCopy } from '../files/rewrite.ts'
import { type CommitContext, commit, mayBeVisible } from '../log/commit.ts'
import type { TableState } from '../log/state.ts'
import { type AddAction, type MetaDataAction, type PartitionValues, removalOf } from '../protocol/actions.ts'
import { columnCast, indexedColumns, schemaFields } from '../protocol/schema.ts'
import type { DeltaStorage, LocalFile } from '../storage/delta-storage.ts'
import type { CompactionGroup } from './compaction-plan.ts'
import { overtakenBy } from './overtaken.ts'

export interface MergeContext {
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
  /** Directory for the merged file. */
  readonly stagingDirectory: string
  /** Whether rows are sorted by `event_time`, if the table has that column. */
  readonly sortByTime: boolean
  /** Aborts a running merge. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Copies the live rows of a group of files into one staged file, with the columns of the table.
 *
 * @returns undefined when the files have no live rows
 * @throws DISK_FULL, ENCODE_FAILED, TABLE_UNSUPPORTED, TABLE_CORRUPT, or the signal's reason; no file is left then
 */
export async function mergeFiles(
  { files, partitionValues, bytes }: CompactionGroup,
  metaData: MetaDataAction,
  { storage, engine, stagingDirectory, sortByTime, signal }: MergeContext,
): Promise<WrittenFile | undefined> {
  const what = `the merged copy of ${files.length} files`
  const live = files.map(liveFile)
  const deleted = await readDeletedRows(storage, live)
  const inputs = await openAll(
    storage,
    live.map(({ path }) => path),
  )
  const sources = inputs.map(({ path }, index) => ({ path, deleted: deleted.get(live[index]!.path) }))
  try {
    return await withLiveRows(engine, sources, async (source) => {
      const merged = await mergedRows(source, metaData, sortByTime, engine)
      const target = join(stagingDirectory, `rewrite-${randomUUID()}.parquet`)
      const written = await writeCopy(merged, target, engine, signal)
      const [counted] = await engine.rows(`SELECT count(*) AS rows FROM ${source}`, signal)
      if (Number(counted?.rows) !== (written?.rows ?? 0)) {
        throw new TailraceError(
          'ENCODE_FAILED',
          `${what} was discarded: expected ${Number(counted?.rows)} rows, found ${written?.rows ?? 0}.`,
          { context: { expected: Number(counted?.rows), found: written?.rows ?? 0 } },
        )
      }
      return written && { ...written, partition: new Map(Object.entries(partitionValues)) }
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw engineError(error, what, { files: files.length, bytes })
  } finally {
    await Promise.all(inputs.map((input) => input.release()))
  }
}

async function mergedRows(
  source: string,
  metaData: MetaDataAction,
  sortByTime: boolean,
  engine: EmbeddedEngine,
): Promise<CopiedRows> {
  const present = new Set(
    (await engine.rows(`DESCRIBE SELECT * FROM ${source}`)).map((row) =>
      String(row.column_name).toLowerCase(),
    ),
  )
  // A column that none of the files has stays out of the merged file too: readers take it as NULL.
  const columns = schemaFields(metaData).filter(
    ({ name }) => present.has(name.toLowerCase()) && !metaData.partitionColumns.includes(name),
  )
  const isSorted = sortByTime && columns.some(({ name }) => name === 'event_time')
  return {
    rows: `SELECT ${columns.map(columnCast).join(', ')} FROM ${source}`,
    order: isSorted ? ' ORDER BY event_time' : '',
  }
}

/** Opens all files as local files; after an error, none stays open. */
async function openAll(storage: DeltaStorage, paths: readonly string[]): Promise<LocalFile[]> {
  const opened = await Promise.allSettled(paths.map((path) => storage.localFile(path)))
  const failure = opened.find((one) => one.status === 'rejected')
  const files = opened.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
  if (failure === undefined) return files
  await Promise.all(files.map((file) => file.release()))
  throw failure.reason
}

/**
 * Replaces a group of files by their merged file, in one commit. Offsets stay unchanged, and concurrent appends are no
 * conflict.
 *
 * @param written undefined when the files had no live rows; they are only removed then
 * @returns the new file
 * @throws Overtaken when another commit removed one of the files or changed the table's protocol or metadata.
 * After any error but COMMIT_UNKNOWN, the merged file is back where it was staged
 */
export async function commitMerge(
  state: TableState,
  group: CompactionGroup,
  written: WrittenFile | undefined,
  context: CommitContext,
): Promise<AddAction | undefined> {
  const { storage, clock } = context
  const placed = placedFiles(written, state, clock.now())
  const check = overtakenBy(group.files, state)
  await moveIn(storage, placed)
  try {
    await commit(
      state,
      {
        info: {
          operation: 'OPTIMIZE',
          operationParameters: {
            predicate: JSON.stringify([partitionPredicate(group.partitionValues)]),
            zOrderBy: '[]',
          },
          isBlindAppend: false,
          operationMetrics: {
            numRemovedFiles: String(group.files.length),
            numRemovedBytes: String(group.bytes),
            numAddedFiles: String(placed.length),
            numAddedBytes: String(written?.bytes ?? 0),
            numOutputRows: String(written?.rows ?? 0),
          },
        },
        actions: [
          ...group.files.map((file) => ({ remove: removalOf(file, clock.now(), false) })),
          ...placed.map(({ add }) => ({ add })),
        ],
        check,
      },
      context,
    )
  } catch (error) {
    if (!mayBeVisible(error)) await moveOut(storage, placed)
    throw error
  }
  return placed[0]?.add
}

function placedFiles(
  written: WrittenFile | undefined,
  { metaData }: TableState,
  nowMs: number,
): PlacedFile[] {
  const { partitionColumns } = metaData
  const placed = written && placeFile(written, partitionColumns, indexedColumns(metaData), nowMs)
  return placed === undefined ? [] : [{ ...placed, add: { ...placed.add, dataChange: false } }]
}

/** The partition as shown in the table's history. */
function partitionPredicate(values: PartitionValues): string {
  return Object.entries(values)
    .map(([name, value]) => (value ? `${name} = '${value}'` : `${name} IS NULL`))
    .join(' AND ')
}
