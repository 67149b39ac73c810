import type { RecordForm } from '../../records.ts'
import { mayBeBatch } from './shipped-batches.ts'

const openBrace = 0x7b
const colon = 0x3a
const comma = 0x2c
const space = 0x20

/**
 * Recognizes the lines that a table's server writes by one regular expression. Other lines are recognized when they are one
 * JSON object if they are JSON at all, and have nothing that the encoder's parser treats differently from JSON: trailing
 * commas, NaN, Infinity, escaped surrogates. A `records` document and a batch of records are not recognized.
 *
 * The other lines are searched by native searches for a character or word: a loop over characters would take several times
 * as long.
 *
 * @param text of one line, one character per byte
 * @param writtenForm `Projection.writtenForm` of the table
 * @returns the form of the object; `nested` when it may have a nested object or array, `undefined` for other lines
 */
export function usualLine(text: string, writtenForm: RegExp | undefined): RecordForm | 'nested' | undefined {
  if (writtenForm?.test(text) === true) return 'written'
  const last = text.length - 1
  if (text.charCodeAt(0) !== openBrace || mayBeBatch(text)) return undefined
  for (let brace = text.indexOf('}'); brace !== last; brace = text.indexOf('}', brace + 1)) {
    if (
      brace < 0 ||
      isUnusualAfter(text.charCodeAt(brace + 1)) ||
      isUnusualBefore(text.charCodeAt(brace - 1))
    )
      return undefined
  }
  if (isUnusualBefore(text.charCodeAt(last - 1))) return undefined
  let bracket = text.indexOf(']')
  // Maybe a `records` document, each element of which becomes a row.
  if (bracket >= 0 && text.includes('"records"')) return undefined
  for (; bracket >= 0; bracket = text.indexOf(']', bracket + 1)) {
    if (isUnusualBefore(text.charCodeAt(bracket - 1))) return undefined
  }
  if (text.includes('\\u') || text.includes('NaN') || text.includes('nfinity')) return undefined
  return isFlat(text) ? 'flat' : 'nested'
}

/** Whether an object has no nested object or array: no inner brace, and no bracket where a value begins. */
function isFlat(text: string): boolean {
  if (text.includes('{', 1)) return false
  for (let bracket = text.indexOf('['); bracket >= 0; bracket = text.indexOf('[', bracket + 1)) {
    const before = text.charCodeAt(bracket - 1)
    if (before === colon || before <= space) return false
  }
  return true
}

/** After an inner closing brace: another object, or white space or a byte order mark that may precede one. */
function isUnusualAfter(code: number): boolean {
  return code === openBrace || code <= space || code === 0xef
}

/** Before a closing brace or bracket: a comma, or white space that may follow one. */
function isUnusualBefore(code: number): boolean {
  return code === comma || code <= space
}
