import type { FileFacts } from '../../query-session.ts'
import type { LiveFile } from '../files/live-files.ts'
import { parsedStatistics } from './bounds.ts'

/** @returns the number of live rows; undefined without usable statistics */
export function fileRows(file: Pick<LiveFile, 'stats' | 'deletionVector'>): number | undefined {
  const { numRecords } = parsedStatistics(file.stats)
  if (typeof numRecords !== 'number' || !Number.isSafeInteger(numRecords)) return undefined
  return numRecords - (file.deletionVector?.cardinality ?? 0)
}

/** @returns the bounds of a column of instants, widened to whole milliseconds; undefined without usable statistics */
export function timeBounds(file: Pick<LiveFile, 'stats'>, column: string): FileFacts['bounds'] {
  const { minValues, maxValues } = parsedStatistics(file.stats)
  const fromMs = instantOf(minValues, column)
  const toMs = instantOf(maxValues, column)
  // The log truncates a bound to milliseconds, so the true maximum may be almost one later.
  return fromMs === undefined || toMs === undefined ? undefined : { fromMs, toMs: toMs + 1 }
}

function instantOf(bounds: unknown, column: string): number | undefined {
  const text = (bounds as Readonly<Record<string, unknown>> | undefined)?.[column]
  const instantMs = typeof text === 'string' ? Date.parse(text) : Number.NaN
  return Number.isNaN(instantMs) ? undefined : instantMs
}
