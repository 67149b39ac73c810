import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { statementCanceled } from './sql-failures.ts'

/** The in-memory DuckDB of a warehouse: each statement has a connection of its own, so they run side by side. */
export class DuckDbConnections {
  readonly #instance: DuckDBInstance
  readonly #idle: DuckDBConnection[] = []

  private constructor(instance: DuckDBInstance) {
    this.#instance = instance
  }

  static async open(): Promise<DuckDbConnections> {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: '2',
      memory_limit: '1GiB',
      // Its default is a folder in the directory that tests run in.
      temp_directory: join(tmpdir(), `tailrace-warehouse-${process.pid}`),
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    })
    return new DuckDbConnections(instance)
  }

  close(): void {
    for (const connection of this.#idle) connection.closeSync()
    this.#instance.closeSync()
  }

  async rows(sql: string): Promise<Record<string, unknown>[]> {
    return this.with(undefined, async (connection) =>
      (await connection.runAndReadAll(sql)).getRowObjectsJson(),
    )
  }

  /** @returns how many rows the statement changed */
  async change(
    sql: string,
    values: Readonly<Record<string, string | null>> = {},
    signal?: AbortSignal,
  ): Promise<number> {
    return this.with(signal, async (connection) => {
      if (Object.keys(values).length === 0) return (await connection.run(sql)).rowsChanged
      return (await connection.run(sql, { ...values })).rowsChanged
    })
  }

  /** Lends a connection; an abort meanwhile interrupts what runs on it. */
  async with<Result>(
    signal: AbortSignal | undefined,
    work: (connection: DuckDBConnection) => Promise<Result>,
  ): Promise<Result> {
    // An interrupt stops only what runs already.
    if (signal?.aborted === true) throw statementCanceled()
    const connection = this.#idle.pop() ?? (await this.#connect())
    const interrupt = (): void => connection.interrupt()
    signal?.addEventListener('abort', interrupt)
    try {
      const result = await work(connection)
      this.#idle.push(connection)
      return result
    } catch (error) {
      // A failed transaction ends with its connection.
      connection.closeSync()
      throw error
    } finally {
      signal?.removeEventListener('abort', interrupt)
    }
  }

  async #connect(): Promise<DuckDBConnection> {
    const connection = await this.#instance.connect()
    await connection.run("SET TimeZone = 'UTC'")
    return connection
  }
}
