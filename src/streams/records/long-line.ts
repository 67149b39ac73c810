import type { Entry } from '../../records.ts'
import { collectGarbage, longRowBytes } from '../staging/collect-garbage.ts'
import { maxLineRecords, maxValues, outlineOf, type ValuePlace } from './line-outline.ts'
import { quotedText, tooLongAsJson } from './quoted-text.ts'
import { decodedEntry, elementEntry, projectedEntry } from './record-entries.ts'
import { textLineRecord } from './text-line.ts'

/** Longer lines are not parsed in JavaScript: the parsed value can take fifty times the line's length in memory. */
export const longLineBytes = 1024 * 1024

/** A line without one of these in the beginning is a text: its brackets and commas have no meaning. */
const mayHoldRecords = /^[ \t\r\v\f]*[[{,]/

/** A line's text and place. */
interface LongLine {
  readonly offset: number
  readonly length: number
  readonly latin1: string
}

/**
 * @returns the entries of a long line, found without parsing it. The encoder parses every record and may still reject it.
 *   A line with more values or records than the limits allow becomes one rejected entry with the whole text
 */
export function longLineEntries(line: LongLine): readonly Entry[] {
  if (!mayHoldRecords.test(line.latin1)) return [textEntry(decodedEntry(line))]
  const { objects, records, isLoose, exceeded } = outlineOf(line.latin1)
  if (exceeded !== undefined) return [exceedingEntry(decodedEntry(line), exceeded)]
  if (isLoose) return [{ ...decodedEntry(line), reject: 'not_json' }]
  if (records !== undefined && records.length > 0) {
    return records.map((place, index) => recordEntry(line, place, index))
  }
  if (objects === undefined) return arrayEntries(line) ?? [textEntry(decodedEntry(line))]
  if (objects.length < 2) return [withEncodableJson(decodedEntry(line))]
  const last = objects.length - 1
  return objects.map(({ start, end }, index) => {
    // The bytes before the first object and after the last one are assigned to these two.
    const from = index === 0 ? line.offset : line.offset + start
    const to = index === last ? line.offset + line.length : line.offset + end
    const entry = decodedEntry({
      offset: from,
      length: to - from,
      latin1: line.latin1.slice(start, end).trim(),
    })
    return { ...withEncodableJson(entry), index }
  })
}

/** The records of a line that is a part of an array: `[{…},` or `{…},` or `{…}]`. */
function arrayEntries(line: LongLine): readonly Entry[] | undefined {
  const inner = line.latin1.replace(/^[ \t\r]*[[,]/, '').replace(/[\],][ \t\r]*$/, '')
  if (inner === line.latin1) return undefined
  // Completed to a `records` document, whose outline lists the records.
  const latin1 = `{"records":[${inner}]}`
  const { records, isLoose, exceeded } = outlineOf(latin1)
  if (exceeded !== undefined) return [exceedingEntry(decodedEntry(line), exceeded)]
  if (isLoose || records === undefined) return undefined
  const entries = records.map((place, index) => recordEntry({ ...line, latin1 }, place, index))
  return entries.some(({ reject }) => reject === undefined) ? entries : undefined
}

function textEntry(entry: Entry): Entry {
  let isTooLong = false
  // Not decoded, to save copies: only ASCII characters decide, and JSON.stringify escapes none of the others.
  const record = textLineRecord(entry.raw, (begin, text, end) => {
    const quoted = quotedText(text)
    isTooLong = quoted === undefined
    return quoted === undefined ? '' : joined([begin, ...quoted, end])
  })
  if (isTooLong) return { ...entry, reject: 'not_encodable', note: tooLongAsJson }
  return record === undefined ? withEncodableJson(entry) : projectedEntry(entry, record)
}

function joined(pieces: readonly string[]): string {
  const text = pieces.join('')
  if (text.length > longRowBytes) collectGarbage()
  return text
}

/** @returns the entry, rejected because it exceeds a limit of the encoder */
export function exceedingEntry(entry: Entry, exceeded: 'values' | 'records'): Entry {
  const limit = exceeded === 'values' ? `${maxValues} values` : `${maxLineRecords} records on one line`
  return { ...entry, reject: 'not_encodable', note: `more than ${limit}` }
}

function recordEntry(line: LongLine, { start, end }: ValuePlace, index: number): Entry {
  const latin1 = line.latin1.slice(start, end).trim()
  const entry = { ...decodedEntry({ offset: line.offset, length: line.length, latin1 }), index }
  return elementEntry(entry, latin1.startsWith('{'))
}

/** The encoder's parser rejects lone surrogates, and treats white space before an object as part of it. */
function withEncodableJson(entry: Entry): Entry {
  return projectedEntry(entry, entry.raw.startsWith('{') ? entry.raw : entry.raw.trimStart())
}
