import { isTailraceError, TailraceError } from '../../errors.ts'
import type { FileFacts, FilesRead, QuerySession, RowRange } from '../../sinks/query-session.ts'
import type { SinkTarget } from '../../sinks/sink.ts'
import { logViews } from '../../tables/postgres/views/log-views.ts'
import { timeColumn } from './record-filter.ts'

/** A table of PostgreSQL logs. */
export interface LogTable {
  /** The name of the pipeline that lands in it, the first one if there are several. */
  readonly id: string
  /** `catalog.schema.table` */
  readonly name: string
  /** As SQL names it. */
  readonly relation: string
  /** Every pipeline that lands in it. */
  readonly pipelines: readonly string[]
}

/** A log table that exists. */
export interface FoundTable extends LogTable {
  readonly files: readonly FileFacts[]
}

type Row = Readonly<Record<string, unknown>>

/** The tables of a config with the engines that read them. */
export class LogTables {
  readonly session: QuerySession
  /** Tables of PostgreSQL logs, each once. */
  readonly all: readonly LogTable[]

  /**
   * @param targets the tables of the session
   * @param tableId is the same for two targets exactly if they have the same table
   */
  constructor(
    session: QuerySession,
    targets: readonly SinkTarget[],
    { tableId, relationOf }: Record<'tableId' | 'relationOf', (target: SinkTarget) => string>,
  ) {
    this.session = session
    const tables = new Map<string, SinkTarget[]>()
    for (const target of targets.filter(({ table }) => table.views === logViews)) {
      const id = tableId(target)
      tables.set(id, [...(tables.get(id) ?? []), target])
    }
    this.all = Array.from(tables.values(), (same) => {
      const [first] = same as [SinkTarget, ...SinkTarget[]]
      return {
        id: first.name,
        name: Object.values(first.table.name).join('.'),
        // Tables of earlier releases lack these columns.
        relation: `(SELECT NULL::VARCHAR AS record_kind, NULL::VARCHAR AS event WHERE false UNION ALL BY NAME FROM ${relationOf(first)})`,
        pipelines: same.map(({ name }) => name),
      }
    })
  }

  /**
   * @param ids of the wanted tables; none: all
   * @returns those that exist
   * @throws USAGE for an id that no table has
   */
  async find(ids: readonly string[] = []): Promise<readonly FoundTable[]> {
    const unknown = ids.find((id) => !this.all.some((table) => table.id === id))
    if (unknown !== undefined) {
      const names = this.all.map(({ id }) => id).join(', ')
      throw new TailraceError('USAGE', `No table ${JSON.stringify(unknown)}; there are: ${names}.`)
    }
    const wanted = this.all.filter(({ id }) => ids.length === 0 || ids.includes(id))
    const found: FoundTable[] = []
    for (const table of wanted) {
      const files = await this.session.files(table.id, timeColumn)
      if (files !== undefined) found.push({ ...table, files })
    }
    return found
  }

  /** Runs a statement whose result is small. @param within the rows that it reads; default: all */
  async rows(
    sql: string,
    signal: AbortSignal,
    within?: RowRange,
  ): Promise<{ rows: Row[]; reading: FilesRead }> {
    const rows: Row[] = []
    const reading = await this.session.run({
      sql,
      take: async (batch) => {
        for (const row of batch.rows)
          rows.push(Object.fromEntries(batch.columns.map((name, index) => [name, row[index]])))
        return true
      },
      within,
      signal,
    })
    return { rows, reading }
  }
}

/** @returns the first and last instant of tables by their statistics, widened to whole milliseconds */
export function recordedRange(
  tables: readonly FoundTable[],
): { readonly fromMs: number; readonly toMs: number } | undefined {
  let range: { fromMs: number; toMs: number } | undefined
  for (const { files } of tables) {
    for (const { bounds } of files) {
      if (bounds === undefined) continue
      range ??= { ...bounds }
      range.fromMs = Math.min(range.fromMs, bounds.fromMs)
      range.toMs = Math.max(range.toMs, bounds.toMs)
    }
  }
  return range
}

/** @returns about how many rows are in a range of time; rows of a file are taken to be spread evenly over its time */
export function estimatedRows(tables: readonly FoundTable[], fromMs: number, toMs: number): number {
  let rows = 0
  for (const { files } of tables) {
    for (const { rows: count = 0, bounds } of files) {
      if (bounds === undefined) continue
      const length = Math.max(1, bounds.toMs - bounds.fromMs)
      const shared = Math.min(toMs, bounds.toMs) - Math.max(fromMs, bounds.fromMs)
      if (shared >= 0) rows += count * Math.min(1, Math.max(1, shared) / length)
    }
  }
  return rows
}

/** @returns the latest instant from which on there are at least so many rows before `toMs`; `fromMs` if there are fewer */
export function instantWithRows(
  tables: readonly FoundTable[],
  { fromMs, toMs, rows }: { readonly fromMs: number; readonly toMs: number; readonly rows: number },
): number {
  if (estimatedRows(tables, fromMs, toMs) <= rows) return fromMs
  let [low, high] = [fromMs, toMs]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (estimatedRows(tables, middle, toMs) >= rows) low = middle
    else high = middle
  }
  return low
}

/** @returns whether a statement was ended by a signal */
export function isEnded(error: unknown): boolean {
  return error instanceof Error && !isTailraceError(error) && /^(?:Abort|Timeout)Error$/.test(error.name)
}
