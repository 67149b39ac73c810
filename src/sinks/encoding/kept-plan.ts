import { randomUUID } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { TableDeclaration } from '../../tables/table.ts'
import { type EmbeddedEngine, type EngineSettings, sqlString, type WrittenFile } from './engine.ts'
import { placedRowsSql, type SpoolSource, tableRowsSql } from './projection.ts'
import { ordinarySettings, parquetOptions } from './statement-settings.ts'

export interface KeptPlanOptions {
  readonly engine: EmbeddedEngine
  readonly declaration: TableDeclaration
  /** SQL after `SELECT *` that excludes columns; may be empty. */
  readonly leftOut: string
  /** Directory on the file system of the written files. */
  readonly directory: string
}

/** The rows to write, and where. */
export interface KeptPlanWork {
  readonly source: SpoolSource
  readonly ingestMs: number
  readonly path: string
  /** Settings with which the statement runs. */
  readonly settings: EngineSettings
  readonly signal: AbortSignal | undefined
}

/**
 * The plan of the projection for any form, kept between batches.
 *
 * For a batch with few rows of such forms, the engine takes 0.3 CPU s to plan the projection and 0.1 to run it. It plans
 * a statement that reads a spool again at each execution, even a prepared one, so the rows pass through a table here. The
 * prepared statement writes to a fixed path for the same reason. It holds 15 MB.
 */
export class KeptPlan {
  readonly #options: KeptPlanOptions
  readonly #path: string
  #connection: EmbeddedEngine | undefined

  constructor(options: KeptPlanOptions) {
    this.#options = options
    this.#path = join(options.directory, `part-kept-${randomUUID()}`)
  }

  /**
   * Writes the rows of a source to a file of the options' directory. Calls must not overlap.
   *
   * @returns undefined if there is no row
   * @throws the engine's error; the plan is made anew by the next call
   */
  async write({ source, ingestMs, path, settings, signal }: KeptPlanWork): Promise<WrittenFile | undefined> {
    try {
      const connection = await this.#prepared(source)
      // A transaction that is rolled back returns the memory of the rows at once; a DELETE would not.
      const [file] = await connection.withSettings(settings, () =>
        connection.rolledBack(async () => {
          await connection.run(`INSERT INTO kept_rows ${placedRowsSql(source, ingestMs)}`, signal)
          return connection.copy('EXECUTE kept_plan', signal)
        }),
      )
      if (file === undefined || file.rows === 0) {
        await rm(this.#path, { force: true })
        return undefined
      }
      await rename(this.#path, path)
      return { ...file, path }
    } catch (error) {
      await this.#forget()
      await rm(this.#path, { force: true })
      throw error
    }
  }

  async #prepared(source: SpoolSource): Promise<EmbeddedEngine> {
    if (this.#connection !== undefined) return this.#connection
    const { engine, declaration, leftOut } = this.#options
    const connection = await engine.connect()
    this.#connection = connection
    await connection.run(`CREATE TEMP TABLE kept_rows AS ${placedRowsSql(source, 0)} LIMIT 0`)
    const rows = tableRowsSql(declaration, 'kept_rows')
    await connection.withSettings(ordinarySettings, () =>
      connection.run(
        `PREPARE kept_plan AS COPY (SELECT *${leftOut} FROM (${rows})) TO ${sqlString(this.#path)} (${parquetOptions})`,
      ),
    )
    return connection
  }

  async #forget(): Promise<void> {
    const connection = this.#connection
    this.#connection = undefined
    await connection?.close()
  }
}
