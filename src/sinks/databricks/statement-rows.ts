import { TailraceError } from '../../errors.ts'
import type { DriverOperation } from './driver-session.ts'
import type { StatementRow } from './warehouse.ts'

/** Rows of one part; the driver holds about as many. */
const rowsPerPart = 10_000

/** How the rows of a statement that has ended are fetched. */
export interface StatementRows {
  readonly columns: readonly string[]
  /** @returns the next part; undefined when there is none */
  next(): Promise<readonly StatementRow[] | undefined>
}

/**
 * Begins to fetch the rows of a statement that has ended.
 *
 * @param bigintType the driver's number of the SQL type BIGINT: it gives such values as `bigint` or as `number`,
 * depending on the form in which the warehouse sends them
 * @throws STATEMENT_FAILED when a 64-bit integer came without its last digits
 */
export async function statementRows(operation: DriverOperation, bigintType: number): Promise<StatementRows> {
  const schema = await operation.getSchema()
  if (schema === null) return { columns: [], next: async () => undefined }
  const wide = schema.columns
    .filter(({ typeDesc }) => typeDesc.types[0]?.primitiveEntry?.type === bigintType)
    .map(({ columnName }) => columnName)
  let hasMore = true
  return {
    columns: schema.columns.map(({ columnName }) => columnName),
    next: async () => {
      if (!hasMore) return undefined
      const rows = (await operation.fetchChunk({ maxRows: rowsPerPart })) as StatementRow[]
      hasMore = await operation.hasMoreRows()
      return wide.length === 0 ? rows : rows.map((row) => withBigints(row, wide))
    },
  }
}

function withBigints(row: StatementRow, columns: readonly string[]): StatementRow {
  const exact: Record<string, unknown> = { ...row }
  for (const column of columns) {
    const value = row[column]
    if (typeof value !== 'number') continue
    if (!Number.isSafeInteger(value))
      throw new TailraceError('STATEMENT_FAILED', `The column "${column}" came without its last digits`)
    exact[column] = BigInt(value)
  }
  return exact
}
