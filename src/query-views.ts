import { isTailraceError, TailraceError } from './errors.ts'
import { fillView, type LakehouseView } from './lakehouse-views.ts'
import { type PlannedScan, plannedScans } from './scan-filters.ts'
import { matchingFiles } from './sinks/delta/file-pruning.ts'
import type { EmbeddedEngine } from './sinks/duckdb.ts'

/** How much of one table a statement read. */
export interface TableReading {
  readonly pipeline: string
  readonly tableVersion: number
  /** Data files of that version. */
  readonly files: number
  /** Those that were opened. */
  readonly readFiles: number
}

export interface QueryResult {
  readonly columns: string[]
  readonly rows: unknown[][]
  readonly readings: readonly TableReading[]
}

/**
 * Runs one statement over views that have no rows yet.
 *
 * Of a SELECT, only the files are read that can hold a row it needs, and the views are as before afterwards. Any other
 * statement reads all files, and leaves the views filled.
 *
 * @throws QUERY_FAILED with the engine's own explanation, TABLE_TOO_LARGE
 */
export async function queryViews(
  engine: EmbeddedEngine,
  views: readonly LakehouseView[],
  sql: string,
): Promise<QueryResult> {
  try {
    // Within one transaction, now() is the same time when the statement is planned and when it runs.
    await engine.run('BEGIN TRANSACTION')
    let isOpen = true
    try {
      const scans = await plannedScans(engine, sql)
      if (scans === undefined) {
        await engine.run('ROLLBACK')
        isOpen = false
      }
      const readings: TableReading[] = []
      for (const view of views) readings.push(await fillNeeded(engine, view, scans))
      return { ...(await engine.table(sql)), readings }
    } finally {
      if (isOpen) await engine.run('ROLLBACK')
    }
  } catch (error) {
    if (isTailraceError(error)) throw error
    throw new TailraceError('QUERY_FAILED', error instanceof Error ? error.message : String(error), {
      cause: error,
    })
  }
}

async function fillNeeded(
  engine: EmbeddedEngine,
  view: LakehouseView,
  scans: readonly PlannedScan[] | undefined,
): Promise<TableReading> {
  const { pipeline, placeholder, contents } = view
  const own = scans?.filter(({ table }) => table === placeholder)
  const files = own === undefined ? contents.files : await matchingFiles(engine, contents, own)
  await fillView(engine, view, files)
  return {
    pipeline,
    tableVersion: contents.tableVersion,
    files: contents.files.length,
    readFiles: files.length,
  }
}
