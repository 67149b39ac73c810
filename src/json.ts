import { parse, stringify } from 'lossless-json'

/** A JSON value; integers beyond 2^53 are `bigint`, so that none is rounded. */
export type JsonValue = string | number | bigint | boolean | null | JsonValue[] | JsonObject

/** A JSON object. */
export interface JsonObject {
  [key: string]: JsonValue
}

// Sixteen digits are the shortest integer that a double cannot hold.
const longDigits = /\d{16}/

/**
 * Parses one JSON text and keeps every integer exact.
 *
 * A repeated key keeps its first value, as the encoder does.
 *
 * @throws SyntaxError when the text is not one well-formed JSON value
 */
export function parseJson(text: string): JsonValue {
  // Records with long integers take the careful parser; the others take the fast one unless a key repeats,
  // which the fast one could not tell and which no producer of logs is known to write at the top level.
  if (!longDigits.test(text)) return JSON.parse(text) as JsonValue
  return parse(text, undefined, {
    parseNumber: exactNumber,
    onDuplicateKey: ({ oldValue }) => oldValue,
  }) as JsonValue
}

/** @returns JSON text in which every `bigint` is an exact integer. */
export function stringifyJson(value: JsonValue): string {
  const text = stringify(value)
  if (text === undefined) throw new TypeError('The value has no JSON text.')
  return text
}

/** @returns whether the value is a JSON object: not an array, not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function exactNumber(digits: string): number | bigint {
  const value = Number(digits)
  return Number.isSafeInteger(value) || !/^-?\d+$/.test(digits) ? value : BigInt(digits)
}
