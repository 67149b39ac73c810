import { isTailraceError, TailraceError } from '../../../errors.ts'
import type { TakeRows } from '../../../reporting/row-batch.ts'
import { dataFileError } from '../../encoding/data-file-errors.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { RowsCutOff } from '../../encoding/row-stream.ts'
import { matchingFiles } from './pruning.ts'
import { type PlannedScan, plannedScans } from './scans.ts'
import { requireReading, statementKind } from './statement-kind.ts'
import { fillView, type LakehouseView } from './views.ts'

/** How much of one table a statement read. */
export interface TableReading {
  readonly pipeline: string
  readonly tableVersion: number
  /** Data files of that version. */
  readonly files: number
  /** Those that were opened. */
  readonly readFiles: number
}

export interface QueryOptions {
  /** Runs any statements, several too, and keeps what they change. Default: one statement that reads. */
  readonly unsafe?: boolean | undefined
  /** Takes the rows of a statement while it runs. */
  readonly take: TakeRows
}

/**
 * Runs a statement over views that have no rows yet.
 *
 * Of a SELECT, only the files are read that can hold a row it needs. Any other statement reads all files. The views are
 * as before afterwards, unless they were filled for unsafe statements.
 *
 * @throws QUERY_FAILED with the engine's own explanation, QUERY_REFUSED, TABLE_TOO_LARGE, TABLE_CORRUPT
 */
export async function queryViews(
  engine: EmbeddedEngine,
  views: readonly LakehouseView[],
  sql: string,
  { unsafe = false, take }: QueryOptions,
): Promise<readonly TableReading[]> {
  try {
    const kind = unsafe ? await statementKind(engine, sql) : await requireReading(engine, sql)
    if (kind === 'other') {
      const readings = await fill(engine, views, undefined)
      await engine.streamEach(sql, take)
      return readings
    }
    const whilePlanned = <Result>(work: (readings: TableReading[]) => Promise<Result>): Promise<Result> =>
      // Within one transaction, now() is the same time when the statement is planned and when it runs.
      engine.rolledBack(async () => {
        const scans = kind === 'select' ? await plannedScans(engine, sql) : undefined
        return work(await fill(engine, views, scans))
      })
    try {
      return await whilePlanned(async (readings) => {
        await engine.stream(sql, take)
        return readings
      })
    } catch (error) {
      // Run once more without its rows, a SELECT fails with its reason.
      if (error instanceof RowsCutOff && kind === 'select') {
        await whilePlanned(() => engine.run(`EXPLAIN ANALYZE ${sql}`))
      }
      throw error
    }
  } catch (error) {
    // Of an unsafe statement, a Parquet file may be the user's own.
    throw (unsafe ? undefined : dataFileError(error, true)) ?? explained(error)
  }
}

function explained(error: unknown): Error {
  if (isTailraceError(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = /^Permission Error: /.test(message) ? 'QUERY_REFUSED' : 'QUERY_FAILED'
  return new TailraceError(code, message, { cause: error })
}

/** @param scans what the statement needs; undefined for all rows */
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
