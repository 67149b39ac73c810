import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Span } from '../../../records.ts'
import { type EmbeddedEngine, sqlString, type WrittenFile } from '../../encoding/engine.ts'
import { engineError, isOutOfMemory } from '../../encoding/engine-errors.ts'
import { carefulSettings, parquetOptions } from '../../encoding/part-writer.ts'
import type { AddAction } from '../protocol/actions.ts'
import { compareText } from '../protocol/statistics.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { liveFile } from './live-files.ts'
import { readDeletedRows, withLiveRows } from './live-rows.ts'

/** A live file with rows of a span, and the copy that keeps its other rows. */
export interface RewrittenFile {
  readonly original: AddAction
  readonly removedRows: number
  /** The other rows as a new staged file; undefined when there are none. */
  readonly kept: WrittenFile | undefined
}

interface RangeBounds {
  readonly source_blob?: string | undefined
  readonly source_generation?: string | undefined
  readonly source_offset?: number | undefined
}

/** @returns the SQL condition that a row belongs to the span; NULL for a row without provenance. */
export function spanCondition({ blob, generation, start, end }: Span): string {
  return (
    `source_blob = ${sqlString(blob)} AND source_generation = ${sqlString(generation)} ` +
    `AND source_offset >= ${start} AND source_offset < ${end}`
  )
}

/** @returns false only when the statistics prove that the file has no row of the span. */
export function mayHoldRowsOf(span: Span, { stats }: Pick<AddAction, 'stats'>): boolean {
  if (stats === undefined) return true
  const {
    numRecords,
    minValues = {},
    maxValues = {},
  } = JSON.parse(stats) as {
    readonly numRecords?: number
    readonly minValues?: RangeBounds
    readonly maxValues?: RangeBounds
  }
  if (numRecords === 0) return false
  return (
    liesBetween(span.blob, minValues.source_blob, maxValues.source_blob) &&
    liesBetween(span.generation, minValues.source_generation, maxValues.source_generation) &&
    (maxValues.source_offset ?? Number.POSITIVE_INFINITY) >= span.start &&
    (minValues.source_offset ?? Number.NEGATIVE_INFINITY) < span.end
  )
}

export interface RewriteContext {
  readonly storage: DeltaStorage
  readonly engine: EmbeddedEngine
  /** Directory for the copies. */
  readonly stagingDirectory: string
}

/**
 * Copies a file without the span's rows and without rows that a deletion vector deletes.
 *
 * @returns undefined when the file has no row of the span
 * @throws DISK_FULL, ENCODE_FAILED, TABLE_CORRUPT, TABLE_UNSUPPORTED; no copy is left then
 */
export async function rewriteWithout(
  span: Span,
  original: AddAction,
  { storage, engine, stagingDirectory }: RewriteContext,
): Promise<RewrittenFile | undefined> {
  const live = liveFile(original)
  const { path } = live
  const deleted = (await readDeletedRows(storage, [live])).get(path)
  const file = await storage.localFile(path)
  try {
    return await withLiveRows(engine, [{ path: file.path, deleted }], async (source) => {
      const condition = spanCondition(span)
      const [counts] = await engine.rows(
        `SELECT count(*) AS all_rows, count(*) FILTER (WHERE ${condition}) AS span_rows FROM ${source}`,
      )
      const removedRows = Number(counts?.span_rows)
      if (removedRows === 0) return undefined
      if (removedRows === Number(counts?.all_rows)) return { original, removedRows, kept: undefined }

      const target = join(stagingDirectory, `rewrite-${randomUUID()}.parquet`)
      const written = await writeCopy(
        `SELECT * FROM ${source} WHERE (${condition}) IS NOT TRUE`,
        target,
        engine,
      )
      if (written === undefined) return { original, removedRows, kept: undefined }
      const partition = new Map(Object.entries(original.partitionValues))
      return { original, removedRows, kept: { ...written, partition } }
    })
  } catch (error) {
    throw engineError(error, `the copy of ${path}`, { path, bytes: original.size })
  } finally {
    await file.release()
  }
}

function liesBetween(value: string, min: string | undefined, max: string | undefined): boolean {
  return (
    (min === undefined || compareText(min, value) <= 0) && (max === undefined || compareText(value, max) <= 0)
  )
}

/** Row length assumed for a file that does not fit in the usual memory: the default limit of a line. */
const maxUsualRowBytes = 16 * 1024 * 1024

/**
 * Writes rows of the table to one new Parquet file, with the encoder's settings.
 *
 * @param select SQL of the rows
 * @returns undefined when there is no row
 * @throws the engine's error or the signal's reason; no file is left then
 */
export async function writeCopy(
  select: string,
  target: string,
  engine: EmbeddedEngine,
  signal?: AbortSignal,
): Promise<WrittenFile | undefined> {
  const write = () => engine.copy(`COPY (${select}) TO ${sqlString(target)} (${parquetOptions})`, signal)
  try {
    const [written] = await write().catch((error: unknown) => {
      if (isOutOfMemory(error)) return engine.withSettings(carefulSettings(maxUsualRowBytes), write)
      throw error
    })
    return written
  } catch (error) {
    await rm(target, { force: true })
    throw error
  }
}
