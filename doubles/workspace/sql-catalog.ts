import { sqlIdentifier, sqlString } from '../../src/tables/sql.ts'
import { catalogNotFound, notEmulated, schemaNotFound, tableNotFound } from './sql-failures.ts'
import { fullDataType, type SqlType, simpleDataType } from './sql-types.ts'
import type { DiskVolumes } from './volume-files.ts'
import { SqlFailure, type Value } from './warehouse-engine.ts'

export interface CatalogColumn {
  readonly name: string
  readonly type: SqlType
  readonly nullable: boolean
  readonly comment: string | null
}

/** The parts of a table's name, in lower case: Unity Catalog keeps object names so. */
export type TableParts = readonly [catalog: string, schema: string, table: string]

export interface CatalogTable {
  readonly name: TableParts
  readonly columns: readonly CatalogColumn[]
  readonly comment: string | null
  readonly properties: ReadonlyMap<string, string>
  readonly partitionColumns: readonly string[]
  readonly clusterColumns: readonly string[] | 'AUTO'
  readonly kind: 'MANAGED' | 'EXTERNAL' | 'VIEW'
  /** DuckDB SQL of the rows that the clients may see; undefined without a row filter. */
  readonly rowFilter?: string | undefined
  /** DuckDB SQL of the values that the clients see, by column. */
  readonly masks?: ReadonlyMap<string, string> | undefined
}

/** Whether commits to a table go through Unity Catalog: the table feature that transactions need. */
export function hasCatalogCommits({ properties }: CatalogTable): boolean {
  return properties.get('delta.feature.catalogManaged') === 'supported'
}

/** A relation of `information_schema` with all its rows. */
export interface SystemRelation {
  readonly columns: readonly { readonly name: string; readonly type: 'VARCHAR' | 'INTEGER' }[]
  readonly rows: readonly (readonly Value[])[]
}

/** What names a statement may leave out. */
export interface NameDefaults {
  readonly catalog: string | undefined
  readonly schema: string | undefined
}

/** The catalogs, schemas and tables of Unity Catalog. Names are case-insensitive. */
export class UnityCatalog {
  /** Schemas by catalog. */
  readonly #schemas = new Map<string, Set<string>>()
  readonly #tables = new Map<string, CatalogTable>()
  readonly #volumes: Pick<DiskVolumes, 'names'>

  constructor(volumes: Pick<DiskVolumes, 'names'>) {
    this.#volumes = volumes
  }

  hasCatalog(catalog: string): boolean {
    return this.#schemas.has(catalog)
  }

  hasSchema(catalog: string, schema: string): boolean {
    return this.#schemas.get(catalog)?.has(schema) ?? false
  }

  addCatalog(catalog: string): void {
    this.#schemas.set(catalog, new Set(['default']))
  }

  addSchema(catalog: string, schema: string): void {
    this.#schemas.get(catalog)!.add(schema)
  }

  /** @throws SqlFailure when the catalog or the schema is missing */
  requireSchema(catalog: string, schema: string): void {
    if (!this.hasCatalog(catalog)) throw catalogNotFound(catalog)
    if (!this.hasSchema(catalog, schema)) throw schemaNotFound(catalog, schema)
  }

  /** @throws SqlFailure when the name has too few or too many parts */
  resolve(parts: readonly string[], defaults: NameDefaults): TableParts {
    const full = [
      ...(parts.length < 3 ? [defaults.catalog ?? 'hive_metastore'] : []),
      ...(parts.length < 2 ? [defaults.schema ?? 'default'] : []),
      ...parts,
    ]
    if (full.length !== 3) throw tableNotFound(parts)
    const [catalog, schema, table] = full.map((part) => part.toLowerCase())
    return [catalog!, schema!, table!]
  }

  table(name: TableParts): CatalogTable | undefined {
    return this.#tables.get(tableKey(name))
  }

  /** @throws SqlFailure when the catalog or the table is missing */
  requireTable(name: TableParts): CatalogTable {
    if (!this.hasCatalog(name[0])) throw catalogNotFound(name[0])
    const table = this.table(name)
    if (table === undefined) throw tableNotFound(name)
    return table
  }

  put(table: CatalogTable): void {
    this.#tables.set(tableKey(table.name), table)
  }

  drop(name: TableParts): void {
    this.#tables.delete(tableKey(name))
  }

  /** @throws SqlFailure when there is no such catalog or relation */
  systemRelation(catalog: string, relation: string): SystemRelation {
    // `system` shows the objects of all catalogs.
    if (catalog !== 'system' && !this.hasCatalog(catalog)) throw catalogNotFound(catalog)
    const tables = [...this.#tables.values()].filter(
      ({ name }) => catalog === 'system' || name[0] === catalog,
    )
    if (relation === 'columns') return columnsRelation(tables)
    if (relation === 'tables') return tablesRelation(tables)
    if (relation === 'schemata') return this.#schemataRelation(catalog)
    if (relation === 'row_filters') return rowFiltersRelation(tables)
    if (relation === 'column_masks') return columnMasksRelation(tables)
    if (relation === 'volumes') return this.#volumesRelation(catalog)
    throw notEmulated(`information_schema.${relation}`)
  }

  /** @returns a subquery with all rows of a relation of `information_schema` */
  systemSelect(catalog: string, relation: string): string {
    return systemSelect(this.systemRelation(catalog, relation))
  }

  #schemataRelation(catalog: string): SystemRelation {
    const rows: string[][] = []
    for (const [name, schemas] of this.#schemas) {
      if (catalog !== 'system' && name !== catalog) continue
      for (const schema of [...schemas, 'information_schema']) rows.push([name, schema])
    }
    return { columns: texts('catalog_name', 'schema_name'), rows }
  }

  #volumesRelation(catalog: string): SystemRelation {
    const rows: string[][] = []
    for (const [name, schemas] of this.#schemas) {
      if (catalog !== 'system' && name !== catalog) continue
      for (const schema of schemas) {
        for (const volume of this.#volumes.names(name, schema)) rows.push([name, schema, volume])
      }
    }
    return { columns: texts('volume_catalog', 'volume_schema', 'volume_name'), rows }
  }
}

/** @returns the key of a table in a Map */
export function tableKey(name: TableParts): string {
  return name.join('\0')
}

/** Names that DuckDB keeps for itself; `main` is what many workspaces call their first catalog. */
const reserved: ReadonlySet<string> = new Set(['main', 'memory', 'system', 'temp'])

/** @returns the attached database that holds a catalog: of its name, or with `_catalog` behind one DuckDB keeps */
export function databaseName(catalog: string): string {
  return reserved.has(catalog) ? `${catalog}_catalog` : catalog
}

/** @returns what a client reads of a table: its name, or the rows and values that a filter and masks let through */
export function visibleRelation({ name, rowFilter, masks }: CatalogTable): string {
  const relation = relationName(name)
  if (rowFilter === undefined && masks === undefined) return relation
  const replaced = [...(masks ?? [])].map(([column, sql]) => `${sql} AS ${sqlIdentifier(column)}`)
  const star = replaced.length === 0 ? '*' : `* REPLACE (${replaced.join(', ')})`
  return `(SELECT ${star} FROM ${relation}${rowFilter === undefined ? '' : ` WHERE ${rowFilter}`})`
}

/** @returns the table's name for DuckDB */
export function relationName([catalog, schema, table]: TableParts): string {
  return [databaseName(catalog), schema, table].map(sqlIdentifier).join('.')
}

/** @throws SqlFailure when a name occurs twice, in any case */
export function checkColumns(columns: readonly CatalogColumn[]): void {
  const seen = new Set<string>()
  for (const { name } of columns) {
    if (seen.has(name.toLowerCase())) {
      throw new SqlFailure('COLUMN_ALREADY_EXISTS', '42711', `The column \`${name}\` already exists.`)
    }
    seen.add(name.toLowerCase())
  }
}

function texts(...names: readonly string[]): { name: string; type: 'VARCHAR' }[] {
  return names.map((name) => ({ name, type: 'VARCHAR' }))
}

// Columns as the pages "INFORMATION_SCHEMA.COLUMNS" and ".TABLES" of the Databricks SQL reference list them, without
// those that are always NULL or say who made the table and when.
function columnsRelation(tables: readonly CatalogTable[]): SystemRelation {
  return {
    columns: [
      ...texts('table_catalog', 'table_schema', 'table_name', 'column_name'),
      { name: 'ordinal_position', type: 'INTEGER' },
      ...texts('is_nullable', 'full_data_type', 'data_type'),
      { name: 'partition_index', type: 'INTEGER' },
      ...texts('comment'),
    ],
    rows: tables.flatMap((table) =>
      table.columns.map((column, index) => {
        const partition = table.partitionColumns.indexOf(column.name)
        return [
          ...table.name,
          column.name,
          index + 1,
          column.nullable ? 'YES' : 'NO',
          fullDataType(column.type),
          simpleDataType(column.type),
          // Numbered from 1, NULL where the column is no part of the partitioning.
          partition < 0 ? null : partition + 1,
          column.comment,
        ]
      }),
    ),
  }
}

function tablesRelation(tables: readonly CatalogTable[]): SystemRelation {
  return {
    columns: texts(
      'table_catalog',
      'table_schema',
      'table_name',
      'table_type',
      'comment',
      'data_source_format',
    ),
    rows: tables.map((table) => [
      ...table.name,
      table.kind,
      table.comment,
      // The value for a view is not publicly documented.
      table.kind === 'VIEW' ? 'UNKNOWN_DATA_SOURCE_FORMAT' : 'DELTA',
    ]),
  }
}

// Columns as the pages "INFORMATION_SCHEMA.ROW_FILTERS" and ".COLUMN_MASKS" list them (read 2026-11-29).
function rowFiltersRelation(tables: readonly CatalogTable[]): SystemRelation {
  return {
    columns: texts('catalog_name', 'schema_name', 'table_name', 'filter_name'),
    rows: tables.filter(({ rowFilter }) => rowFilter !== undefined).map(({ name }) => [...name, 'a_filter']),
  }
}

function columnMasksRelation(tables: readonly CatalogTable[]): SystemRelation {
  return {
    columns: texts('catalog_name', 'schema_name', 'table_name', 'column_name', 'mask_name'),
    rows: tables.flatMap(({ name, masks }) =>
      [...(masks ?? new Map<string, string>()).keys()].map((column) => [...name, column, 'a_mask']),
    ),
  }
}

/** A subquery with all rows of a relation of `information_schema`, in one literal: to bind thousands takes much longer. */
function systemSelect({ columns, rows }: SystemRelation): string {
  const typed = columns.map(({ name, type }, index) => `CAST(v[${index + 1}] AS ${type}) AS ${name}`)
  const values = `from_json(${sqlString(JSON.stringify(rows))}, '[["VARCHAR"]]')`
  return `(SELECT ${typed.join(', ')} FROM (SELECT unnest(${values}) AS v))`
}
