import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { makeDirectory, withStateErrors } from '../../../offsets/state-files.ts'
import { EmbeddedEngine } from '../../encoding/engine.ts'
import type {
  FileFacts,
  FileSelection,
  FilesRead,
  QuerySession,
  RowRange,
  SessionOptions,
  SessionStatement,
  WrittenStatement,
} from '../../query-session.ts'
import type { SinkQuery } from '../../sink.ts'
import type { TableContents } from '../files/live-files.ts'
import type { DeltaOptions, DeltaTarget } from '../options.ts'
import { fileKey } from '../protocol/actions.ts'
import { localDirectories } from '../storage/location.ts'
import { commandStorage } from '../storage/open.ts'
import { EnginePool } from './engine-pool.ts'
import { FollowedTable } from './followed-table.ts'
import { copyToParquet, queryViews, type TableReading } from './query.ts'
import { RowRanges } from './row-range.ts'
import type { SetMember, SetViews } from './view-sets.ts'
import { createViews, type LakehouseView, viewOf } from './views.ts'

/** A confined engine with views of the tables. */
interface OpenedViews {
  readonly engine: EmbeddedEngine
  /** The engine can write here. */
  readonly directory: string
  readonly views: readonly LakehouseView[]
  readonly members: readonly SetMember[]
  readonly setViews: SetViews
  /** The tables and columns that the views were made for. */
  readonly shape: string
}

/** What a session keeps from its first statement on. */
interface OpenedSession {
  /** Below it are the copies of files of tables in Azure, which all engines share, and the engines' directories. */
  readonly directory: string
  /** By pipeline. */
  readonly tables: ReadonlyMap<string, FollowedTable>
}

/** Statements over Delta tables, by one engine each. */
export class DeltaQuerySession implements QuerySession {
  readonly #targets: readonly DeltaTarget[]
  readonly #options: SessionOptions
  readonly #isUnsafe: boolean
  readonly #pool: EnginePool<OpenedViews>
  readonly #closing = new AbortController()
  readonly #ranges = new RowRanges()
  #opening: Promise<OpenedSession> | undefined

  constructor(targets: readonly DeltaTarget[], options: SessionOptions) {
    this.#targets = targets
    this.#options = options
    this.#isUnsafe = options.unsafe ?? false
    this.#pool = new EnginePool({
      engines: options.engines ?? 1,
      maxWaiting: options.maxWaiting ?? 32,
      // A statement that may change anything leaves its views filled.
      isKept: !this.#isUnsafe,
      close: closeViews,
    })
  }

  async run({ sql, take, within, only, signal }: SessionStatement): Promise<FilesRead> {
    return this.#withViews(signal, async (opened, ending) => {
      const { engine, views: all } = opened
      const views = only === undefined ? all : all.map((view) => selected(view, only))
      const prepare = within === undefined ? [] : await this.#rangeStatements(opened, within, ending)
      const options = { unsafe: this.#isUnsafe, take, prepare, signal: ending }
      const readings = await this.#withNamedViews(opened, sql, () => queryViews(engine, views, sql, options))
      this.#log(readings)
      return {
        files: sum(readings, ({ files }) => files),
        readFiles: sum(readings, ({ readFiles }) => readFiles),
      }
    })
  }

  async writeParquet({ sql, signal, maxBytes }: WrittenStatement, path: string): Promise<void> {
    await this.#withViews(signal, async (opened, ending) => {
      const { engine, views, directory } = opened
      const statement = { sql, unsafe: this.#isUnsafe, signal: ending, maxBytes }
      this.#log(
        await this.#withNamedViews(opened, sql, () =>
          copyToParquet(engine, views, statement, { directory, path }),
        ),
      )
    })
  }

  async files(pipeline: string, column: string): Promise<readonly FileFacts[] | undefined> {
    const { tables } = await this.#open()
    return tables.get(pipeline)?.files(column)
  }

  async close(): Promise<void> {
    this.#closing.abort(new DOMException('The session is closed.', 'AbortError'))
    await this.#pool.close()
    const opened = await this.#opening?.catch(() => undefined)
    if (opened !== undefined) await rm(opened.directory, { recursive: true, force: true })
  }

  #open(): Promise<OpenedSession> {
    this.#opening ??= this.#openTables()
    return this.#opening
  }

  /** @throws USAGE when a version is given for several tables, because tables number their versions independently */
  async #openTables(): Promise<OpenedSession> {
    const { moment = {}, freshMs = 0, clock } = this.#options
    if (moment.version !== undefined && this.#targets.length > 1) {
      const names = this.#targets.map(({ name }) => name).join(', ')
      throw new TailraceError('USAGE', `--table-version needs --pipeline: the config has ${names}.`)
    }
    const directory = await withStateErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'tailrace-query-')))
    const tables = this.#targets.map((target) => {
      const storage = commandStorage(target, directory, clock, this.#closing.signal)
      return [target.name, new FollowedTable(storage, { moment, freshMs, clock })] as const
    })
    return { directory, tables: new Map(tables) }
  }

  /** Creates the views that a statement names before it runs. */
  async #withNamedViews<Result>(
    { views, setViews }: OpenedViews,
    sql: string,
    work: () => Promise<Result>,
  ): Promise<Result> {
    // Statements that may change anything can name a view in the ones that they store.
    if (this.#isUnsafe) await setViews.createAll()
    else await setViews.create(sql)
    try {
      return await work()
    } catch (error) {
      // The engine proposes a name that it knows. The statement has given no row yet.
      if (!isTailraceError(error, 'QUERY_FAILED') || !error.message.startsWith('Catalog Error:')) throw error
      if (views.length === 0) throw withoutTables(error, this.#targets)
      if (await setViews.createAll()) return work()
      throw error
    }
  }

  #rangeStatements(
    { engine, views, members }: OpenedViews,
    within: RowRange,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const filesOf = (pipeline: string): ReturnType<QuerySession['files']> =>
      this.files(pipeline, within.column)
    return this.#ranges.statements(engine, views, members, within, filesOf, signal)
  }

  #log(readings: readonly TableReading[]): void {
    for (const reading of readings)
      if (reading.readFiles > 0) this.#options.logger.debug(reading, 'read files of a table')
  }

  /** Takes an engine whose views fit the tables, opens one if there is none, and gives it the newest versions. */
  async #withViews<Result>(
    signal: AbortSignal | undefined,
    work: (opened: OpenedViews, ending: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const ending =
      signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
    const session = await this.#open()
    return this.#pool.use(ending, async (idle) => {
      const contents = new Map<string, TableContents>()
      for (const [name, table] of session.tables) {
        const found = await table.contents()
        if (found !== undefined) contents.set(name, found)
      }
      const shape = shapeOf(contents)
      const fits = idle?.shape === shape
      if (idle !== undefined && !fits) await closeViews(idle)
      const opened = idle !== undefined && fits ? idle : await this.#openViews(session, contents, shape)
      const views = opened.views.map((view) => ({ ...view, contents: contents.get(view.pipeline)! }))
      return { opened, result: work({ ...opened, views }, ending) }
    })
  }

  async #openViews(
    session: OpenedSession,
    contents: ReadonlyMap<string, TableContents>,
    shape: string,
  ): Promise<OpenedViews> {
    const { threads = 2, memoryMiB = 1_024, maxSpillMiB = 16_384 } = this.#options
    const directory = await withStateErrors(session.directory, async () => {
      await makeDirectory(session.directory)
      return mkdtemp(join(session.directory, 'engine-'))
    })
    // A run beside it holds its streams when its disk is short, which may be the same.
    const { bavail, bsize } = await statfs(directory)
    const engine = await EmbeddedEngine.open({
      threads,
      memoryMiB,
      temporaryDirectory: directory,
      maxSpillMiB: Math.min(maxSpillMiB, Math.floor((bavail * bsize) / 2 / 2 ** 20)),
    })
    try {
      const { views, members, setViews } = await createViews(engine, this.#targets, async ({ name }) => {
        const found = contents.get(name)
        const { storage, schemas } = session.tables.get(name)!
        return found && { storage, schemas, contents: found }
      })
      // Files of tables in Azure are copied, so only the directories on this machine are opened to a statement.
      if (!this.#isUnsafe) await engine.confine([session.directory, ...localDirectories(this.#targets)])
      return { engine, directory, views, members, setViews, shape }
    } catch (error) {
      await engine.close()
      throw error
    }
  }
}

/** Statements over Delta tables, which the embedded engine runs. */
export const deltaQuery: SinkQuery<DeltaOptions> = {
  engineOf: () => undefined,
  dialect: 'duckdb',
  relationOf: ({ name }) => viewOf(name),
  openSession: (targets, options) => new DeltaQuerySession(targets, options),

  run: async (targets, { sql, take, signal, ...options }) => {
    const session = new DeltaQuerySession(targets, options)
    try {
      await session.run({ sql, take, signal })
    } finally {
      await session.close()
    }
  },
}

function selected(view: LakehouseView, { pipeline, files }: FileSelection): LakehouseView {
  const ids = new Set(view.pipeline === pipeline ? files : [])
  return {
    ...view,
    contents: { ...view.contents, files: view.contents.files.filter((file) => ids.has(fileKey(file))) },
  }
}

async function closeViews({ engine, directory }: OpenedViews): Promise<void> {
  await engine.close()
  await rm(directory, { recursive: true, force: true })
}

function shapeOf(contents: ReadonlyMap<string, TableContents>): string {
  return JSON.stringify(Array.from(contents, ([name, { columns }]) => [name, columns]))
}

function sum(readings: readonly TableReading[], count: (reading: TableReading) => number): number {
  return readings.reduce((total, reading) => total + count(reading), 0)
}

/** The engine names what the statement asks for as if that were a mistake. */
function withoutTables(error: TailraceError, targets: readonly DeltaTarget[]): TailraceError {
  const names = targets.map(({ name }) => name).join(', ')
  const [reason] = error.message.split('\n', 1)
  return new TailraceError('QUERY_FAILED', `${reason} No table of ${names} exists yet: a run creates it.`, {
    cause: error,
  })
}
