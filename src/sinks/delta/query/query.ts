import { copyFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isAbort, isTailraceError, TailraceError } from '../../../errors.ts'
import { outputFailed } from '../../../reporting/terminal.ts'
import { dataFileError } from '../../encoding/data-file-errors.ts'
import { type EmbeddedEngine, sqlString } from '../../encoding/engine.ts'
import type { TakeRows } from '../../encoding/row-stream.ts'
import { RowsCutOff } from '../../encoding/row-stream.ts'
import type { WrittenStatement } from '../../query-session.ts'
import { explain } from './explain.ts'
import { matchingFiles } from './pruning.ts'
import { type PlannedScan, plannedScans } from './scans.ts'
import { requireReading, statementKind } from './statement-kind.ts'
import { fillView, type LakehouseView } from './views.ts'

/** Interval in which the size of a file that is written is checked. */
const sizeCheckMs = 100

/** The part of a table that a statement read. */
export interface TableReading {
  readonly pipeline: string
  readonly tableVersion: number
  /** Number of data files in that version. */
  readonly files: number
  /** Number of data files that were opened. */
  readonly readFiles: number
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
      if (error instanceof RowsCutOff && kind === 'select')
        await whilePlanned(() => explain('ANALYZE', sql, (statement) => engine.run(statement)))
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
 * @throws QUERY_FAILED also for a larger file than allowed, QUERY_REFUSED, TABLE_TOO_LARGE, TABLE_CORRUPT, OUTPUT_FAILED
 */
export async function copyToParquet(
  engine: EmbeddedEngine,
  views: readonly LakehouseView[],
  { sql, unsafe = false, signal, maxBytes }: WrittenStatement & Pick<StatementOptions, 'unsafe'>,
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
      await withinSize(written, maxBytes, signal, (ending) =>
        engine.run(`COPY (FROM "query result") TO ${sqlString(written)} (FORMAT parquet)`, ending),
      )
      return readings
    })
    await rename(written, path)
      .catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EXDEV') throw error
        return copyFile(written, path)
      })
      .catch((error: unknown) => {
        throw outputFailed(path, error)
      })
    return readings
  } catch (error) {
    throw (unsafe ? undefined : dataFileError(error, true)) ?? explained(error)
  } finally {
    await rm(written, { force: true })
  }
}

/** Runs work that writes a file, and ends it when the file is larger than the limit. */
async function withinSize(
  path: string,
  maxBytes: number | undefined,
  signal: AbortSignal | undefined,
  work: (ending: AbortSignal | undefined) => Promise<void>,
): Promise<void> {
  if (maxBytes === undefined) return work(signal)
  const ending = new AbortController()
  const check = async (): Promise<void> => {
    // The file does not exist before the first rows.
    const { size } = await stat(path).catch(() => ({ size: 0 }))
    if (size <= maxBytes) return
    const message = `The file would be larger than ${maxBytes / 2 ** 20} MiB: select fewer rows or columns.`
    ending.abort(new TailraceError('QUERY_FAILED', message))
  }
  const timer = setInterval(() => void check(), sizeCheckMs)
  try {
    await work(signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]))
  } finally {
    clearInterval(timer)
  }
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
