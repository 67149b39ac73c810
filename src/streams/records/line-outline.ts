import { stringEnd } from '../../json.ts'
import { latin1AsText } from '../../records.ts'

/** The position of a value in a text, in characters. */
export interface ValuePlace {
  readonly start: number
  readonly end: number
}

/** The structure of a line, found from its brackets, strings and commas alone. */
export interface LineOutline {
  /** The top-level objects, each with the white space before it; undefined if the line has anything else. */
  readonly objects: readonly ValuePlace[] | undefined
  /** The elements of the array `records` of the line's only object. */
  readonly records: readonly ValuePlace[] | undefined
  /** Has a trailing comma or a word like NaN: JSON rejects them, the encoder's parser accepts them. */
  readonly isLoose: boolean
  /** The limit that the line exceeds; the other fields are then empty. */
  readonly exceeded?: 'values' | 'records' | undefined
}

/**
 * Limit of the values of one record, levels of nesting included. The encoder's parser takes 16 bytes per value, and up to
 * three times as much while its buffer grows: 48 MiB.
 */
export const maxValues = 1_000_000

/** Limit of the records on one line. Each becomes a row, and a line of 16 MiB can hold eight million empty ones. */
export const maxLineRecords = 262_144

const space = 0x20
const tab = 0x09
const carriageReturn = 0x0d
const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const capitalI = 0x49
const capitalN = 0x4e

/**
 * Finds the structure of a line in one pass, without parsing it, in memory that does not grow with its nesting. The
 * outline of a line that is not JSON is arbitrary.
 */
export function outlineOf(text: string): LineOutline {
  const objects: ValuePlace[] = []
  let records: ValuePlace[] | undefined
  let onlyObjects = true
  let isLoose = false
  let values = 0
  let depth = 0
  let start = 0
  let elementStart = 0
  let inRecords = false
  let isRecordsKey = false
  let last = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === space || code === tab || code === carriageReturn) continue
    if (depth === 0 && code !== openBrace) onlyObjects = false
    switch (code) {
      case quote: {
        const isKey = depth === 1 && (last === openBrace || last === comma)
        if (isKey) isRecordsKey = text.startsWith('"records"', at)
        at = stringEnd(text, at) - 1
        break
      }
      case openBrace:
      case openBracket:
        values += 1
        depth += 1
        if (depth === 2 && code === openBracket && isRecordsKey && last === colon) {
          inRecords = true
          records ??= []
          elementStart = at + 1
        }
        break
      case closeBrace:
      case closeBracket:
        if (last === comma) isLoose = true
        depth -= 1
        if (depth === 1 && inRecords) {
          inRecords = false
          if (last !== openBracket) records?.push({ start: elementStart, end: at })
        }
        if (depth === 0 && code === closeBrace) {
          objects.push({ start, end: at + 1 })
          start = at + 1
          values = 0
        } else if (depth === 0) {
          // Brackets are counted, not paired: `{"a":1]` ends here and is no object.
          onlyObjects = false
        }
        break
      case comma:
        values += 1
        if (depth === 2 && inRecords) {
          records?.push({ start: elementStart, end: at })
          elementStart = at + 1
          values = 0
        }
        break
      case colon:
        values += 1
        break
      case capitalI:
      case capitalN:
        isLoose = true
        break
      default:
    }
    last = code
    if (objects.length > maxLineRecords || (records?.length ?? 0) > maxLineRecords)
      return exceeding('records')
    if (values > maxValues) return exceeding('values')
  }
  const areObjects = onlyObjects && depth === 0 && objects.length > 0
  return {
    objects: areObjects ? objects : undefined,
    records: areObjects && objects.length === 1 ? records : undefined,
    isLoose,
  }
}

function exceeding(exceeded: 'values' | 'records'): LineOutline {
  return { objects: undefined, records: undefined, isLoose: false, exceeded }
}

/**
 * Finds the JSON objects on one line that has several without a newline between them.
 *
 * @param line UTF-8 bytes, one character per byte (latin1)
 * @returns the places of at least two objects; `undefined` for any other line; `too-many` over `maxLineRecords`
 */
export function concatenatedObjects(line: string): readonly ValuePlace[] | undefined | 'too-many' {
  const { objects, exceeded } = outlineOf(line)
  if (exceeded === 'records') return 'too-many'
  if (objects === undefined || objects.length < 2) return undefined
  try {
    for (const { start, end } of objects) JSON.parse(latin1AsText(line.slice(start, end)))
  } catch {
    return undefined
  }
  return objects
}
