import { type DuckDBConnection, type DuckDBResult, ResultReturnType, StatementType } from '@duckdb/node-api'
import type { TakeRows } from '../../reporting/row-batch.ts'

/** A statement failed after its first rows. The library does not say why. */
export class RowsCutOff extends Error {
  override name = 'RowsCutOff'
}

/**
 * Hands on the rows of a result, as JSON-safe values, while its statement runs.
 *
 * @throws RowsCutOff when the statement fails meanwhile, provided that a transaction is open
 */
export async function handOnRows(
  connection: DuckDBConnection,
  result: DuckDBResult,
  take: TakeRows,
): Promise<void> {
  const columns = result.deduplicatedColumnNames()
  if (!(await take({ columns, rows: [] }))) return
  for await (const rows of result.yieldRowsJson()) if (!(await take({ columns, rows }))) return
  // A failure after the first rows looks like their end to the library (1.5.6), but it has broken the transaction.
  await connection.run('SELECT 1').catch((error: unknown) => {
    throw new RowsCutOff('the statement failed after its first rows', { cause: error })
  })
}

/** Runs statements one after the other and hands on the rows of those that have any. */
export async function streamStatements(
  connection: DuckDBConnection,
  sql: string,
  take: TakeRows,
): Promise<void> {
  const statements = await connection.extractStatements(sql)
  for (let index = 0; index < statements.count; index += 1) {
    const statement = await statements.prepare(index)
    if (statement.statementType === StatementType.SELECT) {
      // In a transaction of the statements' own, no other one can begin.
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

/** Outside of a transaction, each statement has one of its own. */
async function isInTransaction(connection: DuckDBConnection): Promise<boolean> {
  const ids: unknown[] = []
  for (const sql of ['SELECT txid_current()', 'SELECT txid_current()']) {
    const [[id] = []] = (await connection.runAndReadAll(sql)).getRowsJson()
    ids.push(id)
  }
  return ids[0] === ids[1]
}
