import { parse, stringify } from 'lossless-json'

/** A JSON value; integers beyond 2^53 are `bigint`, so that none is rounded. */
export type JsonValue = string | number | bigint | boolean | null | JsonValue[] | JsonObject

/** A JSON object. */
export interface JsonObject {
  [key: string]: JsonValue
}

// JSON.parse and JSON.stringify are about ten times faster than any parser in JavaScript, but know no long
// integers. Those travel through them as strings that begin with this character; texts and records that use the
// character themselves take the slow way.
const mark = '\u0001'
const escapedMark = '\\u0001'

// Sixteen digits are the shortest integer that a double cannot hold.
const longDigits = /\d{16}/
// No leading zero and no colon behind it: what JSON refuses must stay what it is.
const stringOrLongInteger = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?[1-9]\d{15,}(?![\d.eE]|\s*:)/g
const markedInteger = /"\\u0001(-?\d+)"/g

/**
 * Parses one JSON text and keeps every integer exact.
 *
 * @throws SyntaxError when the text is not one well-formed JSON value
 */
export function parseJson(text: string): JsonValue {
  if (!longDigits.test(text)) return JSON.parse(text) as JsonValue
  if (text.includes(escapedMark)) {
    return parse(text, undefined, {
      parseNumber: exactNumber,
      onDuplicateKey: ({ newValue }) => newValue,
    }) as JsonValue
  }
  const marked = text.replace(stringOrLongInteger, (token) =>
    token.startsWith('"') || Number.isSafeInteger(Number(token)) ? token : `"${escapedMark}${token}"`,
  )
  const value = JSON.parse(marked) as JsonValue
  return marked === text ? value : withIntegers(value)
}

/** @returns JSON text in which every `bigint` is an exact integer. */
export function stringifyJson(value: JsonValue): string {
  const marked = withMarks(value)
  if (marked === value) return JSON.stringify(value)
  if (marked === undefined) return stringify(value) ?? 'null'
  return JSON.stringify(marked).replace(markedInteger, '$1')
}

/** @returns whether the value is a JSON object: not an array, not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function exactNumber(digits: string): number | bigint {
  const value = Number(digits)
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(digits) ? value : BigInt(digits)
}

/** Turns marked strings into integers, in place: the value was parsed a moment ago and has no other owner. */
function withIntegers(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.startsWith(mark) ? BigInt(value.slice(1)) : value
  if (typeof value !== 'object' || value === null) return value
  const container = value as Record<string, JsonValue>
  for (const key of Object.keys(container)) {
    const inner = container[key] as JsonValue
    if (typeof inner === 'object' || (typeof inner === 'string' && inner.startsWith(mark)))
      container[key] = withIntegers(inner)
  }
  return value
}

/** @returns a copy with marked strings for integers; the value itself when it has none; `undefined` when it uses the mark. */
function withMarks(value: JsonValue): JsonValue | undefined {
  if (typeof value === 'bigint') return `${mark}${value}`
  if (typeof value === 'string') return value.includes(mark) ? undefined : value
  if (typeof value !== 'object' || value === null) return value
  let copy: Record<string, JsonValue> | JsonValue[] | undefined
  for (const key of Object.keys(value)) {
    if (key.includes(mark)) return undefined
    const inner = (value as JsonObject)[key] as JsonValue
    const marked = withMarks(inner)
    if (marked === undefined && inner !== undefined) return undefined
    if (marked === inner) continue
    copy ??= Array.isArray(value) ? [...value] : { ...value }
    ;(copy as JsonObject)[key] = marked as JsonValue
  }
  return copy ?? value
}
