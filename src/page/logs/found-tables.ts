import type { FileFacts } from '../../sinks/query-session.ts'

/** A table of PostgreSQL logs. */
export interface LogTable {
  /** The name of the pipeline that lands in it, the first one if there are several. */
  readonly id: string
  /** `catalog.schema.table` */
  readonly name: string
  /** As SQL names it. */
  readonly relation: string
  /** Where it lies: no other table has the same. */
  readonly place: string
  /** Every pipeline that lands in it. */
  readonly pipelines: readonly string[]
  /** The pipeline that lands a blob; undefined when none of the config does. */
  readonly pipelineOf: (blob: string) => string | undefined
}

/** A log table that exists. */
export interface FoundTable extends LogTable {
  readonly files: readonly FileFacts[]
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
