import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Batch } from '../records.ts'
import type { RowsPart, TableDeclaration } from '../tables/table.ts'
import { type EmbeddedEngine, sqlIdentifier, sqlString, type WrittenFile } from './duckdb.ts'
import { encodeError, isOutOfMemory } from './encoder-errors.ts'
import { filePathSql, parquetSql } from './parquet-files.ts'
import { ordinaryRowBytes, spoolProjectionSql } from './projection.ts'
import type { EncodedBatch } from './table-committer.ts'

export interface SpoolEncoderOptions {
  readonly engine: EmbeddedEngine
  readonly declaration: TableDeclaration
  /** Directory under which each batch gets a directory `encode-<id>` of its own; made when missing. */
  readonly outputDirectory: string
  /**
   * `by-date`: one file per event date, without the partition columns, as Delta wants them. `whole`: one file with
   * every column. Default `by-date`.
   */
  readonly files?: 'by-date' | 'whole'
  /** Clock of `ingest_ts`, milliseconds since the epoch. Default Date.now. */
  readonly nowMs?: () => number
}

// DuckDB holds a row group per thread before it compresses it: 10,240 log records are about 6 MiB of text, and files
// are 2 % larger than with four times as many.
const rowGroupRows = 10_240

// A single row can be 16 MiB; this many bytes close a row group early.
const rowGroupBytes = '8MB'

// Each date written at the same time costs about 1 MiB of buffers per thread before it holds a row.
const datesAtOnce = 12

const utcDate = "timezone('UTC', event_time)::DATE"

// The projection is written so that these find nothing in it, and looking takes as long as encoding 8 MiB.
// Pushing its filter down would evaluate everything below the filter twice.
export const idleOptimizers =
  'common_subexpressions,expression_rewriter,in_clause,statistics_propagation,filter_pushdown,filter_pullup'

/**
 * Turns sealed spools into Parquet: one SQL statement reads, projects, casts and writes them, outside JavaScript.
 *
 * It encodes one batch at a time.
 */
export class SpoolEncoder {
  readonly #engine: EmbeddedEngine
  readonly #declaration: TableDeclaration
  readonly #outputDirectory: string
  readonly #nowMs: () => number
  readonly #byDates: boolean

  constructor(options: SpoolEncoderOptions) {
    this.#byDates = options.files !== 'whole'
    this.#engine = options.engine
    this.#declaration = options.declaration
    this.#outputDirectory = options.outputDirectory
    this.#nowMs = options.nowMs ?? Date.now
  }

  /**
   * Encodes a batch into Parquet files. Every entry of the spool becomes exactly one row.
   *
   * The files are the caller's to move or remove.
   *
   * @throws DISK_FULL or ENCODE_FAILED; the batch's files are removed
   */
  async encode(batch: Batch): Promise<EncodedBatch> {
    // The prefix is what lets a later start tell this leftover of a crash as its own, and remove it.
    const directory = join(this.#outputDirectory, `encode-${batch.id}`)
    try {
      await mkdir(directory, { recursive: true })
      const usual = await this.#writePart(batch, 'usual', directory)
      // Nearly always this was all; else the rest takes the long way.
      const others =
        usual !== undefined && usual.rows === batch.rows
          ? undefined
          : await this.#writePart(batch, 'others', directory)
      const parts = [usual, others].filter((part) => part !== undefined)
      const files: WrittenFile[] = []
      if (this.#byDates) for (const part of parts) files.push(...(await this.#byDate(part, directory)))
      else files.push(...(await this.#joined(parts, directory)))
      if (files.length === 0) await rm(directory, { recursive: true, force: true })
      const { rejected, partial } = await this.#countFlawed(parts, files)
      return { files, rows: files.reduce((sum, { rows }) => sum + rows, 0), rejected, partial }
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      throw encodeError(error, batch)
    } finally {
      await this.#engine.returnMemory()
    }
  }

  async #writePart(batch: Batch, part: RowsPart, directory: string): Promise<WrittenFile | undefined> {
    const select = spoolProjectionSql(this.#declaration, batch, { ingestMs: this.#nowMs(), part })
    const path = join(directory, `part-00000-${randomUUID()}.zstd.parquet`)
    const write = (settings: EngineSettings): Promise<readonly WrittenFile[]> =>
      this.#engine.withSettings(settings, () =>
        this.#engine.copy(`COPY (SELECT *${this.#left()} FROM (${select}))
          TO ${sqlString(path)} (${parquetOptions})`),
      )
    const hasLongRows = batch.longestRowBytes > ordinaryRowBytes
    const [file] = hasLongRows
      ? await write(roomySettings(batch.longestRowBytes))
      : await write(ordinarySettings).catch((error: unknown) => {
          // How much two threads need depends on how the lines fall; one thread and more room always suffice.
          if (isOutOfMemory(error)) return write(roomySettings(batch.longestRowBytes))
          throw error
        })
    if (file !== undefined && file.rows > 0) return file
    await rm(path, { force: true })
    return undefined
  }

  /**
   * Nearly every batch is of one date, which the file's statistics tell; only others are written again, by date.
   * Writing by date at once would hold buffers for every date and thread, whatever the batch.
   */
  async #byDate(whole: WrittenFile, directory: string): Promise<readonly WrittenFile[]> {
    const date = onlyDate(whole)
    if (date !== undefined) return [{ ...whole, partition: new Map([['event_date', date]]) }]

    const files = await this.#engine.withSettings({ partitioned_write_flush_threshold: rowGroupRows }, () =>
      this.#writeByDate(whole, directory),
    )
    await rm(whole.path)
    return files
  }

  /** A batch with lines of unusual form has two parts; what loads it shall have one file to take or to leave. */
  async #joined(parts: readonly WrittenFile[], directory: string): Promise<readonly WrittenFile[]> {
    if (parts.length < 2) return parts
    const paths = parts.map((part) => part.path)
    const path = join(directory, `part-00000-${randomUUID()}.zstd.parquet`)
    const files = await this.#engine.copy(`COPY (FROM ${parquetSql(paths)})
      TO ${sqlString(path)} (${parquetOptions})`)
    for (const part of parts) await rm(part.path)
    return files
  }

  async #writeByDate(whole: WrittenFile, directory: string): Promise<readonly WrittenFile[]> {
    const source = `read_parquet(${filePathSql(whole.path)})`
    const dates = await this.#engine.rows(
      `SELECT DISTINCT ${utcDate}::VARCHAR AS date FROM ${source} WHERE event_time IS NOT NULL ORDER BY date`,
    )
    const files: WrittenFile[] = []
    for (let next = 0; next < dates.length; next += datesAtOnce) {
      const group = dates.slice(next, next + datesAtOnce)
      const [first, last] = [String(group[0]!.date), String(group[group.length - 1]!.date)]
      files.push(
        ...(await this.#writeDates(
          source,
          `event_time >= '${first} 00:00:00+00' AND event_time <= '${last} 23:59:59.999999+00'`,
          directory,
        )),
      )
    }
    if (whole.columns.get('event_time')?.nullCount !== 0) {
      files.push(...(await this.#writeDates(source, 'event_time IS NULL', directory)))
    }
    return files
  }

  async #writeDates(source: string, condition: string, directory: string): Promise<readonly WrittenFile[]> {
    return this.#engine.copy(`COPY (SELECT *, ${utcDate} AS event_date FROM ${source} WHERE ${condition})
      TO ${sqlString(directory)} (${parquetOptions}, PARTITION_BY (${this.#partitionColumns()}),
        FILENAME_PATTERN 'part-00000-{uuid}.zstd', OVERWRITE_OR_IGNORE)`)
  }

  async #countFlawed(
    parts: readonly WrittenFile[],
    files: readonly WrittenFile[],
  ): Promise<{ rejected: number; partial: number }> {
    const statuses = parts.map(({ columns }) => columns.get('parse_status'))
    if (statuses.every((status) => status?.min === 'ok' && status.max === 'ok'))
      return { rejected: 0, partial: 0 }
    const paths = files.map(({ path }) => path)
    const [counts] =
      await this.#engine.rows(`SELECT count(*) FILTER (parse_status = 'rejected')::INTEGER AS rejected,
      count(*) FILTER (parse_status = 'partial')::INTEGER AS partial
      FROM ${parquetSql(paths)}`)
    return { rejected: Number(counts?.rejected), partial: Number(counts?.partial) }
  }

  /** What a file leaves out because its place in the table says it. */
  #left(): string {
    return this.#byDates ? ` EXCLUDE (${this.#partitionColumns()})` : ''
  }

  #partitionColumns(): string {
    return this.#declaration.partitionColumns.map(sqlIdentifier).join(', ')
  }
}

/** How every Parquet file is written. V1 data pages are DuckDB's default and the only ones every reader knows. */
export const parquetOptions = `FORMAT parquet, COMPRESSION zstd, RETURN_STATS,
  ROW_GROUP_SIZE ${rowGroupRows}, ROW_GROUP_SIZE_BYTES '${rowGroupBytes}'`

type EngineSettings = Readonly<Record<string, string | number>>

const ordinarySettings: EngineSettings = { disabled_optimizers: idleOptimizers }

/**
 * The longest row passes through many buffers, from the reader's to the compressor's, which DuckDB counts in full
 * although most stay untouched. On one thread they are allowed for; the process stays below 450 MB.
 */
export function roomySettings(longestRowBytes: number): EngineSettings {
  const memoryMiB = 300 + Math.ceil((16 * longestRowBytes) / (1024 * 1024))
  return { disabled_optimizers: idleOptimizers, threads: 1, memory_limit: `${memoryMiB}MiB` }
}

/** The UTC date of all rows of a file; null when none has an event time; undefined when there are several. */
function onlyDate(file: WrittenFile): string | null | undefined {
  const time = file.columns.get('event_time')
  if (time === undefined) return undefined
  if (time.nullCount === file.rows) return null
  const [first, last] = [time.min?.slice(0, 10), time.max?.slice(0, 10)]
  return time.nullCount === 0 && first === last ? first : undefined
}
