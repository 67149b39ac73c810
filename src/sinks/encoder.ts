import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Logger, silentLogger } from '../logger.ts'
import type { Batch } from '../records.ts'
import type { TableDeclaration } from '../tables/table.ts'
import { type EmbeddedEngine, sqlIdentifier, sqlString, type WrittenFile } from './duckdb.ts'
import { encodeError, errorKind } from './encoder-errors.ts'
import { filePathSql, parquetSql } from './parquet-files.ts'
import { carefulSettings, PartWriter, parquetOptions, rowGroupBytes, rowGroupRows } from './part-writer.ts'
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
  readonly logger?: Logger
}

// Each date written at the same time costs about 1 MiB of buffers per thread before it holds a row.
const datesAtOnce = 12

const utcDate = "timezone('UTC', event_time)::DATE"

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
  readonly #log: Logger

  constructor(options: SpoolEncoderOptions) {
    this.#byDates = options.files !== 'whole'
    this.#engine = options.engine
    this.#declaration = options.declaration
    this.#outputDirectory = options.outputDirectory
    this.#nowMs = options.nowMs ?? Date.now
    this.#log = options.logger ?? silentLogger
  }

  /**
   * Encodes a batch into Parquet files. Every entry of the spool becomes exactly one row.
   *
   * The files are the caller's to move or remove.
   *
   * @param signal interrupts the statement under way
   * @throws DISK_FULL, ENCODE_FAILED, or the signal's reason; the batch's files are removed
   */
  async encode(batch: Batch, signal?: AbortSignal): Promise<EncodedBatch> {
    // The prefix is what lets a later start tell this leftover of a crash as its own, and remove it.
    const directory = join(this.#outputDirectory, `encode-${batch.id}`)
    try {
      await mkdir(directory, { recursive: true })
      const writer = new PartWriter({
        engine: this.#engine,
        declaration: this.#declaration,
        spans: batch.spans,
        directory,
        leftOut: this.#byDates ? ` EXCLUDE (${this.#partitionColumns()})` : '',
        ingestMs: this.#nowMs(),
        signal,
        onUnencodable: (row, cause) =>
          this.#log.warn(
            { ...row, batch: batch.id, cause: errorKind(cause) },
            'a record could not be encoded: it becomes a rejected row',
          ),
      })
      const { together, careful } = await writer.write({
        path: batch.spoolPath,
        rows: batch.rows,
        bytes: batch.spoolBytes,
        longestRowBytes: batch.longestRowBytes,
      })
      const parts = await this.#joined(together, careful, { batch, directory, signal })
      const files: WrittenFile[] = []
      for (const part of parts) {
        files.push(...(this.#byDates ? await this.#byDate(part, { batch, directory, signal }) : [part]))
      }
      if (files.length === 0) await rm(directory, { recursive: true, force: true })
      const { rejected, partial } = await this.#countFlawed(parts, files, signal)
      return { files, rows: files.reduce((sum, { rows }) => sum + rows, 0), rejected, partial }
    } catch (error) {
      await rm(directory, { recursive: true, force: true })
      signal?.throwIfAborted()
      throw encodeError(error, batch)
    } finally {
      await this.#engine.returnMemory()
    }
  }

  /**
   * The files of pieces become one, because readers and tables want few files. Without partition folders the whole
   * batch becomes one: what loads it shall have one file to take or to leave.
   */
  async #joined(
    together: readonly WrittenFile[],
    careful: readonly WrittenFile[],
    work: EncodeWork,
  ): Promise<readonly WrittenFile[]> {
    if (this.#byDates) return [...together, ...(await this.#join(careful, work))]
    return this.#join([...together, ...careful], work)
  }

  async #join(
    parts: readonly WrittenFile[],
    { batch, directory, signal }: EncodeWork,
  ): Promise<readonly WrittenFile[]> {
    if (parts.length < 2) return parts
    const path = join(directory, `part-00000-${randomUUID()}.zstd.parquet`)
    const files = await this.#engine.withSettings(carefulSettings(batch.longestRowBytes), () =>
      this.#engine.copy(
        `COPY (FROM ${parquetSql(parts.map((part) => part.path))}) TO ${sqlString(path)} (${parquetOptions})`,
        signal,
      ),
    )
    for (const part of parts) await rm(part.path)
    return files
  }

  /**
   * Nearly every batch is of one date, which the file's statistics tell; only others are written again, by date.
   * Writing by date at once would hold buffers for every date and thread, whatever the batch.
   */
  async #byDate(whole: WrittenFile, work: EncodeWork): Promise<readonly WrittenFile[]> {
    const date = onlyDate(whole)
    if (date !== undefined) return [{ ...whole, partition: new Map([['event_date', date]]) }]

    const { longestRowBytes } = work.batch
    const heldRows = Math.max(1, Math.min(rowGroupRows, Math.floor(rowGroupBytes / longestRowBytes)))
    const settings = {
      ...(heldRows < rowGroupRows ? carefulSettings(longestRowBytes) : {}),
      partitioned_write_flush_threshold: heldRows,
    }
    const files = await this.#engine.withSettings(settings, () => this.#writeByDate(whole, work))
    await rm(whole.path)
    return files
  }

  async #writeByDate(whole: WrittenFile, work: EncodeWork): Promise<readonly WrittenFile[]> {
    const source = `read_parquet(${filePathSql(whole.path)})`
    const dates = await this.#engine.rows(
      `SELECT DISTINCT ${utcDate}::VARCHAR AS date FROM ${source} WHERE event_time IS NOT NULL ORDER BY date`,
      work.signal,
    )
    const files: WrittenFile[] = []
    for (let next = 0; next < dates.length; next += datesAtOnce) {
      const group = dates.slice(next, next + datesAtOnce)
      const [first, last] = [String(group[0]!.date), String(group[group.length - 1]!.date)]
      const condition = `event_time >= '${first} 00:00:00+00' AND event_time <= '${last} 23:59:59.999999+00'`
      files.push(...(await this.#writeDates(source, condition, work)))
    }
    if (whole.columns.get('event_time')?.nullCount !== 0) {
      files.push(...(await this.#writeDates(source, 'event_time IS NULL', work)))
    }
    return files
  }

  async #writeDates(
    source: string,
    condition: string,
    { directory, signal }: EncodeWork,
  ): Promise<readonly WrittenFile[]> {
    return this.#engine.copy(
      `COPY (SELECT *, ${utcDate} AS event_date FROM ${source} WHERE ${condition})
      TO ${sqlString(directory)} (${parquetOptions}, PARTITION_BY (${this.#partitionColumns()}),
        FILENAME_PATTERN 'part-00000-{uuid}.zstd', OVERWRITE_OR_IGNORE)`,
      signal,
    )
  }

  async #countFlawed(
    parts: readonly WrittenFile[],
    files: readonly WrittenFile[],
    signal: AbortSignal | undefined,
  ): Promise<{ rejected: number; partial: number }> {
    const statuses = parts.map(({ columns }) => columns.get('parse_status'))
    if (statuses.every((status) => status?.min === 'ok' && status.max === 'ok'))
      return { rejected: 0, partial: 0 }
    const paths = files.map(({ path }) => path)
    const [counts] = await this.#engine.rows(
      `SELECT count(*) FILTER (parse_status = 'rejected')::INTEGER AS rejected,
      count(*) FILTER (parse_status = 'partial')::INTEGER AS partial
      FROM ${parquetSql(paths)}`,
      signal,
    )
    return { rejected: Number(counts?.rejected), partial: Number(counts?.partial) }
  }

  #partitionColumns(): string {
    return this.#declaration.partitionColumns.map(sqlIdentifier).join(', ')
  }
}

/** What the steps of one batch share. */
interface EncodeWork {
  readonly batch: Batch
  readonly directory: string
  readonly signal: AbortSignal | undefined
}

/** The UTC date of all rows of a file; null when none has an event time; undefined when there are several. */
function onlyDate(file: WrittenFile): string | null | undefined {
  const time = file.columns.get('event_time')
  if (time === undefined) return undefined
  if (time.nullCount === file.rows) return null
  const [first, last] = [time.min?.slice(0, 10), time.max?.slice(0, 10)]
  return time.nullCount === 0 && first === last ? first : undefined
}
