import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { TailraceError } from '../../errors.ts'
import { SerialQueue } from '../../offsets/serial-queue.ts'
import { sqlString } from '../../tables/sql.ts'
import { createInstance } from './engine-api.ts'
import type { TakeRows } from './row-stream.ts'
import { handOnRows, streamStatements } from './row-stream.ts'

export { sqlIdentifier, sqlString } from '../../tables/sql.ts'

/** Statistics of one column of one written file, from DuckDB's `RETURN_STATS`; bounds are text for every type. */
export interface ColumnStatistics {
  readonly nullCount: number
  /** Undefined when the file has no usable bound; so is `max`. */
  readonly min?: string | undefined
  readonly max?: string | undefined
  readonly hasNan: boolean
}

/** One Parquet file that a COPY wrote. */
export interface WrittenFile {
  readonly path: string
  readonly rows: number
  readonly bytes: number
  /** By top-level column name. */
  readonly columns: ReadonlyMap<string, ColumnStatistics>
  /** Values of the partition columns; empty without PARTITION_BY. null is the NULL partition. */
  readonly partition: ReadonlyMap<string, string | null>
}

/** Values of the engine's settings, by name. */
export type EngineSettings = Readonly<Record<string, string | number>>

/** A row as JSON-safe values: 64-bit integers, decimals and timestamps are text. */
export type JsonRow = Record<string, unknown>

export interface EmbeddedEngineOptions {
  /** Default 2. */
  readonly threads?: number | undefined
  /** DuckDB's memory limit, in MiB. Default 200. */
  readonly memoryMiB?: number | undefined
  /** Directory to which DuckDB spills beyond its memory limit. */
  readonly temporaryDirectory: string
  /** Limit of what DuckDB spills, in MiB. Default: 90 % of the free space. */
  readonly maxSpillMiB?: number | undefined
}

// A process cannot exit before the threads of running statements end.
let underWay = 0

/** @returns the number of running statements of all engines in this process */
export function statementsUnderWay(): number {
  return underWay
}

/** Interval in which an interrupt is repeated, because DuckDB ignores one that comes before its statement starts. */
const interruptMs = 20

/**
 * The embedded engine: an in-memory DuckDB that reads spools and writes Parquet.
 *
 * It makes no network requests and loads no extensions beyond the built-in ones. Statements run on its own threads, one
 * at a time per connection. A statement with a signal is interrupted when the signal fires, and fails with its reason.
 */
export class EmbeddedEngine {
  #instance: DuckDBInstance
  #connection: DuckDBConnection
  #threads: number
  /** Called after the connection is closed. */
  #release: () => void
  /** Opens a new instance. Undefined for a connection that shares another engine's instance, and after `confine`. */
  #reopen: (() => Promise<OpenedInstance>) | undefined
  /** Whether an internal error has made the instance unusable. */
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
    const settings = {
      threads: String(threads),
      memory_limit: `${options.memoryMiB ?? 200}MiB`,
      temp_directory: options.temporaryDirectory,
      // Rows carry their offset, so their order is not needed; keeping it would run the writer on one thread.
      preserve_insertion_order: 'false',
      // The operating system caches files, too: a second copy would fill the memory up to its limit and save no time.
      enable_external_file_cache: 'false',

      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    }
    const { maxSpillMiB } = options
    const open = async (): Promise<OpenedInstance> => {
      const opened = await openInstance(settings)
      // DuckDB 1.5 ignores this setting when an instance is created with it.
      if (maxSpillMiB !== undefined)
        await opened.connection.run(`SET max_temp_directory_size = '${maxSpillMiB}MiB'`)
      return opened
    }
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
   * Runs `work` in a transaction that is rolled back at the end. `work` must finish its streams before it returns.
   *
   * @throws the engine's error when a transaction is already open
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
   * Runs one statement and passes its rows to `take`, as JSON-safe values, while it runs. Call it inside a transaction:
   * only a broken transaction shows that a statement has failed after its first rows.
   *
   * @throws RowsCutOff after such a failure; the engine's error for an earlier one
   */
  async stream(sql: string, take: TakeRows, signal?: AbortSignal): Promise<void> {
    await this.#statement(
      async () => handOnRows(this.#connection, await this.#connection.stream(sql), take),
      signal,
    )
  }

  /** Runs statements one after the other, each in its own transaction, and passes their rows to `take`. */
  async streamEach(sql: string, take: TakeRows, signal?: AbortSignal): Promise<void> {
    await this.#statement(() => streamStatements(this.#connection, sql, take), signal)
  }

  /**
   * Restricts statements to files below the given directories and the temporary one, for the rest of the engine's life:
   * no network, no extensions, no settings. Statements can still write below the directories.
   *
   * @param directories symbolic links that lead out of them are not followed
   */
  async confine(directories: readonly string[]): Promise<void> {
    // A reopened instance would not be confined.
    this.#reopen = undefined
    // DuckDB compares paths as written in a statement, which may have the form of `filePathSql`: allow both forms.
    const names = directories.flatMap((one) => [sqlString(one), filePathSql(one)])
    await this.run(`SET allowed_directories = [${names.join(', ')}]`)
    await this.run('SET allow_persistent_secrets = false')
    // `plannedScans` changes this setting.
    await this.run("SET allowed_configs = ['disabled_optimizers']")
    await this.run('SET enable_external_access = false')
    await this.run('SET lock_configuration = true')
  }

  /**
   * Runs a COPY with RETURN_STATS and returns the written files.
   *
   * @param sql a `COPY (…) TO '…' (FORMAT parquet, RETURN_STATS, …)` statement
   */
  async copy(sql: string, signal?: AbortSignal): Promise<WrittenFile[]> {
    return (await this.rows(sql, signal)).map(writtenFile)
  }

  /** Runs `work` with changed settings and restores them afterwards. */
  async withSettings<Result>(settings: EngineSettings, work: () => Promise<Result>): Promise<Result> {
    const names = Object.keys(settings)
    const [before] = await this.rows(
      `SELECT ${names.map((name) => `current_setting('${name}')::VARCHAR AS "${name}"`).join(', ')}`,
    )
    try {
      await this.run(settingsSql(settings))
      return await work()
    } finally {
      // A closed engine refuses statements, and that error would hide the one of `work`.
      if (!this.#closing.signal.aborted) await this.run(settingsSql(before!))
    }
  }

  /**
   * Returns unused memory to the operating system.
   *
   * DuckDB's allocator keeps freed memory per thread, so that a run of many batches would peak 150 MB higher. Restarting
   * the threads releases it and takes a millisecond. DuckDB's own settings for this slow down every statement by page
   * faults.
   */
  async returnMemory(): Promise<void> {
    try {
      await this.run(`SET threads = 1; SET threads = ${this.#threads}`)
    } catch (error) {
      // An engine that is closed, also meanwhile, holds no memory.
      if (!this.#closing.signal.aborted) throw error
    }
  }

  /**
   * Opens another connection to the same instance. Its statements run concurrently with this one's, with the same threads
   * and memory limit. Closing this engine closes it too.
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
   * Interrupts running statements, waits for their end, and closes the engine. New statements fail with an AbortError.
   * May be called again.
   *
   * Waiting is necessary: DuckDB destroys a connection on the calling thread, under a lock that a running statement holds.
   * Closing during a statement would block the event loop forever or crash the process.
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

  /** Opens a new instance after an internal error, because DuckDB refuses all further statements. No data is lost. */
  async #renew(): Promise<void> {
    if (this.#reopen === undefined) return
    const { instance, connection } = await this.#reopen()
    this.#connection.closeSync()
    this.#instance.closeSync()
    this.#instance = instance
    this.#connection = connection
    this.#isInvalid = false
  }

  /** Statements run one at a time, because an interrupt ends every statement of its connection. */
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

/** One statement text for all of them: each waits for its turn in the event loop. */
function settingsSql(settings: Readonly<Record<string, unknown>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `SET ${name} = ${sqlString(String(value))}`)
    .join('; ')
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
    instance = await createInstance(':memory:', settings)
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
    columns.set(unquoted(key), {
      nullCount: Number(facts.get('null_count') ?? 0),
      hasNan: facts.get('has_nan') === 'true',
      min: facts.get('min'),
      max: facts.get('max'),
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

/** Unquotes the path of a top-level column: DuckDB quotes each part and doubles quotes inside. */
function unquoted(path: string): string {
  return path.startsWith('"') && path.endsWith('"') ? path.slice(1, -1).replaceAll('""', '"') : path
}

/** @returns SQL of a path, with `*`, `?` and `[` escaped, because the engine would treat them as a pattern */
export function filePathSql(path: string): string {
  return sqlString(path.replace(/[*?[]/g, '[$&]'))
}

/** SQL of a relation of the rows of at least one Parquet file, with every column that any of the files has. */
export function parquetSql(paths: readonly string[]): string {
  return `read_parquet([${paths.map(filePathSql).join(', ')}], hive_partitioning = false, union_by_name = true)`
}
