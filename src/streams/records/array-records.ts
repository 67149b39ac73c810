import {
  elementPlaces,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  memberPlaces,
  type TextPlace,
} from '../../json.ts'

/** One element of an array of records. */
export interface ArrayRecord {
  /** Its text in the array, unchanged. */
  readonly latin1: string
  readonly value: JsonValue
}

/**
 * Finds the records of an array, of an object with an array `records`, or of a batch of Sequin's messages. Event Hubs captures
 * arrays of such objects.
 *
 * @param value the parsed text
 * @param latin1 one well-formed JSON value
 * @returns `undefined` for any other value, and for an array without an object
 */
export function recordsOf(value: JsonValue, latin1: string): readonly ArrayRecord[] | undefined {
  const whole = { start: 0, end: latin1.length - trailing(latin1) }
  if (isJsonObject(value)) return inRecords(value, latin1, whole)
  if (!Array.isArray(value) || !value.some(isJsonObject)) return undefined
  const places = elementPlaces(latin1, { ...whole, start: latin1.indexOf('[') })
  const records: ArrayRecord[] = []
  for (const [index, place] of places.entries()) {
    const element = value[index] as JsonValue
    for (const one of inRecords(element, latin1, place) ?? [recordAt(element, latin1, place)])
      records.push(one)
  }
  return records
}

function inRecords(value: JsonValue, latin1: string, { start, end }: TextPlace): ArrayRecord[] | undefined {
  if (!isJsonObject(value)) return undefined
  const key = isSequinBatch(value) ? 'data' : 'records'
  const elements = value[key]
  if (!Array.isArray(elements) || elements.length === 0) return undefined
  const place = memberPlaces(latin1, { start: latin1.indexOf('{', start), end }).get(key)
  return (
    place &&
    elementPlaces(latin1, place).map((inner, at) => recordAt(elements[at] as JsonValue, latin1, inner))
  )
}

/** https://sequinstream.com/docs/reference/sinks/sequin-stream, read 2026-12. Webhooks that batch send the same. */
function isSequinBatch({ data }: JsonObject): boolean {
  return (
    Array.isArray(data) &&
    data.length > 0 &&
    data.every(
      (one) =>
        isJsonObject(one) &&
        typeof one.action === 'string' &&
        one.record !== undefined &&
        isJsonObject(one.metadata) &&
        one.metadata.table_name !== undefined,
    )
  )
}

function recordAt(value: JsonValue, latin1: string, { start, end }: TextPlace): ArrayRecord {
  return { latin1: latin1.slice(start, end), value }
}

/** The number of white space characters after the value. */
function trailing(latin1: string): number {
  return latin1.length - latin1.trimEnd().length
}
