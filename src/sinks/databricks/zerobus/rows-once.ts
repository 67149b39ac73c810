import { isTailraceError } from '../../../errors.ts'
import type { Logger } from '../../../reporting/logger.ts'
import { qualifiedName, quoteName, quoteText } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import type { DatabricksTarget } from '../options.ts'
import { keyColumns } from '../tables/key-columns.ts'
import { liveColumnNames } from '../tables/live-table.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'

/** @returns the name of the view that shows each row of a table once */
export function rowsOnceName(table: TableName): TableName {
  return { ...table, table: `${table.table}_once` }
}

/** @returns the relation that readers of a pipeline's rows use: its table, or in mode zerobus the view of single rows */
export function readName({ sink, table }: Pick<DatabricksTarget, 'sink' | 'table'>): TableName {
  return sink.mode === 'zerobus' ? rowsOnceName(table.name) : table.name
}

/**
 * Formats the statement that creates a view with each row of a table once: rows of the same place in a blob are the same
 * record, sent or added several times, and the one that was encoded first counts. A view has the columns that its table had
 * when it was created, so it is replaced after columns were added.
 */
export function rowsOnceSql(table: TableName): string {
  const places = keyColumns.map(quoteName).join(', ')
  return [
    `CREATE OR REPLACE VIEW ${qualifiedName(rowsOnceName(table))}`,
    `COMMENT ${quoteText(`Each row of ${table.table} once: Zerobus may add a row several times.`)} AS`,
    `SELECT * FROM ${qualifiedName(table)}`,
    `QUALIFY row_number() OVER (PARTITION BY ${places} ORDER BY \`ingest_ts\`) = 1`,
  ].join('\n')
}

/** Creates or replaces the view. */
export async function createRowsOnce(warehouse: Warehouse, table: TableName): Promise<void> {
  await warehouse.execute({
    label: 'create the view of single rows',
    sql: rowsOnceSql(table),
    repeatable: true,
  })
}

/**
 * Compares the view with its table.
 *
 * @returns the fault of the view, as the end of a sentence that begins with its name; undefined when it has every column
 */
export async function rowsOnceLack(warehouse: Warehouse, table: TableName): Promise<string | undefined> {
  const shown = await liveColumnNames(warehouse, rowsOnceName(table))
  if (shown.length === 0) return 'is missing, or the principal cannot see it'
  const names = new Set(shown.map((name) => name.toLowerCase()))
  const lacks = (await liveColumnNames(warehouse, table)).filter((name) => !names.has(name.toLowerCase()))
  return lacks.length === 0 ? undefined : `does not have ${lacks.join(', ')}`
}

/**
 * Creates the view if it is missing, and replaces it after columns were added. Rows land without it, so that a refusal is
 * only reported: who may write to a table of somebody else's often may not create anything beside it.
 *
 * @param mayCreate whether the view may be created or replaced; otherwise its fault is only reported
 */
export async function ensureRowsOnce(
  warehouse: Warehouse,
  { table, mayCreate }: { readonly table: TableName; readonly mayCreate: boolean },
  logger: Logger,
): Promise<void> {
  const lack = await rowsOnceLack(warehouse, table)
  if (lack === undefined) return
  let refusal: unknown
  if (mayCreate) {
    try {
      await createRowsOnce(warehouse, table)
      return
    } catch (error) {
      if (!isTailraceError(error) || error.disposition === 'retry') throw error
      refusal = error
    }
  }
  logger.warn(
    { err: refusal, sql: rowsOnceSql(table) },
    `the view ${qualifiedName(rowsOnceName(table))} ${lack}: its owner has to run the statement, or tailrace tables create`,
  )
}
