import type { DuckDBConnection } from '@duckdb/node-api'
import { type FileLogs, filesOf, type LoadedFile, load } from './copy-into.ts'
import {
  hasCatalogCommits,
  relationName,
  type TableParts,
  tableKey,
  type UnityCatalog,
} from './sql-catalog.ts'
import type { DuckDbConnections } from './sql-connections.ts'
import type { CopyStatement } from './sql-copy.ts'
import { concurrentAppend, transactionNotSupported, userRaised } from './sql-failures.ts'
import type { StatementHolds } from './sql-holds.ts'
import type { AtomicScript, ScriptStep, WriteStatement } from './sql-script.ts'
import { countsRow } from './sql-values.ts'
import type { WriteQueue } from './sql-write-queue.ts'
import { applyWrite, targetOf, translatorOf, type WriteEnvironment, type WriteOutcome } from './sql-writes.ts'
import type { TableLogs } from './table-log.ts'
import type { DiskVolumes } from './volume-files.ts'
import type { StatementContext, StatementRows } from './warehouse-engine.ts'

export interface TransactionsOptions {
  readonly catalog: UnityCatalog
  readonly connections: DuckDbConnections
  readonly volumes: DiskVolumes
  readonly queue: WriteQueue
  readonly fileLogs: FileLogs
  readonly tableLogs: TableLogs
  readonly holds: StatementHolds
  /** Whether an INSERT counts the rows of files and stores none. */
  readonly countOnly: boolean
  /** Pages contradict each other about COPY INTO in a transaction: whether it is supported. */
  readonly allowsCopy: boolean
  /** Whether files may be read, with the hint. */
  readonly allowsFiles: boolean
}

type Write = WriteStatement | CopyStatement

/**
 * Executes `BEGIN ATOMIC … END` with snapshot isolation.
 *
 * A script first runs on a snapshot, which is rolled back. What it decided to write is then executed and committed,
 * unless another commit since the snapshot conflicts: of two transactions, the one that commits second fails. That a
 * key which two transactions insert is a conflict is not documented, so here it is none.
 */
export class Transactions {
  readonly #options: TransactionsOptions

  constructor(options: TransactionsOptions) {
    this.#options = options
  }

  async execute(script: AtomicScript, text: string, context: StatementContext): Promise<StatementRows> {
    const { catalog, connections, volumes, queue, tableLogs, holds, countOnly } = this.#options
    const environment: WriteEnvironment = { catalog, volumes, context, isInTransaction: true, countOnly }
    const tables = this.#targets(script.steps, environment)
    // Read before the snapshot: what is committed in between counts as a conflict.
    const versions = new Map(tables.map((name) => [tableKey(name), tableLogs.of(name).version]))
    const writes: Write[] = []
    const outcomes = await connections.with(context.signal, (connection) =>
      this.#onSnapshot(connection, tables, async () =>
        this.#run(script.steps, environment, connection, writes),
      ),
    )
    await holds.pass(text, context.signal)
    const inTurn = tables.reduce(
      (work, name) => () => queue.run(tableKey(name), context.signal, work),
      async () => {
        for (const name of tables) this.#requireNoConflict(name, versions, outcomes)
        await connections.with(context.signal, (connection) => this.#commit(writes, environment, connection))
      },
    )
    await inTurn()
    return countsRow(outcomes.at(-1)?.counts ?? {})
  }

  async #onSnapshot<T>(
    connection: DuckDBConnection,
    tables: readonly TableParts[],
    work: () => Promise<T>,
  ): Promise<T> {
    await connection.run('BEGIN')
    // DuckDB takes the snapshot of a database with its first access.
    for (const name of tables) await connection.run(`SELECT 1 FROM ${relationName(name)} LIMIT 0`)
    const result = await work()
    await connection.run('ROLLBACK')
    return result
  }

  async #run(
    steps: readonly ScriptStep[],
    environment: WriteEnvironment,
    connection: DuckDBConnection,
    writes: Write[],
  ): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = []
    for (const step of steps) {
      if (step.kind === 'SIGNAL') throw userRaised(step.sqlState, step.text)
      if (step.kind === 'IF') {
        const translator = translatorOf(environment)
        const sql = `SELECT (${translator.translate(step.condition)}) IS TRUE AS holds`
        const [row] = (await connection.runAndReadAll(sql, { ...translator.values })).getRowsJson()
        if (row?.[0] === true)
          outcomes.push(...(await this.#run(step.steps, environment, connection, writes)))
        continue
      }
      writes.push(step)
      outcomes.push(
        step.kind === 'COPY INTO'
          ? (await this.#copy(step, environment, connection)).outcome
          : await applyWrite(step, environment, connection),
      )
    }
    return outcomes
  }

  async #commit(
    writes: readonly Write[],
    environment: WriteEnvironment,
    connection: DuckDBConnection,
  ): Promise<void> {
    const { tableLogs, fileLogs } = this.#options
    const outcomes: WriteOutcome[] = []
    const copied: { readonly name: TableParts; readonly loaded: readonly LoadedFile[] }[] = []
    await connection.run('BEGIN')
    for (const write of writes) {
      if (write.kind === 'COPY INTO') {
        const { outcome, loaded } = await this.#copy(write, environment, connection)
        copied.push({ name: outcome.name, loaded })
        outcomes.push(outcome)
      } else outcomes.push(await applyWrite(write, environment, connection))
    }
    await connection.run('COMMIT')
    for (const { name, loaded } of copied) fileLogs.of(name).end([], loaded)
    for (const outcome of outcomes) tableLogs.of(outcome.name).add(outcome)
  }

  async #copy(
    copy: CopyStatement,
    { catalog, volumes, context }: WriteEnvironment,
    connection: DuckDBConnection,
  ): Promise<{ readonly outcome: WriteOutcome; readonly loaded: readonly LoadedFile[] }> {
    const { fileLogs } = this.#options
    const table = catalog.requireTable(catalog.resolve(copy.table, context))
    const named = await filesOf(copy, volumes)
    const paths = copy.isForced ? named : fileLogs.of(table.name).unloaded(named)
    const loaded = await load(
      copy,
      paths,
      { volumes, target: relationName(table.name), table, countOnly: false },
      {
        rows: async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson(),
        change: async (sql) => connection.run(sql),
      },
    )
    const rows = loaded.reduce((sum, file) => sum + file.rows, 0)
    return {
      loaded,
      outcome: {
        name: table.name,
        operation: 'COPY INTO',
        isBlindAppend: true,
        isReading: false,
        hasChangedRows: false,
        counts: { num_affected_rows: rows, num_inserted_rows: rows },
      },
    }
  }

  /** @returns every table that the script may write to, each once */
  #targets(steps: readonly ScriptStep[], environment: WriteEnvironment): readonly TableParts[] {
    const { catalog, context } = environment
    const found = new Map<string, TableParts>()
    for (const step of steps) {
      if (step.kind === 'SIGNAL') continue
      if (step.kind === 'IF') {
        for (const name of this.#targets(step.steps, environment)) found.set(tableKey(name), name)
        continue
      }
      if (step.kind === 'COPY INTO' && !this.#options.allowsCopy) {
        throw transactionNotSupported('STATEMENT', 'COPY INTO is not supported')
      }
      if (
        step.kind === 'INSERT' &&
        !this.#options.allowsFiles &&
        step.query.some(({ text }) => text === 'read_files')
      ) {
        throw transactionNotSupported('NON_TRANSACTIONAL_READ', 'Reading files is not supported')
      }
      const name =
        step.kind === 'COPY INTO'
          ? catalog.requireTable(catalog.resolve(step.table, context)).name
          : targetOf(step, environment)
      const table = catalog.requireTable(name)
      if (!hasCatalogCommits(table)) {
        throw transactionNotSupported(
          'TABLE_WITHOUT_CATALOG_COMMITS',
          'A table without catalog-managed commits',
        )
      }
      if (table.rowFilter !== undefined || table.masks !== undefined) {
        throw transactionNotSupported(
          'ROW_FILTER_OR_COLUMN_MASK',
          'A table with a row filter or a column mask',
        )
      }
      found.set(tableKey(name), name)
    }
    return [...found.values()].sort((a, b) => (tableKey(a) < tableKey(b) ? -1 : 1))
  }

  #requireNoConflict(
    name: TableParts,
    versions: ReadonlyMap<string, number>,
    outcomes: readonly WriteOutcome[],
  ): void {
    const key = tableKey(name)
    const mine = outcomes.filter((outcome) => tableKey(outcome.name) === key)
    const later = this.#options.tableLogs.of(name).since(versions.get(key) ?? 0)
    if (conflicts(mine, later)) throw concurrentAppend(name)
  }
}

/** Whether commits since a snapshot prevent writes that were made on it. */
export function conflicts(
  mine: readonly Pick<WriteOutcome, 'isReading'>[],
  later: readonly {
    readonly operation: string
    readonly isBlindAppend: boolean
    readonly hasChangedRows: boolean
  }[],
): boolean {
  // "Metadata changes cause all concurrent write operations to fail": the page "Isolation levels" (read 2026-11-29).
  if (mine.length > 0 && later.some(({ operation }) => operation === 'ADD COLUMNS')) return true
  return (
    mine.some(({ isReading }) => isReading) &&
    later.some(({ isBlindAppend, hasChangedRows }) => hasChangedRows || !isBlindAppend)
  )
}
