import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { TailraceError } from '../../../errors.ts'
import type { EmbeddedEngine, WrittenFile } from '../../duckdb.ts'
import { engineError } from '../../encoder-errors.ts'
import { readDeletedRows } from '../deleted-rows.ts'
import type { MetaDataAction } from '../delta-action.ts'
import type { DeltaStorage, LocalFile } from '../delta-storage.ts'
import { liveFile } from '../live-files.ts'
import { withLiveRows } from '../live-rows.ts'
import { writeCopy } from '../parquet-copy.ts'
import { schemaFields } from '../table-schema.ts'
import { columnCast } from './column-cast.ts'
import type { CompactionGroup } from './compaction-plan.ts'

export interface MergeContext {
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
  /** Where the merged file is written. */
  readonly stagingDirectory: string
  /** Whether rows are sorted by `event_time`, where there is that column. */
  readonly sortByTime: boolean
  /** Ends a merge that is under way. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Copies the live rows of some files of one partition into one staged file, with the columns of the table.
 *
 * @returns undefined when the files have no rows
 * @throws DISK_FULL, ENCODE_FAILED, TABLE_UNSUPPORTED, TABLE_CORRUPT, and the signal's reason: nothing is left behind
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
      const select = await mergedRows(source, metaData, sortByTime, engine)
      const target = join(stagingDirectory, `rewrite-${randomUUID()}.parquet`)
      const written = await writeCopy(select, target, engine, signal)
      const [counted] = await engine.rows(`SELECT count(*) AS rows FROM ${source}`, signal)
      if (Number(counted?.rows) !== (written?.rows ?? 0)) {
        throw new TailraceError('ENCODE_FAILED', `${what} has another number of rows.`, {
          context: { expected: Number(counted?.rows), found: written?.rows ?? 0 },
        })
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
): Promise<string> {
  const present = new Set(
    (await engine.rows(`DESCRIBE SELECT * FROM ${source}`)).map((row) =>
      String(row.column_name).toLowerCase(),
    ),
  )
  // A column that none of the files has is NULL without being written, as it was before.
  const columns = schemaFields(metaData).filter(
    ({ name }) => present.has(name.toLowerCase()) && !metaData.partitionColumns.includes(name),
  )
  const isSorted = sortByTime && columns.some(({ name }) => name === 'event_time')
  const order = isSorted ? ' ORDER BY event_time' : ''
  return `SELECT ${columns.map(columnCast).join(', ')} FROM ${source}${order}`
}

/** Opens files by path, all or none: those of a table far away are copied here. */
async function openAll(storage: DeltaStorage, paths: readonly string[]): Promise<LocalFile[]> {
  const opened = await Promise.allSettled(paths.map((path) => storage.localFile(path)))
  const failure = opened.find((one) => one.status === 'rejected')
  const files = opened.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
  if (failure === undefined) return files
  await Promise.all(files.map((file) => file.release()))
  throw failure.reason
}
