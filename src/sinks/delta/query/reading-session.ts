import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDirectory, withStateErrors } from '../../../offsets/state-files.ts'
import { EmbeddedEngine, sqlIdentifier } from '../../encoding/engine.ts'
import type {
  FileFacts,
  FilesRead,
  ReadingOptions,
  ReadingSession,
  ReadingStatement,
  RowRange,
} from '../../reading-session.ts'
import type { TableContents } from '../files/live-files.ts'
import type { DeltaTarget } from '../options.ts'
import { localDirectories } from '../storage/location.ts'
import { commandStorage } from '../storage/open.ts'
import { EnginePool } from './engine-pool.ts'
import { FollowedTable } from './followed-table.ts'
import { copyToParquet, queryViews, type TableReading } from './query.ts'
import { relationSql, type SetMember } from './view-sets.ts'
import { createViewsOf, type LakehouseView } from './views.ts'

/** A confined engine with views of the tables. */
interface OpenedViews {
  readonly engine: EmbeddedEngine
  /** The engine can write here. */
  readonly directory: string
  readonly views: readonly LakehouseView[]
  readonly members: readonly SetMember[]
  /** The tables and columns that the views were made for. */
  readonly shape: string
}

/** Statements over the newest versions of Delta tables. */
export class DeltaReadingSession implements ReadingSession {
  readonly #targets: readonly DeltaTarget[]
  readonly #options: ReadingOptions
  readonly #directory: string
  readonly #tables: ReadonlyMap<string, FollowedTable>
  readonly #pool: EnginePool<OpenedViews>
  readonly #closing = new AbortController()

  private constructor(targets: readonly DeltaTarget[], options: ReadingOptions, directory: string) {
    this.#targets = targets
    this.#options = options
    this.#directory = directory
    // Copies of files of tables in Azure are shared by the engines.
    this.#tables = new Map(
      targets.map((target) => {
        const storage = commandStorage(target, directory, options.clock, this.#closing.signal)
        return [target.name, new FollowedTable(storage, options.clock)]
      }),
    )
    this.#pool = new EnginePool({ ...options, close: ({ engine }) => engine.close() })
  }

  /** No table is read before the first statement. */
  static async open(targets: readonly DeltaTarget[], options: ReadingOptions): Promise<DeltaReadingSession> {
    const directory = await withStateErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'tailrace-session-')))
    return new DeltaReadingSession(targets, options, directory)
  }

  async run({ sql, take, within, signal }: ReadingStatement): Promise<FilesRead> {
    return this.#withViews(signal, async ({ engine, views, members }, ending) => {
      const prepare = within === undefined ? [] : rangeSql(members, within)
      const readings = await queryViews(engine, views, sql, { take, prepare, signal: ending })
      return {
        files: sum(readings, ({ files }) => files),
        readFiles: sum(readings, ({ readFiles }) => readFiles),
      }
    })
  }

  async writeParquet({ sql, signal }: Omit<ReadingStatement, 'take'>, path: string): Promise<void> {
    await this.#withViews(signal, async ({ engine, views, directory }, ending) => {
      await copyToParquet(engine, views, { sql, signal: ending }, { directory, path })
    })
  }

  async files(pipeline: string, column: string): Promise<readonly FileFacts[] | undefined> {
    return this.#tables.get(pipeline)?.files(column)
  }

  async close(): Promise<void> {
    this.#closing.abort(new DOMException('The session is closed.', 'AbortError'))
    await this.#pool.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** Takes an engine whose views fit the tables, opens one if there is none, and gives it the newest versions. */
  async #withViews<Result>(
    signal: AbortSignal | undefined,
    work: (opened: OpenedViews, ending: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const ending =
      signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
    return this.#pool.use(ending, async (idle) => {
      const contents = new Map<string, TableContents>()
      for (const [name, table] of this.#tables) {
        const found = await table.contents()
        if (found !== undefined) contents.set(name, found)
      }
      const shape = shapeOf(contents)
      const fits = idle?.shape === shape
      if (idle !== undefined && !fits) await idle.engine.close()
      const opened = idle !== undefined && fits ? idle : await this.#openViews(contents, shape)
      const views = opened.views.map((view) => ({ ...view, contents: contents.get(view.pipeline)! }))
      return { opened, result: work({ ...opened, views }, ending) }
    })
  }

  async #openViews(contents: ReadonlyMap<string, TableContents>, shape: string): Promise<OpenedViews> {
    const { threads, memoryMiB } = this.#options
    const directory = await withStateErrors(this.#directory, async () => {
      await makeDirectory(this.#directory)
      return mkdtemp(join(this.#directory, 'engine-'))
    })
    const engine = await EmbeddedEngine.open({ threads, memoryMiB, temporaryDirectory: directory })
    try {
      const { views, members } = await createViewsOf(engine, this.#targets, async ({ name }) => {
        const found = contents.get(name)
        return found && { storage: this.#tables.get(name)!.storage, contents: found }
      })
      await engine.confine([directory, this.#directory, ...localDirectories(this.#targets)])
      return { engine, directory, views, members, shape }
    } catch (error) {
      await engine.close()
      throw error
    }
  }
}

function shapeOf(contents: ReadonlyMap<string, TableContents>): string {
  return JSON.stringify(Array.from(contents, ([name, { columns }]) => [name, columns]))
}

/** @returns statements that leave rows out of the relations of the sets, for one transaction */
function rangeSql(members: readonly SetMember[], { pipelines, column, fromMs, toMs }: RowRange): string[] {
  const name = sqlIdentifier(column)
  const instant = (ms: number): string => `TIMESTAMPTZ '${new Date(ms).toISOString()}'`
  const condition = `${name} >= ${instant(fromMs)} AND ${name} < ${instant(toMs)}`
  const isRead = ({ pipeline }: SetMember): boolean => pipelines?.includes(pipeline) ?? true
  return [...new Set(members.map(({ set }) => set))].map((set) =>
    relationSql(members, set, isRead, condition),
  )
}

function sum(readings: readonly TableReading[], count: (reading: TableReading) => number): number {
  return readings.reduce((total, reading) => total + count(reading), 0)
}
