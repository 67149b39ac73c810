import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { TailraceError } from '../../errors.ts'
import type { TakeRows } from '../../reporting/row-batch.ts'
import { SerialQueue } from '../../serial-queue.ts'
import { sqlString } from '../../tables/sql.ts'
import { handOnRows, streamStatements } from './row-stream.ts'

export { sqlIdentifier, sqlString } from '../../tables/sql.ts'

/** Statistics of one column of one written file, as DuckDB's `RETURN_STATS` states them: all text. */
export interface ColumnStatistics {
  readonly nullCount: number
  /** Missing where the file has no usable bound. */
  readonly min?: string
  readonly max?: string
  readonly hasNan: boolean
}

/** One Parquet file that a COPY wrote. */
export interface WrittenFile {
  readonly path: string
  readonly rows: number
  readonly bytes: number
  /** By top-level column name. */
  readonly columns: ReadonlyMap<string, ColumnStatistics>
  /** Values of the partition columns, empty without PARTITION_BY; null is the NULL partition. */
  readonly partition: ReadonlyMap<string, string | null>
}

/** A row as JSON-safe values: 64-bit integers, decimals and timestamps are text. */
export type JsonRow = Record<string, unknown>

export interface EmbeddedEngineOptions {
  /** Default 2. */
  readonly threads?: number
  /** Memory DuckDB may hold, in MiB. Default 200. */
  readonly memoryMiB?: number
  /** Where DuckDB spills when it must. */
  readonly temporaryDirectory: string
}

// The exit of a process joins the threads that statements run on, and waits for them.
let underWay = 0

/** How many statements of this process's engines are under way. */
export function statementsUnderWay(): number {
  return underWay
}

/** DuckDB loses an interrupt that comes before its statement begins, so it is repeated this often. */
const interruptMs = 20

/**
 * The embedded engine: one in-memory DuckDB that reads spools and writes Parquet.
 *
 * It never reaches for the network: extensions that are not built in stay out. Its work runs on its own
 * threads; the JavaScript thread only waits. Statements of one connection run one after the other; one that is given a
 * signal is interrupted when the signal fires, and fails with the signal's reason.
 */
export class EmbeddedEngine {
  #instance: DuckDBInstance
  #connection: DuckDBConnection
  #threads: number
  /** What is left to do once the connection is closed. */
  #release: () => void
  /** Opens the instance again. Undefined for a second way into another one's. */
  #reopen: (() => Promise<OpenedInstance>) | undefined
  /** Whether an error has made the instance unusable. */
  #isInvalid = false
  #closing = new AbortController()
  #closed: Promise<void> | undefined
  /** One statement at a time: an interrupt would end any other on the connection. */
  #queue = new SerialQueue()
  #connections = new Set<Promise<EmbeddedEngine>>()

  private constructor(
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    threads: number,
    release: () => void,
    reopen?: () => Promise<OpenedInstance>,
  ) {
    this.#threads = threads
    this.#release = release
    this.#reopen = reopen
    this.#instance = instance
    this.#connection = connection
  }

  /** @throws ENGINE_FAILED */
  static async open(options: EmbeddedEngineOptions): Promise<EmbeddedEngine> {
    const threads = options.threads ?? 2
    const open = (): Promise<OpenedInstance> =>
      openInstance({
        threads: String(threads),
        memory_limit: `${options.memoryMiB ?? 200}MiB`,
        temp_directory: options.temporaryDirectory,
        // Rows carry their offset; keeping their order would serialize the writer on one thread.
        preserve_insertion_order: 'false',

        autoinstall_known_extensions: 'false',
        autoload_known_extensions: 'false',
      })
    const { instance, connection } = await open()
    const engine: EmbeddedEngine = new EmbeddedEngine(
      instance,
      connection,
      threads,
      () => engine.#instance.closeSync(),
      open,
    )
    return engine
  }

  /** Runs one statement for its effect. */
  async run(sql: string, signal?: AbortSignal): Promise<void> {
    await this.#statement(() => this.#connection.run(sql), signal)
  }

  /** Runs one statement and returns all its rows. */
  async rows(sql: string, signal?: AbortSignal): Promise<JsonRow[]> {
    const reader = await this.#statement(() => this.#connection.runAndReadAll(sql), signal)
    return reader.getRowObjectsJson()
  }

  /**
   * Runs `work` in a transaction that is rolled back at its end. `work` ends what it reads before it returns.
   *
   * @throws the engine's error when a transaction is open already
   */
  async rolledBack<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.run('BEGIN TRANSACTION')
    try {
      return await work()
    } finally {
      await this.run('ROLLBACK')
    }
  }

  /**
   * Runs one statement and hands on its rows, as JSON-safe values, while it runs. Call it inside of a transaction: nothing
   * else shows that a statement has failed after its first rows.
   *
   * @throws RowsCutOff then; the engine's error for a statement that fails before
   */
  async stream(sql: string, take: TakeRows): Promise<void> {
    await this.#statement(async () => handOnRows(this.#connection, await this.#connection.stream(sql), take))
  }

  /** Runs statements one after the other, each committed by itself, and hands on the rows of those that have any. */
  async streamEach(sql: string, take: TakeRows): Promise<void> {
    await this.#statement(() => streamStatements(this.#connection, sql, take))
  }

  /**
   * Lets statements reach no other file than those below some directories and the temporary one, no network, no
   * extension and no setting, for as long as the engine lives. It can still write below the directories.
   *
   * @param directories a symbolic link below them that leads out of them is not followed
   */
  async confine(directories: readonly string[]): Promise<void> {
    // Opened again after an internal error, it would not be confined.
    this.#reopen = undefined
    // A file's name is compared as the statement has it, which may be as a pattern that stands for this one file.
    const names = directories.flatMap((one) => [sqlString(one), filePathSql(one)])
    await this.run(`SET allowed_directories = [${names.join(', ')}]`)
    await this.run('SET allow_persistent_secrets = false')
    // Asking for a statement's plan turns some optimizers off.
    await this.run("SET allowed_configs = ['disabled_optimizers']")
    await this.run('SET enable_external_access = false')
    await this.run('SET lock_configuration = true')
  }

  /**
   * Runs a COPY that has RETURN_STATS and returns the files it wrote.
   *
   * @param sql a `COPY (…) TO '…' (FORMAT parquet, RETURN_STATS, …)` statement
   */
  async copy(sql: string, signal?: AbortSignal): Promise<WrittenFile[]> {
    return (await this.rows(sql, signal)).map(writtenFile)
  }

  /** Runs `work` with other settings, and puts them back. */
  async withSettings<Result>(
    settings: Readonly<Record<string, string | number>>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const names = Object.keys(settings)
    const [before] = await this.rows(
      `SELECT ${names.map((name) => `current_setting('${name}')::VARCHAR AS "${name}"`).join(', ')}`,
    )
    try {
      for (const name of names) await this.run(`SET ${name} = ${sqlString(String(settings[name]))}`)
      return await work()
    } finally {
      // The settings of a closed engine are gone with it; a refusal here would hide the error of `work`.
      for (const name of this.#closing.signal.aborted ? [] : names) {
        await this.run(`SET ${name} = ${sqlString(String(before![name]))}`)
      }
    }
  }

  /**
   * Gives memory that is no longer used back to the system.
   *
   * DuckDB's allocator keeps what a statement freed, per thread, and a run of many batches would peak 150 MB higher.
   * It lets go when its threads are started anew, which takes a millisecond; its settings for the same end make
   * every statement pay for it in page faults.
   */
  async returnMemory(): Promise<void> {
    // After a close there is no memory left to give back, and the caller's own error is the one to hear of.
    if (this.#closing.signal.aborted) return
    await this.run('SET threads = 1')
    await this.run(`SET threads = ${this.#threads}`)
  }

  /**
   * Opens a second way into the same engine: its statements run beside this one's, on the same threads and within
   * the same memory. It is closed with the engine, or before.
   */
  async connect(): Promise<EmbeddedEngine> {
    this.#closing.signal.throwIfAborted()
    const opening: Promise<EmbeddedEngine> = connected(this.#instance).then(
      (connection) =>
        new EmbeddedEngine(this.#instance, connection, this.#threads, () =>
          this.#connections.delete(opening),
        ),
    )
    this.#connections.add(opening)
    opening.catch(() => this.#connections.delete(opening))
    return opening
  }

  /**
   * Interrupts the statements under way, waits until they have ended, and gives everything back. From the call on,
   * statements are refused with an AbortError. May be called again.
   *
   * DuckDB destroys a connection on the thread that asks for it, under a lock that a running statement holds: closing
   * beside a statement would block the event loop for good, or end the process with a segmentation fault.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new DOMException('The engine is closed.', 'AbortError'))
    await Promise.allSettled([...this.#connections].map(async (opening) => (await opening).close()))
    await this.#queue.idle()
    this.#connection.closeSync()
    this.#release()
  }

  /** After an internal error the engine refuses every statement until it is opened again; it holds no data to lose. */
  async #renew(): Promise<void> {
    if (this.#reopen === undefined) return
    const { instance, connection } = await this.#reopen()
    this.#connection.closeSync()
    this.#instance.closeSync()
    this.#instance = instance
    this.#connection = connection
    this.#isInvalid = false
  }

  /** An interrupt ends whatever its connection runs, so there is one statement at a time: the one that is meant. */
  #statement<Result>(statement: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return this.#queue.run(() => this.#interruptible(statement, signal))
  }

  async #interruptible<Result>(
    statement: () => Promise<Result>,
    signal: AbortSignal | undefined,
  ): Promise<Result> {
    const ends = [this.#closing.signal, ...(signal === undefined ? [] : [signal])]
    for (const end of ends) end.throwIfAborted()
    if (this.#isInvalid) await this.#renew()
    let repeat: NodeJS.Timeout | undefined
    const interrupt = (): void => {
      this.#connection.interrupt()
      repeat ??= setInterval(interrupt, interruptMs)
    }
    for (const end of ends) end.addEventListener('abort', interrupt)
    underWay += 1
    try {
      return await statement()
    } catch (error) {
      this.#isInvalid ||= invalidates(error)
      for (const end of ends) end.throwIfAborted()
      throw error
    } finally {
      underWay -= 1
      clearInterval(repeat)
      for (const end of ends) end.removeEventListener('abort', interrupt)
    }
  }
}

function invalidates(error: unknown): boolean {
  return error instanceof Error && /^(?:INTERNAL|FATAL) Error/.test(error.message)
}

interface OpenedInstance {
  readonly instance: DuckDBInstance
  readonly connection: DuckDBConnection
}

async function openInstance(settings: Record<string, string>): Promise<OpenedInstance> {
  let instance: DuckDBInstance | undefined
  try {
    instance = await DuckDBInstance.create(':memory:', settings)
    return { instance, connection: await connected(instance) }
  } catch (error) {
    instance?.closeSync()
    throw new TailraceError('ENGINE_FAILED', 'The embedded engine could not be opened.', { cause: error })
  }
}

async function connected(instance: DuckDBInstance): Promise<DuckDBConnection> {
  const connection = await instance.connect()
  await connection.run("SET TimeZone = 'UTC'")
  return connection
}

interface JsonEntry {
  readonly key: string
  readonly value: unknown
}

function writtenFile(row: JsonRow): WrittenFile {
  const columns = new Map<string, ColumnStatistics>()
  for (const { key, value } of entriesOf(row.column_statistics)) {
    const facts = new Map(entriesOf(value).map((fact) => [fact.key, String(fact.value)]))
    const min = facts.get('min')
    const max = facts.get('max')
    columns.set(unquoted(key), {
      nullCount: Number(facts.get('null_count') ?? 0),
      hasNan: facts.get('has_nan') === 'true',
      ...(min === undefined ? {} : { min }),
      ...(max === undefined ? {} : { max }),
    })
  }
  return {
    path: String(row.filename),
    rows: Number(row.count),
    bytes: Number(row.file_size_bytes),
    columns,
    partition: new Map(
      entriesOf(row.partition_keys).map(({ key, value }) => [key, value === null ? null : String(value)]),
    ),
  }
}

function entriesOf(value: unknown): readonly JsonEntry[] {
  return Array.isArray(value) ? (value as JsonEntry[]) : []
}

/** Top-level columns only: DuckDB quotes each part of a path and doubles the quotes inside. */
function unquoted(path: string): string {
  return path.startsWith('"') && path.endsWith('"') ? path.slice(1, -1).replaceAll('""', '"') : path
}

/** @returns a path as SQL that stands for this one file: the engine takes a plain `*`, `?` or `[` for a pattern */
export function filePathSql(path: string): string {
  return sqlString(path.replace(/[*?[]/g, '[$&]'))
}

/** SQL of a relation of the rows of some Parquet files, at least one, with every column that one of them has. */
export function parquetSql(paths: readonly string[]): string {
  return `read_parquet([${paths.map(filePathSql).join(', ')}], hive_partitioning = false, union_by_name = true)`
}
