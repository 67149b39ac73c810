import { stringEnd } from '../../json.ts'

/** Where a value stands in a text, in characters. */
export interface ValuePlace {
  readonly start: number
  readonly end: number
}

/** The structure of a line, as far as its brackets, strings and commas tell. */
export interface LineOutline {
  /** The objects at the top, each with the white space before it, if the line holds nothing else. */
  readonly objects: readonly ValuePlace[] | undefined
  /** The elements of the array `records` of the line's only object. */
  readonly records: readonly ValuePlace[] | undefined
  /** A comma before a closing bracket, or a word that JSON does not have: refused by JSON, read by the engine. */
  readonly isLoose: boolean
  /** Which limit the line exceeds; nothing else is known of it then. */
  readonly exceeded?: 'values' | 'records'
}

/**
 * Most values of one record. The engine's parser takes 16 bytes for each and may need three times as much while it
 * grows: 48 MiB. Levels of nesting count as values.
 */
export const maxValues = 1_000_000

/** Most records of one line: each is a row, and 16 MiB could hold eight million empty ones. */
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
 * Finds the structure of a line without building a value of it: in one pass, in memory that does not grow with the
 * line's nesting. A line that is not JSON may have any outline.
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
