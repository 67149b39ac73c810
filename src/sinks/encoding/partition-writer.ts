import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { collectGarbage } from '../../streams/staging/collect-garbage.ts'
import type { PartitionColumn } from '../../tables/table.ts'
import {
  type EmbeddedEngine,
  filePathSql,
  type JsonRow,
  sqlIdentifier,
  sqlString,
  type WrittenFile,
} from './engine.ts'
import { carefulSettings, parquetOptions, rowGroupBytes, rowGroupRows } from './statement-settings.ts'

export interface PartitionWriterOptions {
  readonly engine: EmbeddedEngine
  readonly columns: readonly PartitionColumn[]
  /** Directory for the files. */
  readonly directory: string
  /** Length of the batch's longest row in bytes. */
  readonly longestRowBytes: number
  readonly signal: AbortSignal | undefined
}

// Each partition written concurrently needs about 1 MiB of buffers per thread, even without rows.
const maxConcurrentPartitions = 12

/** Files that a file of more partitions is divided into. */
const maxDivisions = 16

/** Splits files into one file per partition, as Delta requires. */
export class PartitionWriter {
  readonly #options: PartitionWriterOptions
  readonly #names: string

  constructor(options: PartitionWriterOptions) {
    this.#options = options
    this.#names = options.columns.map(({ column }) => sqlIdentifier(column)).join(', ')
  }

  /**
   * Splits a file by partition. Nearly every batch has one partition, and its file is returned unchanged. Writing every
   * batch by partition in the first place would need buffers per partition and thread for all of them.
   */
  async filesOf(whole: WrittenFile): Promise<readonly WrittenFile[]> {
    const { engine, columns, longestRowBytes, signal } = this.#options
    if (columns.length === 0) return [whole]
    const source = `read_parquet(${filePathSql(whole.path)}, hive_partitioning = false)`
    const values = columns.map(({ fromSql }, index) => `(${fromSql})::VARCHAR AS v${index}`)
    const partitions = await engine.rows(
      `SELECT DISTINCT ${values.join(', ')} FROM ${source} ORDER BY ALL`,
      signal,
    )
    if (partitions.length === 1) return [{ ...whole, partition: this.#partition(partitions[0]!) }]

    const heldRows = Math.max(1, Math.min(rowGroupRows, Math.floor(rowGroupBytes / longestRowBytes)))
    const settings = {
      ...(heldRows < rowGroupRows ? carefulSettings(longestRowBytes) : {}),
      partitioned_write_flush_threshold: heldRows,
    }
    const isDivided = partitions.length > maxConcurrentPartitions
    if (isDivided) await this.#returnMemory()
    const written = await engine.withSettings(isDivided ? { ...settings, threads: 1 } : settings, () =>
      isDivided ? this.#divide(source, partitions) : this.#write(source, partitions),
    )
    // Otherwise the memory that the engine keeps grows with the number of partitions.
    await this.#returnMemory()
    await rm(whole.path)
    if (!isDivided) return written
    const files: WrittenFile[] = []
    for (const part of written) for (const file of await this.filesOf(part)) files.push(file)
    return files
  }

  /**
   * Divides a file into files of consecutive partitions. A scan of the whole for each dozen of partitions would take hours
   * for a backlog of years.
   */
  #divide(source: string, partitions: readonly JsonRow[]): Promise<readonly WrittenFile[]> {
    const { engine, columns, directory, signal } = this.#options
    const dozens = Math.ceil(partitions.length / maxConcurrentPartitions)
    // As few levels as possible, and whole dozens at the last one: each statement takes a tenth of a second by itself.
    const perDivision = maxConcurrentPartitions * Math.max(1, Math.ceil(dozens / maxDivisions))
    const names = columns.map((_, index) => `tailrace_value_${index}`)
    const computed = columns.map(({ fromSql }, index) => `(${fromSql})::VARCHAR AS ${names[index]}`)
    const rows = partitions.map((partition, place) => {
      const values = columns.map((_, index) => textSql(partition[`v${index}`]))
      return `(${[...values, Math.floor(place / perDivision)].join(', ')})`
    })
    const given = names.map((name) => `${name}_given`)
    const isEqual = names.map((name) => `${name} IS NOT DISTINCT FROM ${name}_given`)
    return engine.copy(
      `COPY (SELECT * EXCLUDE (${[...names, ...given].join(', ')}) FROM (SELECT *, ${computed.join(', ')} FROM ${source})
        JOIN (VALUES ${rows.join(', ')}) AS divisions(${[...given, 'tailrace_division'].join(', ')}) ON ${isEqual.join(' AND ')})
      TO ${sqlString(join(directory, `divided-${randomUUID()}`))} (${parquetOptions}, PARTITION_BY (tailrace_division),
        FILENAME_PATTERN 'part-00000-{uuid}.zstd', OVERWRITE_OR_IGNORE)`,
      signal,
    )
  }

  #write(source: string, partitions: readonly JsonRow[]): Promise<readonly WrittenFile[]> {
    const { engine, columns, directory, signal } = this.#options
    const computed = columns.map(({ column, fromSql }) => `${fromSql} AS ${sqlIdentifier(column)}`)
    const conditions = partitions.map((partition) => `(${this.#condition(partition)})`)
    return engine.copy(
      `COPY (SELECT *, ${computed.join(', ')} FROM ${source} WHERE ${conditions.join(' OR ')})
      TO ${sqlString(directory)} (${parquetOptions}, PARTITION_BY (${this.#names}),
        FILENAME_PATTERN 'part-00000-{uuid}.zstd', OVERWRITE_OR_IGNORE)`,
      signal,
    )
  }

  async #returnMemory(): Promise<void> {
    // The engine frees some memory of a statement only when the object of its result is collected.
    collectGarbage()
    await this.#options.engine.returnMemory()
  }

  #condition(partition: JsonRow): string {
    return this.#options.columns
      .map(({ fromSql }, index) => {
        const value = partition[`v${index}`]
        return value === null ? `(${fromSql}) IS NULL` : `(${fromSql}) = ${textSql(value)}`
      })
      .join(' AND ')
  }

  #partition(row: JsonRow): ReadonlyMap<string, string | null> {
    return new Map(
      this.#options.columns.map(({ column }, index) => {
        const value = row[`v${index}`]
        return [column, value === null ? null : String(value)]
      }),
    )
  }
}

function textSql(value: unknown): string {
  return value === null ? 'NULL::VARCHAR' : sqlString(String(value))
}
