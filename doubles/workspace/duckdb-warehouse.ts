import { sqlIdentifier } from '../../src/tables/sql.ts'
import { type CopyGuard, FileLogs, filesOf, type LoadedFile, load } from './copy-into.ts'
import { type CatalogTable, hasCatalogCommits, relationName, tableKey, UnityCatalog } from './sql-catalog.ts'
import { DuckDbConnections } from './sql-connections.ts'
import type { CopyStatement } from './sql-copy.ts'
import { Definitions } from './sql-definitions.ts'
import type { Translator } from './sql-expressions.ts'
import {
  catalogNotFound,
  concurrentAppend,
  dotted,
  fromDuckDb,
  notEmulated,
  tableNotFound,
} from './sql-failures.ts'
import { listFolder, stagingRequest } from './sql-file-commands.ts'
import { type Hold, StatementHolds, throwIfCanceled } from './sql-holds.ts'
import type { AtomicScript, WriteStatement } from './sql-script.ts'
import {
  type CreateViewStatement,
  parseStatement,
  type Statement,
  type StatementKind,
} from './sql-statements.ts'
import type { Token } from './sql-tokens.ts'
import { conflicts, Transactions } from './sql-transactions.ts'
import { countsRow, noRows, statementRows } from './sql-values.ts'
import { WriteQueue } from './sql-write-queue.ts'
import { applyWrite, targetOf, translatorOf, type WriteEnvironment } from './sql-writes.ts'
import { type TableLog, TableLogs } from './table-log.ts'
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
   * COPY INTO and INSERT … SELECT … FROM read_files count the rows of their files by the footers, and store no row: what
   * is measured then is the client and not DuckDB. Default false.
   */
  readonly instantLoad?: boolean
  /** Whether tables may have catalog-managed commits, which transactions need. Default true. */
  readonly catalogCommits?: boolean
  /** The collation of text columns that a created table names none for. Default none. */
  readonly defaultCollation?: string
  /** How a transaction may read files: by COPY INTO, by read_files, or, the default, by both. */
  readonly transactionReads?: 'copy' | 'files'
  /** Whether a COPY INTO has read its files when it is held, so that they may be removed. Default false. */
  readonly copyReadsFirst?: boolean
  /** Default `refuses-second-start`. */
  readonly copyGuard?: CopyGuard
}

function isWrite(statement: Statement): statement is WriteStatement {
  return ['INSERT', 'UPDATE', 'MERGE', 'DELETE'].includes(statement.kind)
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
  readonly #tableLogs = new TableLogs()
  readonly #transactions: Transactions
  readonly #copyGuard: CopyGuard
  readonly #copyReadsFirst: boolean

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
      tableLogs: this.#tableLogs,
      catalogCommits: options.catalogCommits ?? true,
      defaultCollation: options.defaultCollation,
    })
    this.#copyReadsFirst = options.copyReadsFirst ?? false
    this.#copyGuard = options.copyGuard ?? 'refuses-second-start'
    this.#transactions = new Transactions({
      catalog: this.#catalog,
      connections,
      volumes: options.volumes,
      queue: this.#queue,
      fileLogs: this.#fileLogs,
      tableLogs: this.#tableLogs,
      holds: this.#holds,
      countOnly: this.#instantLoad,
      allowsCopy: options.transactionReads !== 'files',
      allowsFiles: options.transactionReads !== 'copy',
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

  /**
   * Adds rows beside the SQL, as a service does that needs no warehouse.
   *
   * @param select DuckDB SQL of the columns, with the parameter `$records`
   */
  async append(
    table: CatalogTable,
    columns: readonly string[],
    { select, records }: { readonly select: string; readonly records: string },
  ): Promise<void> {
    const { signal } = new AbortController()
    await this.#queue.run(tableKey(table.name), signal, async () => {
      const list = columns.map(sqlIdentifier).join(', ')
      const sql = `INSERT INTO ${relationName(table.name)} (${list}) ${select}`
      const rows = await this.#connections.change(sql, { records })
      this.tableLog(table.name.join('.')).add({
        operation: 'WRITE',
        isBlindAppend: true,
        counts: { num_inserted_rows: rows },
      })
    })
  }

  /** The id and versions of a table. @param table such as `catalog.schema.table` */
  tableLog(table: string): TableLog {
    return this.#tableLogs.of(this.#catalog.resolve(table.split('.'), noDefaults))
  }

  /**
   * Changes a table as somebody else does.
   *
   * @param operation as the table's history has it, such as `RESTORE`
   * @param sql DuckDB's
   */
  async changedByOthers(table: string, operation: string, sql: string): Promise<void> {
    await this.#connections.change(sql)
    this.tableLog(table).add({ operation, userName: 'somebody@example.com', hasChangedRows: true })
  }

  /** Sets the row filter and the column masks of a table, each in DuckDB's SQL; undefined for none. */
  restrict(table: string, access: Pick<CatalogTable, 'rowFilter' | 'masks'>): void {
    this.#catalog.put({
      ...this.#catalog.requireTable(this.#catalog.resolve(table.split('.'), noDefaults)),
      ...access,
    })
  }

  async execute(text: string, context: StatementContext): Promise<StatementResult> {
    throwIfCanceled(context.signal)
    const statement = parseStatement(text)
    this.statements.set(statement.kind, (this.statements.get(statement.kind) ?? 0) + 1)
    try {
      // A write passes the holds by itself, when it has taken its files or its snapshot.
      if (statement.kind === 'COPY INTO') return await this.#copyInto(statement, text, context)
      if (statement.kind === 'BEGIN ATOMIC') return await this.#transactions.execute(statement, text, context)
      if (isWrite(statement)) return await this.#write(statement, text, context)
      await this.#holds.pass(text, context.signal)
      return await this.#run(statement, context)
    } catch (error) {
      throw fromDuckDb(error)
    }
  }

  async #run(
    statement: Exclude<Statement, CopyStatement | WriteStatement | AtomicScript>,
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
        return this.#createView(statement, context)
      case 'DROP TABLE':
        return this.#definitions.drop('TABLE', statement.name, statement.ifExists, context)
      case 'DROP VIEW':
        return this.#definitions.drop('VIEW', statement.name, statement.ifExists, context)
      case 'ALTER TABLE':
        return this.#definitions.addColumns(statement.name, statement.columns, context)
      case 'ALTER COLUMN':
        return this.#definitions.changeType(statement.name, statement.column, statement.type, context)
      case 'DESCRIBE DETAIL':
        return this.#describeDetail(statement.name, context)
      case 'DESCRIBE HISTORY':
        return this.#describeHistory(statement.name, statement.limit, context)
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
    // Outside of a transaction that has removed their rows it would double them.
    if (copy.isForced) throw notEmulated("COPY INTO with 'force' outside of a transaction")
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
    const readsFirst = this.#copyReadsFirst
    const pending = log.begin(await filesOf(copy, this.#volumes), this.#copyGuard)
    let loaded: readonly LoadedFile[] = []
    try {
      const volumes = readsFirst ? await this.#volumes.kept(pending) : this.#volumes
      await this.#holds.pass(text, signal)
      await this.#queue.run(tableKey(name), signal, async () => {
        const table = this.#catalog.requireTable(name)
        // The table was dropped since, and another of its name has a list of its own.
        if (this.#fileLogs.of(name) !== log) throw tableNotFound(name)
        log.requireUnloaded(pending)
        const source = {
          volumes,
          target: relationName(name),
          table,
          countOnly: this.#instantLoad,
        }
        loaded = await load(copy, pending, source, {
          rows: (sql) => this.#connections.rows(sql),
          change: (sql) => this.#connections.change(sql, {}, signal),
        })
        const added = loaded.reduce((sum, { rows }) => sum + rows, 0)
        const counts = { num_inserted_rows: added }
        this.#tableLogs.of(name).add({ operation: 'COPY INTO', isBlindAppend: true, counts })
      })
    } finally {
      log.end(pending, loaded)
    }
    const rows = loaded.reduce((sum, file) => sum + file.rows, 0)
    return countsRow({ num_affected_rows: rows, num_inserted_rows: rows, num_skipped_corrupt_files: 0 })
  }

  /** Executes a statement that changes rows, all or none of them. */
  async #write(statement: WriteStatement, text: string, context: StatementContext): Promise<StatementResult> {
    const { signal } = context
    const environment = this.#environment(context)
    const name = targetOf(statement, environment)
    const key = tableKey(name)
    const version = this.#tableLogs.of(name).version
    await this.#holds.pass(text, signal)
    return this.#queue.run(key, signal, async () => {
      const later = this.#tableLogs.of(name).since(version)
      // Other statements repeat themselves when another commit was first; of this one it is not known.
      const isReplace = statement.kind === 'INSERT' && statement.replaceWhere !== undefined
      if (isReplace && conflicts([{ isReading: true }], later)) throw concurrentAppend(name)
      const outcome = await this.#connections.with(signal, async (connection) => {
        await connection.run('BEGIN')
        const done = await applyWrite(statement, environment, connection)
        await connection.run('COMMIT')
        return done
      })
      this.#tableLogs.of(name).add(outcome)
      return countsRow(outcome.counts)
    })
  }

  #describeDetail(parts: readonly string[], context: StatementContext): StatementResult {
    const table = this.#catalog.requireTable(this.#catalog.resolve(parts, context))
    const { id } = this.#tableLogs.of(table.name)
    const features = hasCatalogCommits(table) ? ['appendOnly', 'catalogManaged'] : ['appendOnly']
    const values = {
      format: 'delta',
      id,
      name: table.name.join('.'),
      properties: JSON.stringify(Object.fromEntries(table.properties)),
      tableFeatures: JSON.stringify(features),
    }
    return {
      kind: 'rows',
      columns: Object.keys(values).map((name) => ({ name, type: 'STRING' })),
      rows: [Object.values(values)],
    }
  }

  #describeHistory(parts: readonly string[], limit: number, context: StatementContext): StatementResult {
    const { name } = this.#catalog.requireTable(this.#catalog.resolve(parts, context))
    return {
      kind: 'rows',
      columns: [
        { name: 'version', type: 'BIGINT' },
        { name: 'timestamp', type: 'TIMESTAMP' },
        { name: 'userName', type: 'STRING' },
        { name: 'operation', type: 'STRING' },
      ],
      rows: [...this.#tableLogs.of(name).commits]
        .reverse()
        .slice(0, limit)
        .map(({ version, timestampMs, userName, operation }) => [
          BigInt(version),
          new Date(timestampMs).toISOString().replace('T', ' ').replace('Z', ''),
          userName,
          operation,
        ]),
    }
  }

  #createView(
    { name, query, replaces }: CreateViewStatement,
    context: StatementContext,
  ): Promise<StatementResult> {
    const translated = this.#translator(context).translate(query)
    return this.#definitions.createView(name, { query: translated, replaces }, context)
  }

  #environment(context: StatementContext): WriteEnvironment {
    return {
      catalog: this.#catalog,
      volumes: this.#volumes,
      context,
      isInTransaction: false,
      countOnly: this.#instantLoad,
    }
  }

  #translator(context: StatementContext): Translator {
    return translatorOf(this.#environment(context))
  }
}
