import { qualifiedName, quoteName } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'

/** The properties of a live table that decide how rows can be landed in it. */
export interface TableFacts {
  /** Unity Catalog's id of the table: another one after the table was dropped and created again. */
  readonly id: string | undefined
  /** Whether commits go through Unity Catalog, so that a transaction can write to the table. */
  readonly hasCatalogCommits: boolean
  /** Whether a row filter may hide rows from the principal. */
  readonly hasRowFilter: boolean
  /** Columns whose values a mask may replace for the principal. */
  readonly maskedColumns: readonly string[]
}

/** The table feature, and its name in earlier previews. */
const catalogCommits = /catalogManaged|catalogOwned/

/**
 * Reads the facts of a table that exists. A policy that is attached to a schema or a catalog by tags (ABAC) is not in
 * `information_schema`, so it is not found here.
 *
 * https://docs.databricks.com/sql/language-manual/delta-describe-detail and
 * https://docs.databricks.com/sql/language-manual/information-schema/row_filters (read 2026-11-29)
 */
export async function readTableFacts(warehouse: Warehouse, name: TableName): Promise<TableFacts> {
  const [detail] = await warehouse.execute({
    label: 'describe the table',
    sql: `DESCRIBE DETAIL ${qualifiedName(name)}`,
    repeatable: true,
  })
  const { catalog, schema, table } = name
  const of = 'WHERE schema_name = :schema AND table_name = :table'
  const restrictions = await warehouse.execute({
    label: 'find row filters and masks',
    sql: `SELECT CAST(NULL AS STRING) AS column_name FROM ${quoteName(catalog)}.information_schema.row_filters ${of}
UNION ALL SELECT column_name FROM ${quoteName(catalog)}.information_schema.column_masks ${of}`,
    parameters: { schema: schema.toLowerCase(), table: table.toLowerCase() },
    repeatable: true,
  })
  const masked = restrictions.flatMap((row) => (row.column_name === null ? [] : [String(row.column_name)]))
  return {
    id: detail?.id === undefined || detail.id === null ? undefined : String(detail.id),
    hasCatalogCommits: catalogCommits.test(JSON.stringify([detail?.tableFeatures, detail?.properties])),
    hasRowFilter: masked.length < restrictions.length,
    maskedColumns: masked,
  }
}
