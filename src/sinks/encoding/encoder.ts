import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../clock.ts'
import { SerialQueue } from '../../offsets/serial-queue.ts'
import { type Batch, rejectedRowReasons } from '../../records.ts'
import { type Logger, silentLogger } from '../../reporting/logger.ts'
import { removeStaged } from '../../streams/staging/staging.ts'
import type { PartitionColumn, TableDeclaration } from '../../tables/table.ts'
import type { EncodedBatch } from '../table-committer.ts'
import { type EmbeddedEngine, parquetSql, sqlIdentifier, sqlString, type WrittenFile } from './engine.ts'
import { encodeError, errorKind } from './engine-errors.ts'
import { KeptPlan } from './kept-plan.ts'
import { newPartPath, PartWriter, type WrittenParts } from './part-writer.ts'
import { PartitionWriter } from './partition-writer.ts'
import { carefulSettings, parquetOptions } from './statement-settings.ts'

export interface SpoolEncoderOptions {
  readonly engine: EmbeddedEngine
  readonly declaration: TableDeclaration
  /** Directory in which each batch gets a directory `encode-<id>`; created if missing. */
  readonly outputDirectory: string
  /**
   * `by-partition`: one file per partition, without the partition columns, as Delta requires. `whole`: one file with every
   * column. Default `by-partition`.
   */
  readonly files?: 'by-partition' | 'whole' | undefined
  /** Time for `ingest_ts`, in milliseconds since the epoch. Default: the system's clock. */
  readonly nowMs?: (() => number) | undefined
  /** Encoders with the same queue take turns. Default: a queue of its own. */
  readonly turns?: SerialQueue | undefined
  /** Steps that take several times a long row's memory, also those of other stages. Default: a queue of its own. */
  readonly longTexts?: SerialQueue | undefined
  readonly logger?: Logger | undefined
}

/** Counts go by known reasons alone, so that no content of a record becomes the name of a count. */
const knownReasons: ReadonlySet<string> = new Set(rejectedRowReasons)

/**
 * Encodes sealed spools as Parquet: one SQL statement reads, projects, casts and writes the rows, outside of JavaScript.
 *
 * Encodes one batch at a time, also of several encoders that share a queue.
 */
export class SpoolEncoder {
  readonly #engine: EmbeddedEngine
  readonly #declaration: TableDeclaration
  readonly #outputDirectory: string
  readonly #nowMs: () => number
  readonly #files: 'by-partition' | 'whole'
  readonly #partitions: readonly PartitionColumn[]
  readonly #keptPlan: KeptPlan
  readonly #turns: SerialQueue
  readonly #longTexts: SerialQueue
  readonly #log: Logger
  /** Whether the last batch had texts that are not JSON. */
  #checksTexts = false

  constructor(options: SpoolEncoderOptions) {
    this.#files = options.files ?? 'by-partition'
    this.#partitions = this.#files === 'whole' ? [] : options.declaration.partitionColumns
    this.#engine = options.engine
    this.#declaration = options.declaration
    this.#outputDirectory = options.outputDirectory
    this.#turns = options.turns ?? new SerialQueue()
    this.#longTexts = options.longTexts ?? new SerialQueue()
    this.#nowMs = options.nowMs ?? systemClock.now
    this.#log = options.logger ?? silentLogger
    this.#keptPlan = new KeptPlan({
      engine: this.#engine,
      declaration: this.#declaration,
      leftOut: this.#leftOut(),
      directory: this.#outputDirectory,
    })
  }

  /**
   * Encodes a batch into Parquet files. Every entry of the spool becomes exactly one row.
   *
   * The caller has to move or remove the files.
   *
   * @param signal interrupts the running statement
   * @throws DISK_FULL, ENCODE_FAILED, or the signal's reason; the batch's files are removed
   */
  encode(batch: Batch, signal?: AbortSignal): Promise<EncodedBatch> {
    return this.#turns.run(async () => {
      signal?.throwIfAborted()
      return this.#encode(batch, signal)
    })
  }

  async #encode(batch: Batch, signal: AbortSignal | undefined): Promise<EncodedBatch> {
    // By this prefix, a later start recognizes and removes the directory after a crash.
    const directory = join(this.#outputDirectory, `encode-${batch.id}`)
    try {
      await mkdir(directory, { recursive: true })
      const writer = new PartWriter({
        engine: this.#engine,
        declaration: this.#declaration,
        keptPlan: this.#keptPlan,
        spans: batch.spans,
        directory,
        leftOut: this.#leftOut(),
        ingestMs: this.#nowMs(),
        signal,
        longTexts: this.#longTexts,
        checksTexts: this.#checksTexts,
        onUnencodable: (row, cause) =>
          this.#log.warn(
            { ...row, batch: batch.id, cause: errorKind(cause) },
            'a record could not be encoded: it becomes a rejected row',
          ),
      })
      const written = await writer.write({
        path: batch.spoolPath,
        rows: batch.rows,
        bytes: batch.spoolBytes,
        longestRowBytes: batch.longestRowBytes,
        largestVectorBytes: batch.largestVectorBytes,
      })
      const parts = await this.#joined(written, { batch, directory, signal })
      // Before they are divided: to read a file for each of a thousand dates takes 200 MiB.
      const flawed = await this.#countFlawed(parts, signal)
      const partitions = new PartitionWriter({
        engine: this.#engine,
        columns: this.#partitions,
        directory,
        longestRowBytes: batch.longestRowBytes,
        signal,
      })
      const files: WrittenFile[] = []
      for (const part of parts) files.push(...(await partitions.filesOf(part)))
      if (files.length === 0) await removeStaged(directory, this.#log)
      this.#checksTexts = written.checksTexts && flawed.rejected > batch.rejected
      return { files, rows: files.reduce((sum, { rows }) => sum + rows, 0), ...flawed }
    } catch (error) {
      await removeStaged(directory, this.#log)
      signal?.throwIfAborted()
      throw encodeError(error, batch)
    } finally {
      // Not awaited, because it takes as long as the commit. The next statement waits for it.
      this.#engine
        .returnMemory()
        .catch((error: unknown) => this.#log.warn({ err: error }, 'the engine did not give memory back'))
    }
  }

  /**
   * Joins the files of pieces, because tables should have few files; those of very long rows are large enough already, and
   * a copy of them would take more memory than their encoding. With `whole`, joins all files, so that a load of the batch
   * takes one file or none.
   */
  async #joined(
    { together, careful, long }: WrittenParts,
    work: EncodeWork,
  ): Promise<readonly WrittenFile[]> {
    if (this.#files === 'by-partition') return [...together, ...(await this.#join(careful, work)), ...long]
    return this.#join([...together, ...careful, ...long], work)
  }

  async #join(
    parts: readonly WrittenFile[],
    { batch, directory, signal }: EncodeWork,
  ): Promise<readonly WrittenFile[]> {
    if (parts.length < 2) return parts
    const path = newPartPath(directory)
    const files = await this.#engine.withSettings(carefulSettings(batch.longestRowBytes), () =>
      this.#engine.copy(
        `COPY (FROM ${parquetSql(parts.map((part) => part.path))}) TO ${sqlString(path)} (${parquetOptions})`,
        signal,
      ),
    )
    for (const part of parts) await rm(part.path)
    return files
  }

  async #countFlawed(
    parts: readonly WrittenFile[],
    signal: AbortSignal | undefined,
  ): Promise<Pick<EncodedBatch, 'rejected' | 'rejectedBy' | 'partial'>> {
    const statuses = parts.map(({ columns }) => columns.get('parse_status'))
    if (statuses.every((status) => status?.min === 'ok' && status.max === 'ok'))
      return { rejected: 0, partial: 0 }
    const paths = parts.map(({ path }) => path)
    const hasReason = this.#declaration.columns.some(({ name }) => name === 'parse_error')
    const counts = await this.#engine.rows(
      `SELECT parse_status, ${hasReason ? "regexp_extract(parse_error, '^[a-z0-9_]+')" : "''"} AS reason,
      count(*)::INTEGER AS count
      FROM ${parquetSql(paths)} WHERE parse_status IN ('rejected', 'partial') GROUP BY ALL`,
      signal,
    )
    let partial = 0
    const rejectedBy: Record<string, number> = {}
    for (const { parse_status, reason, count } of counts) {
      if (parse_status === 'partial') partial += Number(count)
      else {
        const known = knownReasons.has(String(reason)) ? String(reason) : 'other'
        rejectedBy[known] = (rejectedBy[known] ?? 0) + Number(count)
      }
    }
    const rejected = Object.values(rejectedBy).reduce((sum, count) => sum + count, 0)
    return { rejected, rejectedBy, partial }
  }

  /** SQL that excludes the partition columns, which Delta stores in the log and not in the files. */
  #leftOut(): string {
    const columns = this.#partitions.map(({ column }) => sqlIdentifier(column))
    return columns.length === 0 ? '' : ` EXCLUDE (${columns.join(', ')})`
  }
}

/** Arguments shared by the steps of one batch. */
interface EncodeWork {
  readonly batch: Batch
  readonly directory: string
  readonly signal: AbortSignal | undefined
}
