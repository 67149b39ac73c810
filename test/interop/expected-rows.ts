import assert from 'node:assert/strict'
import { sqlType } from '../../src/sinks/delta/protocol/schema.ts'
import { sqlString } from '../../src/sinks/encoding/engine.ts'
import type { EncodedBatch } from '../../src/sinks/table-committer.ts'
import { columns, type Workbench } from '../sinks/delta/support.ts'
import { rowsAsSql } from './same-rows.ts'

const names = columns.map(({ name }) => name).join(', ')

/**
 * What a table must hold, kept beside it: every batch is added to it, and every statement that another engine runs
 * on the table is run on it.
 */
export class ExpectedRows {
  /** Its name in the workbench's engine. */
  readonly table = 'expected_rows'
  readonly #bench: Workbench

  private constructor(bench: Workbench) {
    this.#bench = bench
  }

  static async none(bench: Workbench): Promise<ExpectedRows> {
    const expected = new ExpectedRows(bench)
    const definitions = columns.map(({ name, type }) => `${name} ${sqlType(type)}`)
    await bench.engine.run(`CREATE TABLE ${expected.table} (${definitions.join(', ')})`)
    return expected
  }

  /** Adds a batch that is not landed yet: landing moves its files. */
  async add({ files }: EncodedBatch): Promise<void> {
    for (const { path, partition } of files) {
      const values = [...partition].map(
        ([name, value]) => `, ${value === null ? 'NULL' : sqlString(value)} AS ${name}`,
      )
      await this.#bench.engine.run(
        `INSERT INTO ${this.table} BY NAME
          SELECT *${values.join('')} FROM read_parquet(${sqlString(path)}, hive_partitioning = false)`,
      )
    }
  }

  /** Runs a statement that changes rows. */
  async change(sql: string): Promise<void> {
    await this.#bench.engine.run(sql)
  }

  /** @returns how many rows meet a condition. */
  async count(condition = 'true'): Promise<number> {
    const [row] = await this.#bench.engine.rows(
      `SELECT count(*)::INTEGER AS count FROM ${this.table} WHERE ${condition}`,
    )
    return Number(row?.count)
  }

  /** Compares with the rows that another engine wrote to Parquet, and with the table as it is read here. */
  async assertSame(parquet: string, table = this.#bench.table): Promise<void> {
    const theirs = `read_parquet(${sqlString(parquet)})`
    assert.deepEqual(await this.#differences(theirs), { missing: 0, surplus: 0 }, 'in the other engine')
    assert.deepEqual(
      await this.#differences(await rowsAsSql(this.#bench, table)),
      { missing: 0, surplus: 0 },
      'as it is read here',
    )
  }

  async #differences(relation: string) {
    const expected = `SELECT ${names} FROM ${this.table}`
    const found = `SELECT ${names} FROM ${relation}`
    const [counts] = await this.#bench.engine.rows(
      `SELECT (SELECT count(*) FROM (${expected} EXCEPT ALL ${found}))::INTEGER AS missing,
        (SELECT count(*) FROM (${found} EXCEPT ALL ${expected}))::INTEGER AS surplus`,
    )
    return { ...counts }
  }
}
