import assert from 'node:assert/strict'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { DeltaCommitter } from '../../src/sinks/delta/committer.ts'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import { encode, span, type Workbench, workbench } from '../sinks/delta/support.ts'
import { ExpectedRows } from './expected-rows.ts'
import { outermost, rowLookups, type SkippingFilter } from './skipping-filters.ts'
import type { Spark } from './spark/spark.ts'

/** The blob that `SharedTable.land` reads. */
export const blob = 'logs/pg'

/** Bytes of one landed batch, of ten rows. */
const batchBytes = 100

/** A table that this writer and Spark take turns in, and the rows that it must hold. */
export class SharedTable {
  readonly bench: Workbench
  readonly expected: ExpectedRows
  /** The table's name in Spark's SQL. */
  readonly name: string
  readonly #spark: Spark

  private constructor(bench: Workbench, expected: ExpectedRows, spark: Spark) {
    this.bench = bench
    this.expected = expected
    this.name = `delta.\`${bench.table}\``
    this.#spark = spark
  }

  static async none(t: TestContext, spark: Spark): Promise<SharedTable> {
    const bench = await workbench(t)
    return new SharedTable(bench, await ExpectedRows.none(bench), spark)
  }

  /**
   * Lands batches of ten rows behind one another.
   *
   * @param reshape what becomes of each batch before it is landed
   */
  async land(
    committer: DeltaCommitter,
    from: number,
    to: number,
    reshape: (batch: EncodedBatch) => Promise<EncodedBatch> = async (batch) => batch,
  ): Promise<void> {
    for (let start = from; start < to; start += batchBytes) {
      const source = span(blob, start, start + batchBytes)
      const rows = Array.from({ length: 10 }, (_, index) => ({
        offset: start + index * 10,
        seed: start / 10 + index,
      }))
      const batch = await reshape(await encode(this.bench, source, rows))
      await this.expected.add(batch)
      await committer.land([source], batch)
    }
  }

  /** Runs a statement in Spark alone. */
  async spark(statement: (table: string) => string) {
    return this.#spark.sql(statement(this.name))
  }

  /** Runs a statement that changes rows in Spark, and on the rows that are expected. */
  async change(statement: (table: string) => string): Promise<void> {
    await this.#spark.sql(statement(this.name))
    await this.expected.change(statement(this.expected.table))
  }

  /** Compares all rows with those that Spark finds and with those that are found here. */
  async assertSame(count: number): Promise<void> {
    const directory = join(await mkdtemp(join(this.bench.directory, 'rows-')), 'rows')
    await this.#spark.write(`SELECT * FROM ${this.name}`, directory)
    await this.expected.assertSame(`${directory}/*.parquet`)
    assert.equal(await this.expected.count(), count)
  }

  /**
   * Asks Spark for rows that are the outermost of their files, and lets it skip files: by bounds, by counts of NULL
   * and by partitions.
   *
   * @param rowsPerColumn of how many files the outermost rows of each column are looked up
   * @returns the columns by which files were skipped
   */
  async assertNothingLostBySkipping(rowsPerColumn: number): Promise<string[]> {
    for (const lookup of await rowLookups(this.bench, rowsPerColumn)) await this.#scan(lookup)
    const { files } = await this.#spark.scan(`SELECT * FROM ${this.name}`)
    const skippedBy: string[] = []
    for (const [column, filter] of await outermost(this.bench)) {
      if ((await this.#scan(filter)) < files) skippedBy.push(column)
    }
    return skippedBy
  }

  /** @returns the count of files that were left to read. */
  async #scan({ spark, duckdb }: SkippingFilter): Promise<number> {
    const { rows, files } = await this.#spark.scan(`SELECT source_offset FROM ${this.name} WHERE ${spark}`)
    assert.equal(rows.length, await this.expected.count(duckdb), spark)
    assert.ok(rows.length > 0, spark)
    return files
  }
}
