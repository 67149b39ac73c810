import { isJsonObject, type JsonValue } from '../../../json.ts'
import type { FileFacts } from '../../query-session.ts'
import type { LiveFile } from '../files/live-files.ts'
import { fileKey } from '../protocol/actions.ts'
import { parsedStatistics } from './bounds.ts'

/** @returns facts about a file, with those of a column of instants */
export function fileFacts(file: LiveFile, column: string): FileFacts {
  const { numRecords, minValues, maxValues, nullCount } = parsedStatistics(file.stats)
  const fromMs = instantOf(minValues, column)
  const toMs = instantOf(maxValues, column)
  const rows = typeof numRecords === 'number' && Number.isSafeInteger(numRecords) ? numRecords : undefined
  return {
    id: fileKey(file),
    bytes: file.bytes,
    rows: rows && rows - (file.deletionVector?.cardinality ?? 0),
    // The log truncates a bound to milliseconds, so the true maximum may be almost one later.
    bounds: fromMs === undefined || toMs === undefined ? undefined : { fromMs, toMs: toMs + 1 },
    noneNull: ofColumn(nullCount, column) === 0,
  }
}

function instantOf(bounds: JsonValue | undefined, column: string): number | undefined {
  const text = ofColumn(bounds, column)
  const instantMs = typeof text === 'string' ? Date.parse(text) : Number.NaN
  return Number.isNaN(instantMs) ? undefined : instantMs
}

function ofColumn(values: JsonValue | undefined, column: string): JsonValue | undefined {
  return isJsonObject(values) && Object.hasOwn(values, column) ? values[column] : undefined
}
