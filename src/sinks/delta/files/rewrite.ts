import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Span } from '../../../records.ts'
import { type EmbeddedEngine, sqlString, type WrittenFile } from '../../encoding/engine.ts'
import { engineError, isOutOfMemory } from '../../encoding/engine-errors.ts'
import { carefulSettings, parquetOptions } from '../../encoding/statement-settings.ts'
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
      const rows = `SELECT * FROM ${source} WHERE (${condition}) IS NOT TRUE`
      const written = await writeCopy({ rows }, target, engine)
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

/** Rows to copy. */
export interface CopiedRows {
  /** SQL that selects them, with a column `raw` in any table of Tailrace. */
  readonly rows: string
  /** SQL of an order; without effect on rows that do not fit into the usual memory, because sorting holds all of them. */
  readonly order?: string | undefined
}

/**
 * Writes rows of the table to one new Parquet file, with the encoder's settings. Rows that do not fit into the usual
 * memory are copied again one by one, with the memory that the longest one needs.
 *
 * @returns undefined when there is no row
 * @throws the engine's error or the signal's reason; no file is left then
 */
export async function writeCopy(
  { rows, order = '' }: CopiedRows,
  target: string,
  engine: EmbeddedEngine,
  signal?: AbortSignal,
): Promise<WrittenFile | undefined> {
  const write = (select: string) =>
    engine.copy(`COPY (${select}) TO ${sqlString(target)} (${parquetOptions})`, signal)
  try {
    const [written] = await write(`${rows}${order}`).catch(async (error: unknown) => {
      if (!isOutOfMemory(error)) throw error
      const longest = await longestRowBytes(rows, engine, signal)
      return engine.withSettings(carefulSettings(longest), () => write(rows))
    })
    return written
  } catch (error) {
    await rm(target, { force: true })
    throw error
  }
}

/** Bytes of the longest text that a record had; a row has it in up to three columns. */
async function longestRowBytes(
  rows: string,
  engine: EmbeddedEngine,
  signal: AbortSignal | undefined,
): Promise<number> {
  // Other engines may have made the table.
  const columns = await engine.rows(`DESCRIBE ${rows}`, signal)
  if (!columns.some(({ column_name: name }) => name === 'raw')) return maxUsualRowBytes
  const longest = `SELECT max(strlen(raw)) AS bytes FROM (${rows})`
  const [found] = await engine.withSettings(carefulSettings(maxUsualRowBytes), () =>
    engine.rows(longest, signal),
  )
  return Math.max(1, Number(found?.bytes ?? 0))
}

/** Row length assumed without a column `raw`: the default limit of a line. */
const maxUsualRowBytes = 16 * 1024 * 1024
