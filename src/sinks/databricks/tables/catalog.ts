import { isTailraceError, TailraceError } from '../../../errors.ts'
import { quoteName } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import type { ParameterValue, StatementRow, Warehouse } from '../warehouse/warehouse.ts'

/**
 * Checks that catalogs, schemas, tables and volumes exist. Its errors name the missing object. The warehouse's own errors
 * are logged without the names they quote, because elsewhere these may be values of records.
 *
 * https://docs.databricks.com/sql/language-manual/sql-ref-information-schema (read 2026-11-24): its views show what
 * the principal has a right to.
 */
export class WorkspaceCatalog {
  readonly #warehouse: Warehouse

  constructor(warehouse: Warehouse) {
    this.#warehouse = warehouse
  }

  /** @throws WAREHOUSE_DENIED naming the catalog or the schema that is missing */
  async requireSchema({ catalog, schema }: Pick<TableName, 'catalog' | 'schema'>): Promise<void> {
    const found = await this.#find(catalog, 'schemata', 'schema_name = :schema', { schema: lower(schema) })
    if (found.length > 0) return
    throw missing(`schema ${quoted([catalog, schema])}`, 'create it, or grant USE SCHEMA on it')
  }

  /** @throws WAREHOUSE_DENIED naming the catalog that is missing */
  async hasTable({ catalog, schema, table }: TableName): Promise<boolean> {
    const names = { schema: lower(schema), table: lower(table) }
    const where = 'table_schema = :schema AND table_name = :table'
    return (await this.#find(catalog, 'tables', where, names)).length > 0
  }

  /**
   * @param path such as `/Volumes/catalog/schema/volume/folder`
   * @throws WAREHOUSE_DENIED naming the catalog or the volume that is missing
   */
  async requireVolume(path: string): Promise<void> {
    const [, , catalog = '', schema = '', volume = ''] = path.split('/')
    const names = { schema: lower(schema), volume: lower(volume) }
    const where = 'volume_schema = :schema AND volume_name = :volume'
    if ((await this.#find(catalog, 'volumes', where, names)).length > 0) return
    throw missing(
      `volume ${quoted([catalog, schema, volume])}`,
      'create it, or grant READ VOLUME and WRITE VOLUME on it',
    )
  }

  async #find(
    catalog: string,
    view: 'schemata' | 'tables' | 'volumes',
    where: string,
    parameters: Readonly<Record<string, ParameterValue>>,
  ): Promise<readonly StatementRow[]> {
    try {
      return await this.#warehouse.execute({
        label: `read the ${view} of a catalog`,
        sql: `SELECT 1 AS found FROM ${quoteName(catalog)}.information_schema.${view} WHERE ${where}`,
        parameters,
        repeatable: true,
      })
    } catch (error) {
      // A failure without an error class is one of the connection to the warehouse.
      if (!isTailraceError(error) || error.context.errorClass === undefined) throw error
      if (/NO_SUCH_CATALOG|CATALOG_NOT_FOUND/.test(String(error.context.errorClass))) {
        throw missing(`catalog ${quoteName(catalog)}`, 'check the name, or grant USE CATALOG on it', error)
      }
      throw new TailraceError(error.code, `In the catalog ${quoteName(catalog)}: ${error.message}`, {
        context: error.context,
        cause: error,
      })
    }
  }
}

/** Unity Catalog stores object names in lower case. */
function lower(name: string): string {
  return name.toLowerCase()
}

function quoted(parts: readonly string[]): string {
  return parts.map(quoteName).join('.')
}

function missing(what: string, remedy: string, cause?: unknown): TailraceError {
  return new TailraceError('WAREHOUSE_DENIED', `The principal cannot see the ${what}: ${remedy}.`, { cause })
}
