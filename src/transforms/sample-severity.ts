import { isJsonObject, type JsonValue } from '../json.ts'
import type { LogRecord, RecordTransform } from './record-transform.ts'

export interface SampleSeverityOptions {
  /**
   * Part of the records to keep, from 0 (none) to 1 (all), by severity as PostgreSQL writes it. Severities that
   * are not named are kept.
   */
  readonly keep: Readonly<Record<string, number>>
}

/**
 * Keeps a part of the records of chatty severities and drops the rest.
 *
 * The choice depends on the record's place alone, so a replay of a range keeps the same records.
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

/** A number in [0, 1) that is spread evenly over places: FNV-1a with a final mix. */
function fractionOf(blob: string, offset: number): number {
  let hash = 0x811c9dc5
  for (const character of `${blob}@${offset}`)
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
