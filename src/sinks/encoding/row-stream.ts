import type { DuckDBConnection, DuckDBResult } from '@duckdb/node-api'
import { ResultReturnType, StatementType } from './engine-api.ts'

/** Some rows of a result; each row has its values in the order of the columns. */
export interface RowBatch {
  readonly columns: readonly string[]
  /** The engine's type of each column; undefined in all but the first batch, and where the engine does not say. */
  readonly types?: readonly string[] | undefined
  /** Empty only in the first batch of each result, which announces its columns. */
  readonly rows: readonly (readonly unknown[])[]
}

/** Receives the batches of a result. @returns false to receive no more */
export type TakeRows = (batch: RowBatch) => Promise<boolean>

/** A statement failed after its first rows; DuckDB's Node API does not give the reason. */
export class RowsCutOff extends Error {
  override name = 'RowsCutOff'
}

/**
 * Passes the rows of a result to `take`, as JSON-safe values, while its statement runs.
 *
 * @throws RowsCutOff when the statement fails after its first rows; detected only inside a transaction
 */
export async function handOnRows(
  connection: DuckDBConnection,
  result: DuckDBResult,
  take: TakeRows,
): Promise<void> {
  const columns = result.deduplicatedColumnNames()
  const types = result.columnTypes().map(String)
  if (!(await take({ columns, types, rows: [] }))) return
  for await (const rows of result.yieldRowsJson()) if (!(await take({ columns, rows }))) return
  // DuckDB's Node API (1.5.6) reports a failure after the first rows as their end, but the transaction is broken then.
  await connection.run('SELECT 1').catch((error: unknown) => {
    throw new RowsCutOff('the statement failed after its first rows', { cause: error })
  })
}

/** Runs statements one after the other and passes their rows to `take`. */
export async function streamStatements(
  connection: DuckDBConnection,
  sql: string,
  take: TakeRows,
): Promise<void> {
  const statements = await connection.extractStatements(sql)
  for (let index = 0; index < statements.count; index += 1) {
    const statement = await statements.prepare(index)
    if (statement.statementType === StatementType.SELECT) {
      // The statements may have opened a transaction themselves; a second one cannot be started inside it.
      const isOwn = !(await isInTransaction(connection))
      if (isOwn) await connection.run('BEGIN TRANSACTION')
      try {
        await handOnRows(connection, await statement.stream(), take)
      } finally {
        if (isOwn) await connection.run('ROLLBACK')
      }
    } else {
      const result = await statement.run()
      if (result.returnType === ResultReturnType.QUERY_RESULT) await handOnRows(connection, result, take)
    }
  }
}

/** Compares two transaction ids: outside of a transaction, each statement has its own. */
async function isInTransaction(connection: DuckDBConnection): Promise<boolean> {
  const ids: unknown[] = []
  for (const sql of ['SELECT txid_current()', 'SELECT txid_current()']) {
    const [[id] = []] = (await connection.runAndReadAll(sql)).getRowsJson()
    ids.push(id)
  }
  return ids[0] === ids[1]
}
