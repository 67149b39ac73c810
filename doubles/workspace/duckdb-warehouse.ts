import { sqlString } from '../../src/tables/sql.ts'
import { FileLogs, filesOf, type LoadedFile, load } from './copy-into.ts'
import {
  type CatalogTable,
  relationName,
  type SystemRelation,
  tableKey,
  UnityCatalog,
} from './sql-catalog.ts'
import { DuckDbConnections } from './sql-connections.ts'
import type { CopyStatement } from './sql-copy.ts'
import { Definitions } from './sql-definitions.ts'
import { Translator } from './sql-expressions.ts'
import { ambiguousMerge, catalogNotFound, dotted, fromDuckDb, tableNotFound } from './sql-failures.ts'
import { listFolder, stagingRequest } from './sql-file-commands.ts'
import { type Hold, StatementHolds, throwIfCanceled } from './sql-holds.ts'
import type { MergeStatement } from './sql-merge.ts'
import { mergeSql } from './sql-merge-execution.ts'
import { parseStatement, type Statement, type StatementKind } from './sql-statements.ts'
import type { Token } from './sql-tokens.ts'
import { countsRow, noRows, statementRows } from './sql-values.ts'
import { WriteQueue } from './sql-write-queue.ts'
import type { DiskVolumes } from './volume-files.ts'
import {
  SqlFailure,
  type StatementContext,
  type StatementResult,
  type WarehouseEngine,
} from './warehouse-engine.ts'

export interface DuckDbWarehouseOptions {
  readonly volumes: DiskVolumes
  /**
   * COPY INTO notes its files and counts their rows by their footers, and stores no row: what is measured then is
   * the client and not DuckDB. Default false.
   */
  readonly instantLoad?: boolean
}

const noDefaults = { catalog: undefined, schema: undefined }

/**
 * A Databricks SQL warehouse with DuckDB behind it, for the statements that Tailrace's sink emits.
 *
 * Writes to one table run one after the other, and each is atomic. A statement whose signal is aborted before its
 * effects is canceled; one whose client has disconnected continues.
 */
export class DuckDbWarehouse implements WarehouseEngine {
  /** The number of statements of each kind that were started, with any outcome. */
  readonly statements = new Map<StatementKind, number>()
  readonly #connections: DuckDbConnections
  readonly #volumes: DiskVolumes
  readonly #instantLoad: boolean
  readonly #catalog: UnityCatalog
  readonly #fileLogs = new FileLogs()
  readonly #queue = new WriteQueue()
  readonly #holds = new StatementHolds()
  readonly #definitions: Definitions

  private constructor(connections: DuckDbConnections, options: DuckDbWarehouseOptions) {
    this.#connections = connections
    this.#volumes = options.volumes
    this.#catalog = new UnityCatalog(options.volumes)
    this.#instantLoad = options.instantLoad ?? false
    this.#definitions = new Definitions({
      catalog: this.#catalog,
      connections,
      queue: this.#queue,
      fileLogs: this.#fileLogs,
    })
  }

  static async open(options: DuckDbWarehouseOptions): Promise<DuckDbWarehouse> {
    return new DuckDbWarehouse(await DuckDbConnections.open(), options)
  }

  close(): void {
    this.#connections.close()
  }

  /** Holds the next statement whose text matches, just before its effects; a COPY INTO has taken its files then. */
  holdNext(pattern: RegExp): Hold {
    return this.#holds.next(pattern)
  }

  /**
   * Runs DuckDB SQL on the same data: a table is `"catalog"."schema"."table"`, and the catalog `main`, whose name
   * DuckDB keeps for itself, `main_catalog`.
   */
  rows(sql: string): Promise<Record<string, unknown>[]> {
    return this.#connections.rows(sql)
  }

  /**
   * The files that COPY INTO has loaded into the table since its creation.
   *
   * @param table such as `catalog.schema.table`
   */
  loadedFiles(table: string): readonly LoadedFile[] {
    return this.#fileLogs.of(this.#catalog.resolve(table.split('.'), noDefaults)).loaded
  }

  /**
   * How the table was declared, what `information_schema` does not show included; undefined for no table.
   *
   * @param table such as `catalog.schema.table`
   */
  tableDefinition(table: string): CatalogTable | undefined {
    return this.#catalog.table(this.#catalog.resolve(table.split('.'), noDefaults))
  }

  async execute(text: string, context: StatementContext): Promise<StatementResult> {
    throwIfCanceled(context.signal)
    const statement = parseStatement(text)
    this.statements.set(statement.kind, (this.statements.get(statement.kind) ?? 0) + 1)
    try {
      // A COPY INTO passes the holds by itself, when it has taken its files.
      if (statement.kind === 'COPY INTO') return await this.#copyInto(statement, text, context)
      await this.#holds.pass(text, context.signal)
      return await this.#run(statement, context)
    } catch (error) {
      throw fromDuckDb(error)
    }
  }

  async #run(
    statement: Exclude<Statement, CopyStatement>,
    context: StatementContext,
  ): Promise<StatementResult> {
    switch (statement.kind) {
      case 'SELECT':
        return this.#select(statement.tokens, context)
      case 'CREATE CATALOG':
        return this.#definitions.createCatalog(statement.name, statement.ifNotExists, context)
      case 'CREATE SCHEMA':
        return this.#definitions.createSchema(statement.name, statement.ifNotExists, context)
      case 'CREATE TABLE':
        return this.#definitions.createTable(statement, context)
      case 'CREATE VIEW':
        return this.#createView(statement.name, statement.query, context)
      case 'DROP TABLE':
        return this.#definitions.dropTable(statement.name, statement.ifExists, context)
      case 'ALTER TABLE':
        return this.#definitions.addColumns(statement.name, statement.columns, context)
      case 'MERGE':
        return this.#merge(statement, context)
      case 'DELETE':
        return this.#delete(statement.name, statement.condition, context)
      case 'PUT':
      case 'REMOVE':
        return stagingRequest(statement, this.#volumes)
      case 'LIST':
        return listFolder(statement.volumePath, statement.limit, this.#volumes)
      case 'CLEAR CACHE':
        return noRows
    }
  }

  async #select(tokens: readonly Token[], context: StatementContext): Promise<StatementResult> {
    const translator = this.#translator(context)
    const sql = translator.translate(tokens)
    return this.#connections.with(context.signal, async (connection) =>
      statementRows(await connection.runAndReadAll(sql, { ...translator.values })),
    )
  }

  async #copyInto(copy: CopyStatement, text: string, context: StatementContext): Promise<StatementResult> {
    const { signal } = context
    const name = this.#catalog.resolve(copy.table, context)
    if (!this.#catalog.hasCatalog(name[0])) throw catalogNotFound(name[0])
    if (this.#catalog.table(name) === undefined) {
      // Class and SQLSTATE are in the Databricks list of conditions around COPY INTO; the text is not quoted there.
      throw new SqlFailure(
        'DELTA_MISSING_DELTA_TABLE_COPY_INTO',
        '42P01',
        `Table doesn't exist. Create an empty Delta table first using CREATE TABLE ${dotted(name)}.`,
      )
    }
    const log = this.#fileLogs.of(name)
    const pending = log.begin(await filesOf(copy, this.#volumes))
    let loaded: readonly LoadedFile[] = []
    try {
      await this.#holds.pass(text, signal)
      await this.#queue.run(tableKey(name), signal, async () => {
        const table = this.#catalog.requireTable(name)
        // The table was dropped since, and another of its name has a list of its own.
        if (this.#fileLogs.of(name) !== log) throw tableNotFound(name)
        const source = {
          volumes: this.#volumes,
          target: relationName(name),
          table,
          countOnly: this.#instantLoad,
        }
        loaded = await load(copy, pending, source, {
          rows: (sql) => this.#connections.rows(sql),
          change: (sql) => this.#connections.change(sql, {}, signal),
        })
      })
    } finally {
      log.end(pending, loaded)
    }
    const rows = loaded.reduce((sum, file) => sum + file.rows, 0)
    return countsRow({ num_affected_rows: rows, num_inserted_rows: rows, num_skipped_corrupt_files: 0 })
  }

  #merge(merge: MergeStatement, context: StatementContext): Promise<StatementResult> {
    const name = this.#catalog.resolve(merge.target, context)
    return this.#queue.run(tableKey(name), context.signal, async () => {
      this.#catalog.requireTable(name)
      const translator = this.#translator(context)
      const { ambiguous, changes } = mergeSql(merge, relationName(name), translator)
      return this.#connections.with(context.signal, async (connection) => {
        if (ambiguous !== undefined) {
          const { values } = ambiguous
          const found = await connection.runAndReadAll(ambiguous.sql, { ...values })
          if (found.currentRowCount > 0) throw ambiguousMerge()
        }
        const { sql, values } = changes
        const rows = (await connection.runAndReadAll(sql, { ...values })).getRowsJson()
        const count = (action: string): number => rows.filter(([one]) => one === action).length
        return countsRow({
          num_affected_rows: rows.length,
          num_updated_rows: count('UPDATE'),
          num_deleted_rows: count('DELETE'),
          num_inserted_rows: count('INSERT'),
        })
      })
    })
  }

  #createView(
    parts: readonly string[],
    query: readonly Token[],
    context: StatementContext,
  ): Promise<StatementResult> {
    return this.#definitions.createView(parts, this.#translator(context).translate(query), context)
  }

  #delete(
    parts: readonly string[],
    condition: readonly Token[] | undefined,
    context: StatementContext,
  ): Promise<StatementResult> {
    const name = this.#catalog.resolve(parts, context)
    return this.#queue.run(tableKey(name), context.signal, async () => {
      this.#catalog.requireTable(name)
      const translator = this.#translator(context)
      const where = condition === undefined ? '' : ` WHERE ${translator.translate(condition)}`
      const sql = `DELETE FROM ${relationName(name)}${where}`
      const deleted = await this.#connections.change(sql, translator.values, context.signal)
      return countsRow({ num_affected_rows: deleted })
    })
  }

  #translator(context: StatementContext): Translator {
    return new Translator({
      parameters: context.parameters,
      relation: (parts) => {
        const [schema, relation] = parts.slice(-2)
        if (parts.length > 1 && schema!.toLowerCase() === 'information_schema') {
          const catalog = (parts.length > 2 ? parts[0]! : (context.catalog ?? '')).toLowerCase()
          const name = relation!.toLowerCase()
          return { sql: systemSelect(this.#catalog.systemRelation(catalog, name)), alias: name }
        }
        const table = this.#catalog.requireTable(this.#catalog.resolve(parts, context))
        return { sql: relationName(table.name), alias: table.name[2] }
      },
    })
  }
}

/** A subquery with all rows of a relation of `information_schema`, each a row of literals. */
function systemSelect({ columns, rows }: SystemRelation): string {
  const typed = columns.map(({ name, type }, index) => `CAST(c${index} AS ${type}) AS ${name}`)
  const names = columns.map((_, index) => `c${index}`).join(', ')
  const literals = rows.map(
    (row) => `(${row.map((value) => (value === null ? 'NULL' : sqlString(String(value)))).join(', ')})`,
  )
  const nothing = `(${columns.map(() => 'NULL').join(', ')})`
  const values = literals.length === 0 ? nothing : literals.join(', ')
  const where = literals.length === 0 ? ' WHERE false' : ''
  return `(SELECT ${typed.join(', ')} FROM (VALUES ${values}) AS v(${names})${where})`
}
