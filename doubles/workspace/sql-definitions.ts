import { sqlIdentifier } from '../../src/tables/sql.ts'
import type { FileLogs } from './copy-into.ts'
import {
  type CatalogColumn,
  checkColumns,
  databaseName,
  relationName,
  tableKey,
  type UnityCatalog,
} from './sql-catalog.ts'
import type { DuckDbConnections } from './sql-connections.ts'
import { catalogNotFound, dotted, notEmulated, tableNotFound } from './sql-failures.ts'
import type { CreateTableStatement } from './sql-statements.ts'
import { duckDbType, type SqlType, sqlTypeOf } from './sql-types.ts'
import { noRows } from './sql-values.ts'
import type { WriteQueue } from './sql-write-queue.ts'
import type { TableLogs } from './table-log.ts'
import { SqlFailure, type StatementContext, type StatementResult } from './warehouse-engine.ts'

/** The parts of a warehouse that its statements share. */
export interface WarehouseParts {
  readonly catalog: UnityCatalog
  readonly connections: DuckDbConnections
  readonly queue: WriteQueue
  readonly fileLogs: FileLogs
  readonly tableLogs: TableLogs
  /** Whether tables may have catalog-managed commits. */
  readonly catalogCommits: boolean
  /** The collation of text columns that a created table names none for. */
  readonly defaultCollation: string | undefined
}

/** One queue for all statements that create catalogs or schemas: they are too rare to need several. */
const containers = ''

/** The statements that make, change and drop catalogs, schemas, tables and views. */
export class Definitions {
  readonly #catalog: UnityCatalog
  readonly #connections: DuckDbConnections
  readonly #queue: WriteQueue
  readonly #fileLogs: FileLogs
  readonly #tableLogs: TableLogs
  readonly #catalogCommits: boolean
  readonly #defaultCollation: string | undefined

  constructor(parts: WarehouseParts) {
    this.#catalog = parts.catalog
    this.#connections = parts.connections
    this.#queue = parts.queue
    this.#fileLogs = parts.fileLogs
    this.#tableLogs = parts.tableLogs
    this.#catalogCommits = parts.catalogCommits
    this.#defaultCollation = parts.defaultCollation
  }

  async createCatalog(
    name: readonly string[],
    ifNotExists: boolean,
    context: StatementContext,
  ): Promise<StatementResult> {
    const catalog = name.join('.').toLowerCase()
    return this.#queue.run(containers, context.signal, async () => {
      if (this.#catalog.hasCatalog(catalog)) {
        if (ifNotExists) return noRows
        // Class and SQLSTATE are a guess after those of schemas.
        throw new SqlFailure('CATALOG_ALREADY_EXISTS', '42P04', `Catalog \`${catalog}\` already exists.`)
      }
      await this.#connections.change(`ATTACH ':memory:' AS ${sqlIdentifier(databaseName(catalog))}`)
      await this.#connections.change(`CREATE SCHEMA ${sqlIdentifier(databaseName(catalog))}."default"`)
      this.#catalog.addCatalog(catalog)
      return noRows
    })
  }

  async createSchema(
    name: readonly string[],
    ifNotExists: boolean,
    context: StatementContext,
  ): Promise<StatementResult> {
    // Resolved as if a table's name, to let the catalog be left out.
    const [catalog, schema] = this.#catalog.resolve([...name, ''], context)
    return this.#queue.run(containers, context.signal, async () => {
      if (!this.#catalog.hasCatalog(catalog)) throw catalogNotFound(catalog)
      if (this.#catalog.hasSchema(catalog, schema)) {
        if (ifNotExists) return noRows
        throw new SqlFailure(
          'SCHEMA_ALREADY_EXISTS',
          '42P06',
          `Cannot create schema ${dotted([catalog, schema])} because it already exists.`,
        )
      }
      await this.#connections.change(
        `CREATE SCHEMA ${sqlIdentifier(databaseName(catalog))}.${sqlIdentifier(schema)}`,
      )
      this.#catalog.addSchema(catalog, schema)
      return noRows
    })
  }

  async createTable(statement: CreateTableStatement, context: StatementContext): Promise<StatementResult> {
    const { clusterColumns } = statement
    const columns = statement.columns.map((column) => this.#collated(column))
    const name = this.#catalog.resolve(statement.name, context)
    this.#catalog.requireSchema(name[0], name[1])
    return this.#queue.run(tableKey(name), context.signal, async () => {
      if (this.#catalog.table(name) !== undefined) {
        if (statement.ifNotExists) return noRows
        throw new SqlFailure(
          'TABLE_OR_VIEW_ALREADY_EXISTS',
          '42P07',
          `Cannot create table or view ${dotted(name)} because it already exists.`,
        )
      }
      checkColumns(columns)
      if (!this.#catalogCommits && statement.properties.has('delta.feature.catalogManaged')) {
        // The class is Delta's for a table feature that a release does not know; what Databricks answers is not documented.
        throw new SqlFailure(
          'DELTA_UNSUPPORTED_FEATURES_IN_CONFIG',
          '56038',
          'Table features configured in the Delta table properties are not recognized: catalogManaged.',
        )
      }
      if (statement.partitionColumns.length > 0 && clusterColumns.length > 0) {
        throw new SqlFailure(
          'DELTA_CLUSTER_BY_WITH_PARTITIONED_BY',
          '42613',
          'Clustering and partitioning cannot both be specified.',
        )
      }
      const partitionColumns = statement.partitionColumns.map((each) => columnNamed(columns, each))
      const clusters =
        clusterColumns === 'AUTO' ? 'AUTO' : clusterColumns.map((each) => columnNamed(columns, each))
      const definitions = columns.map(
        (column) => `${definition(column)}${column.nullable ? '' : ' NOT NULL'}`,
      )
      await this.#connections.change(`CREATE TABLE ${relationName(name)} (${definitions.join(', ')})`)
      const { comment, properties, external } = statement
      this.#catalog.put({
        name,
        columns,
        comment,
        properties,
        kind: external ? 'EXTERNAL' : 'MANAGED',
        partitionColumns,
        clusterColumns: clusters,
      })
      this.#tableLogs.of(name).add({ operation: 'CREATE TABLE' })
      return noRows
    })
  }

  #collated(column: CatalogColumn): CatalogColumn {
    const { type } = column
    if (type.kind !== 'scalar' || type.name !== 'STRING') return column
    return { ...column, type: { ...type, collation: type.collation ?? this.#defaultCollation } }
  }

  /** Makes a view. @param query in DuckDB's SQL */
  async createView(
    parts: readonly string[],
    { query, replaces }: { readonly query: string; readonly replaces: boolean },
    context: StatementContext,
  ): Promise<StatementResult> {
    const name = this.#catalog.resolve(parts, context)
    this.#catalog.requireSchema(name[0], name[1])
    return this.#queue.run(tableKey(name), context.signal, async () => {
      const create = replaces ? 'CREATE OR REPLACE VIEW' : 'CREATE VIEW'
      await this.#connections.change(`${create} ${relationName(name)} AS ${query}`)
      const described = await this.#connections.rows(`DESCRIBE ${relationName(name)}`)
      this.#catalog.put({
        name,
        columns: described.map(({ column_name: column, column_type: type }) => ({
          name: String(column),
          type: sqlTypeOf(String(type)),
          nullable: true,
          comment: null,
        })),
        comment: null,
        properties: new Map(),
        kind: 'VIEW',
        partitionColumns: [],
        clusterColumns: [],
      })
      return noRows
    })
  }

  async drop(
    relation: 'TABLE' | 'VIEW',
    parts: readonly string[],
    ifExists: boolean,
    context: StatementContext,
  ): Promise<StatementResult> {
    const name = this.#catalog.resolve(parts, context)
    return this.#queue.run(tableKey(name), context.signal, async () => {
      if (this.#catalog.table(name) === undefined) {
        if (ifExists) return noRows
        throw tableNotFound(name)
      }
      await this.#connections.change(`DROP ${relation} ${relationName(name)}`)
      this.#catalog.drop(name)
      // The loaded-file list is a part of the table: a new one of the same name loads everything again.
      this.#fileLogs.forget(name)
      this.#tableLogs.forget(name)
      return noRows
    })
  }

  async addColumns(
    parts: readonly string[],
    columns: readonly CatalogColumn[],
    context: StatementContext,
  ): Promise<StatementResult> {
    const name = this.#catalog.resolve(parts, context)
    return this.#queue.run(tableKey(name), context.signal, async () => {
      const table = this.#catalog.requireTable(name)
      for (const column of columns) {
        if (!table.columns.some((each) => each.name.toLowerCase() === column.name.toLowerCase())) continue
        throw new SqlFailure(
          'FIELD_ALREADY_EXISTS',
          '42710',
          `Cannot add column, because \`${column.name}\` already exists in the table.`,
        )
      }
      const all = [...table.columns, ...columns]
      checkColumns(all)
      for (const column of columns) {
        if (!column.nullable) throw notEmulated('NOT NULL columns in ALTER TABLE')
      }
      await this.#connections.with(context.signal, async (connection) => {
        await connection.run('BEGIN')
        for (const column of columns) {
          await connection.run(`ALTER TABLE ${relationName(name)} ADD COLUMN ${definition(column)}`)
        }
        await connection.run('COMMIT')
      })
      this.#catalog.put({ ...table, columns: all })
      this.#tableLogs.of(name).add({ operation: 'ADD COLUMNS' })
      return noRows
    })
  }

  /** Changes a column's collation, or widens its type. */
  async changeType(
    parts: readonly string[],
    name: string,
    type: SqlType,
    context: StatementContext,
  ): Promise<StatementResult> {
    const full = this.#catalog.resolve(parts, context)
    return this.#queue.run(tableKey(full), context.signal, async () => {
      const table = this.#catalog.requireTable(full)
      const named = columnNamed(table.columns, name)
      await this.#connections.change(
        `ALTER TABLE ${relationName(full)} ALTER COLUMN ${sqlIdentifier(named)} TYPE ${duckDbType(type)}`,
      )
      const columns = table.columns.map((column) => (column.name === named ? { ...column, type } : column))
      this.#catalog.put({ ...table, columns })
      this.#tableLogs.of(full).add({ operation: 'CHANGE COLUMN' })
      return noRows
    })
  }
}

function definition(column: CatalogColumn): string {
  return `${sqlIdentifier(column.name)} ${duckDbType(column.type)}`
}

function columnNamed(columns: readonly CatalogColumn[], name: string): string {
  const column = columns.find((each) => each.name.toLowerCase() === name.toLowerCase())
  if (column !== undefined) return column.name
  const list = columns.map((each) => each.name).join(', ')
  throw new SqlFailure(
    'DELTA_COLUMN_NOT_FOUND',
    '42703',
    `Unable to find the column \`${name}\` given [${list}]`,
  )
}
