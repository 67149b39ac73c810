import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isAbort, isTailraceError, TailraceError } from '../../../errors.ts'
import { SerialQueue } from '../../../offsets/serial-queue.ts'
import type { Logger } from '../../../reporting/logger.ts'
import { outputFailed } from '../../../reporting/terminal.ts'
import { dataFileError } from '../../encoding/data-file-errors.ts'
import { type EmbeddedEngine, sqlString } from '../../encoding/engine.ts'
import { type CommandEngine, openCommandEngine } from '../../encoding/engine-session.ts'
import type { TakeRows } from '../../encoding/row-stream.ts'
import { RowsCutOff } from '../../encoding/row-stream.ts'
import type { QuerySession, SessionRequest, SessionStatement, SinkQuery } from '../../sink.ts'
import type { DeltaOptions, DeltaTarget } from '../options.ts'
import { commitPath } from '../protocol/actions.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { localDirectories } from '../storage/location.ts'
import { commandStorage } from '../storage/open.ts'
import { matchingFiles } from './pruning.ts'
import { type PlannedScan, plannedScans } from './scans.ts'
import { requireReading, statementKind } from './statement-kind.ts'
import { createViews, fillView, type LakehouseView, viewOf } from './views.ts'

/** Statements over Delta tables, which the embedded engine runs. */
export const deltaQuery: Omit<SinkQuery<DeltaOptions>, 'openReading'> = {
  engineOf: () => undefined,
  dialect: 'duckdb',
  relationOf: ({ name }) => viewOf(name),

  run: async (targets, request) => {
    const session = new DeltaQuerySession(targets, request)
    await session.run(request).finally(() => session.close())
  },

  openSession: (targets, request) => new DeltaQuerySession(targets, request),

  writeParquet: async (targets, request, path) => {
    const { engine, views, temporaryDirectory, close } = await openViews(targets, request)
    try {
      const places = { directory: temporaryDirectory, path }
      logReadings(await copyToParquet(engine, views, request, places), request.logger)
    } finally {
      await close()
    }
  },
}

/** Statements over Delta tables by one engine, whose views are created again only when a table has a new version. */
class DeltaQuerySession implements QuerySession {
  readonly #targets: readonly DeltaTarget[]
  readonly #request: SessionRequest
  readonly #queue = new SerialQueue()
  #opened: OpenedViews | undefined

  constructor(targets: readonly DeltaTarget[], request: SessionRequest) {
    this.#targets = targets
    this.#request = request
  }

  run(statement: SessionStatement): Promise<void> {
    return this.#queue.run(async () => {
      const { unsafe, logger } = this.#request
      const { engine, views } = await this.#currentViews()
      try {
        const { sql, take, signal } = statement
        logReadings(await queryViews(engine, views, sql, { unsafe, take, signal }), logger)
      } finally {
        // A statement that may change anything leaves its views filled.
        if (unsafe) await this.#closeViews()
      }
    })
  }

  close(): Promise<void> {
    return this.#queue.run(() => this.#closeViews())
  }

  async #currentViews(): Promise<OpenedViews> {
    if (this.#opened !== undefined && !(await this.#opened.areCurrent())) await this.#closeViews()
    this.#opened ??= await openViews(this.#targets, this.#request)
    return this.#opened
  }

  async #closeViews(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await opened?.close()
  }
}

/** An engine with views of tables, none of which has rows yet. */
interface OpenedViews extends CommandEngine {
  readonly views: readonly LakehouseView[]
  /** @returns whether every table is still at the version of its view, by one request for each */
  areCurrent(): Promise<boolean>
}

/**
 * Opens an engine with views of the targets' tables, confined unless the request is unsafe.
 *
 * @throws USAGE when a version is given for several tables, because tables number their versions independently
 */
async function openViews(
  targets: readonly DeltaTarget[],
  { unsafe, moment, clock }: Omit<SessionRequest, 'logger'>,
): Promise<OpenedViews> {
  if (moment.version !== undefined && targets.length > 1) {
    const names = targets.map(({ name }) => name).join(', ')
    throw new TailraceError('USAGE', `--table-version needs --pipeline: the config has ${names}.`)
  }
  // Files of tables in Azure are copied, so only the directories on this machine are opened to the statement.
  const directories = localDirectories(targets)
  const opened = await openCommandEngine()
  const { engine, temporaryDirectory } = opened
  const storages = new Map<string, DeltaStorage>()
  const openStorage = (target: DeltaTarget): DeltaStorage => {
    const storage = commandStorage(target, temporaryDirectory, clock)
    storages.set(target.name, storage)
    return storage
  }
  try {
    const views = await createViews(engine, targets, openStorage, moment)
    if (!unsafe) await engine.confine([temporaryDirectory, ...directories])
    const isFixed = moment.version !== undefined || moment.timestampMs !== undefined
    return {
      ...opened,
      views,
      areCurrent: async () =>
        isFixed || !(await Promise.all([...storages].map(hasNewVersion))).includes(true),
    }

    function hasNewVersion([pipeline, storage]: [string, DeltaStorage]): Promise<boolean> {
      const version = views.find((view) => view.pipeline === pipeline)?.contents.tableVersion ?? -1
      return storage.read(commitPath(version + 1)).then((commit) => commit !== undefined)
    }
  } catch (error) {
    await opened.close()
    throw error
  }
}

/** The part of a table that a statement read. */
export interface TableReading {
  readonly pipeline: string
  readonly tableVersion: number
  /** Number of data files in that version. */
  readonly files: number
  /** Number of data files that were opened. */
  readonly readFiles: number
}

/** Logs how many files of each table a statement opened. */
function logReadings(readings: readonly TableReading[], logger: Logger): void {
  for (const reading of readings) {
    if (reading.readFiles > 0) logger.debug(reading, 'read files of a table')
  }
}

export interface StatementOptions {
  /** Run any statements, also several, and keep their changes. Default: only one read-only statement is allowed. */
  readonly unsafe?: boolean | undefined
  /** Statements of our own that run before it, in its transaction. Default: none. */
  readonly prepare?: readonly string[] | undefined
  /** Called with the rows while the statement runs. */
  readonly take: TakeRows
  /** Interrupts the statement. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs a statement over views that have no rows yet.
 *
 * A SELECT reads only the files that can hold a row it needs; any other statement reads all files. Afterwards the views
 * are unchanged, except that unsafe statements leave them filled.
 *
 * @throws QUERY_FAILED with the engine's own message, QUERY_REFUSED, TABLE_TOO_LARGE, TABLE_CORRUPT
 */
export async function queryViews(
  engine: EmbeddedEngine,
  views: readonly LakehouseView[],
  sql: string,
  { unsafe = false, prepare = [], take, signal }: StatementOptions,
): Promise<readonly TableReading[]> {
  try {
    const kind = unsafe ? await statementKind(engine, sql) : await requireReading(engine, sql)
    if (kind === 'other') {
      const readings = await fill(engine, views, undefined)
      await engine.streamEach(sql, take, signal)
      return readings
    }
    const whilePlanned = <Result>(work: (readings: TableReading[]) => Promise<Result>): Promise<Result> =>
      // In one transaction, now() has the same value for planning and running the statement.
      engine.rolledBack(async () => {
        for (const statement of prepare) await engine.run(statement)
        const scans = kind === 'select' ? await plannedScans(engine, sql) : undefined
        return work(await fill(engine, views, scans))
      })
    try {
      return await whilePlanned(async (readings) => {
        await engine.stream(sql, take, signal)
        return readings
      })
    } catch (error) {
      signal?.throwIfAborted()
      // A stream does not show why it ended early. Running the SELECT again without its rows throws the reason.
      if (error instanceof RowsCutOff && kind === 'select') await whilePlanned(() => analyze(engine, sql))
      throw error
    }
  } catch (error) {
    // In an unsafe statement, the damaged Parquet file may be the user's own and not the table's.
    throw (unsafe ? undefined : dataFileError(error, true)) ?? explained(error)
  }
}

/**
 * Writes the rows of a SELECT to a file, instead of handing them on.
 *
 * @param directory where the engine may write, for as long as this takes
 * @throws QUERY_FAILED, QUERY_REFUSED, TABLE_TOO_LARGE, TABLE_CORRUPT, OUTPUT_FAILED
 */
export async function copyToParquet(
  engine: EmbeddedEngine,
  views: readonly LakehouseView[],
  { sql, unsafe = false, signal }: Pick<StatementOptions, 'unsafe' | 'signal'> & { readonly sql: string },
  { directory, path }: { readonly directory: string; readonly path: string },
): Promise<readonly TableReading[]> {
  const written = join(directory, 'result.parquet')
  try {
    const kind = await requireReading(engine, sql)
    if (kind !== 'select') {
      throw new TailraceError('QUERY_REFUSED', 'Parquet is written of the rows of one SELECT only.')
    }
    const readings = await engine.rolledBack(async () => {
      const readings = await fill(engine, views, await plannedScans(engine, sql))
      // A view may end with a semicolon and a comment, and a subquery may not.
      await engine.run(`CREATE TEMP VIEW "query result" AS\n${sql}`)
      await engine.run(`COPY (FROM "query result") TO ${sqlString(written)} (FORMAT parquet)`, signal)
      return readings
    })
    await copyFile(written, path).catch((error: unknown) => {
      throw outputFailed(path, error)
    })
    return readings
  } catch (error) {
    throw (unsafe ? undefined : dataFileError(error, true)) ?? explained(error)
  } finally {
    await rm(written, { force: true })
  }
}

/**
 * Runs a SELECT without its rows.
 *
 * @throws the engine's error, with line numbers of `sql`
 */
async function analyze(engine: EmbeddedEngine, sql: string): Promise<void> {
  try {
    // On a line of its own, so that the line quoted in an error is one of `sql`.
    await engine.run(`EXPLAIN ANALYZE\n${sql}`)
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replace(quotedLine, oneLineUp)
    throw error
  }
}

/** The line that an engine's message quotes, with a caret below the fault. */
const quotedLine = /^LINE (\d+): (.*)\n( *)\^/m

function oneLineUp(_quoted: string, number: string, line: string, indent: string): string {
  const before = String(Number(number) - 1)
  return `LINE ${before}: ${line}\n${indent.slice(number.length - before.length)}^`
}

function explained(error: unknown): Error {
  if (isTailraceError(error) || isAbort(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = /^Permission Error: /.test(message) ? 'QUERY_REFUSED' : 'QUERY_FAILED'
  return new TailraceError(code, message, { cause: error })
}

/** @param scans the statement's scans; undefined when it may need all rows */
async function fill(
  engine: EmbeddedEngine,
  views: readonly LakehouseView[],
  scans: readonly PlannedScan[] | undefined,
): Promise<TableReading[]> {
  const readings: TableReading[] = []
  for (const view of views) {
    const { pipeline, placeholder, contents } = view
    const own = scans?.filter(({ table }) => table === placeholder)
    const files = own === undefined ? contents.files : await matchingFiles(engine, contents, own)
    await fillView(engine, view, files)
    readings.push({
      pipeline,
      tableVersion: contents.tableVersion,
      files: contents.files.length,
      readFiles: files.length,
    })
  }
  return readings
}
