import { mayBeBatch } from './shipped-batches.ts'

const openBrace = 0x7b
const colon = 0x3a
const comma = 0x2c
const space = 0x20

/**
 * Finds lines that are one JSON object if they are JSON at all, without anything that the encoder's parser treats
 * differently from JSON: trailing commas, NaN, Infinity, escaped surrogates. `undefined` also for a `records` document,
 * and for a batch of records.
 *
 * Only native searches for a character or word: a loop over characters would take several times as long.
 *
 * @returns whether the object is known to have no nested object or array
 */
export function usualLine(text: string): 'flat' | 'nested' | undefined {
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
