import { isJsonObject, type JsonValue } from '../json.ts'
import type { LogRecord, RecordTransform } from './record-transform.ts'

export interface SampleSeverityOptions {
  /**
   * The fraction of records to keep, from 0 to 1, by severity in PostgreSQL's spelling. Records of other severities are
   * kept.
   */
  readonly keep: Readonly<Record<string, number>>
}

/**
 * Creates a transform that keeps a fraction of the records of frequent severities and drops the rest.
 *
 * The choice depends only on the record's blob and offset, so a replay keeps the same records.
 */
export function sampleSeverity({ keep }: SampleSeverityOptions): RecordTransform {
  const parts = new Map(Object.entries(keep).map(([severity, part]) => [severity.toUpperCase(), part]))
  for (const [severity, part] of parts) {
    if (!(part >= 0 && part <= 1))
      throw new RangeError(`sampleSeverity: keep.${severity} is ${part}, expected 0 to 1.`)
  }
  return (record, place) => {
    const part = parts.get(severityOf(record)) ?? 1
    return part === 1 || fractionOf(place.blob, place.offset) < part ? record : null
  }
}

function severityOf(record: LogRecord): string {
  const properties = nested(record.properties)
  const inner = nested(record.record)
  const severity = record.error_severity ?? inner?.error_severity ?? properties?.errorLevel ?? record.severity
  return typeof severity === 'string' ? severity.toUpperCase() : ''
}

function nested(value: JsonValue | undefined): LogRecord | undefined {
  return isJsonObject(value) ? value : undefined
}

/** @returns a number in [0, 1), uniform over places: FNV-1a with a final mix */
function fractionOf(blob: string, offset: number): number {
  let hash = 0x811c9dc5
  for (const character of `${blob}@${offset}`)
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
