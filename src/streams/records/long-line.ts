import { bytesAsLatin1, type Entry, latin1AsText } from '../../records.ts'
import { maxLineRecords, maxValues, outlineOf, type ValuePlace } from './line-outline.ts'
import { decodedEntry } from './record-entries.ts'
import { textLineRecord } from './text-line.ts'

/** Longer lines are not parsed in JavaScript: a parsed line takes up to fifty times its length. */
export const longLineBytes = 1024 * 1024

/** A line's text and place. */
interface LongLine {
  readonly offset: number
  readonly length: number
  readonly latin1: string
}

/**
 * The entries of a long line, from its outline alone; the encoder, which parses every record, has the last word.
 *
 * A line of more values or records than the limits allow is one rejected entry with the whole text.
 */
export function longLineEntries(line: LongLine): readonly Entry[] {
  const { objects, records, isLoose, exceeded } = outlineOf(line.latin1)
  if (exceeded !== undefined) return [exceedingEntry(decodedEntry(line), exceeded)]
  if (isLoose) return [{ ...decodedEntry(line), reject: 'not_json' }]
  if (records !== undefined && records.length > 0) {
    return records.map((place, index) => elementEntry(line, place, index))
  }
  if (objects === undefined) return arrayEntries(line) ?? [textEntry(decodedEntry(line))]
  if (objects.length < 2) return [withoutLoneHalves(decodedEntry(line))]
  const last = objects.length - 1
  return objects.map(({ start, end }, index) => {
    // What stands before the first object and behind the last one belongs to them.
    const from = index === 0 ? line.offset : line.offset + start
    const to = index === last ? line.offset + line.length : line.offset + end
    const entry = decodedEntry({
      offset: from,
      length: to - from,
      latin1: line.latin1.slice(start, end).trim(),
    })
    return { ...withoutLoneHalves(entry), index }
  })
}

/** The records of an array, or of a line out of one: `[{…},` or `{…},` or `{…}]`. */
function arrayEntries(line: LongLine): readonly Entry[] | undefined {
  const inner = line.latin1.replace(/^[ \t\r]*[[,]/, '').replace(/[\],][ \t\r]*$/, '')
  if (inner === line.latin1) return undefined
  // The outline of an array is that of the records in a document.
  const latin1 = `{"records":[${inner}]}`
  const { records, isLoose, exceeded } = outlineOf(latin1)
  if (exceeded !== undefined) return [exceedingEntry(decodedEntry(line), exceeded)]
  if (isLoose || records === undefined) return undefined
  const entries = records.map((place, index) => elementEntry({ ...line, latin1 }, place, index))
  return entries.some(({ reject }) => reject === undefined) ? entries : undefined
}

function textEntry(entry: Entry): Entry {
  const record = textLineRecord(latin1AsText(entry.raw))
  return record === undefined
    ? withoutLoneHalves(entry)
    : { ...entry, json: repaired(bytesAsLatin1(record)).replaceAll('\r', ' ') }
}

/** @returns an entry that is rejected because it holds more than the encoder can take */
export function exceedingEntry(entry: Entry, exceeded: 'values' | 'records'): Entry {
  const limit = exceeded === 'values' ? `${maxValues} values` : `${maxLineRecords} records on one line`
  return { ...entry, reject: 'not_encodable', note: `more than ${limit}` }
}

function elementEntry(line: LongLine, { start, end }: ValuePlace, index: number): Entry {
  const latin1 = line.latin1.slice(start, end).trim()
  const entry = { ...decodedEntry({ offset: line.offset, length: line.length, latin1 }), index }
  return latin1.startsWith('{') ? withoutLoneHalves(entry) : { ...entry, reject: 'not_object' }
}

/** The encoder's parser refuses halves of surrogate pairs; it reads white space before an object as part of it. */
function withoutLoneHalves(entry: Entry): Entry {
  const json = repaired(entry.raw.startsWith('{') ? entry.raw : entry.raw.trimStart())
  return json === entry.raw ? entry : { ...entry, json: json.replaceAll('\r', ' ') }
}

/** Replaces the escapes of lone halves by that of U+FFFD, in one pass over the backslashes. */
function repaired(json: string): string {
  if (!/\\u[dD][89a-fA-F]/.test(json)) return json
  const pieces: string[] = []
  let copied = 0
  for (let at = json.indexOf('\\'); at >= 0; ) {
    const half = json.charCodeAt(at + 1) === 0x75 ? surrogateAt(json, at) : undefined
    if (half === 'high' && surrogateAt(json, at + 6) === 'low') at += 12
    else if (half === undefined) at += 2
    else {
      pieces.push(json.slice(copied, at), '\\ufffd')
      at += 6
      copied = at
    }
    at = json.indexOf('\\', at)
  }
  pieces.push(json.slice(copied))
  return pieces.join('')
}

function surrogateAt(json: string, at: number): 'high' | 'low' | undefined {
  const unit = json.slice(at, at + 6)
  if (/^\\u[dD][89abAB][\da-fA-F]{2}$/.test(unit)) return 'high'
  return /^\\u[dD][c-fC-F][\da-fA-F]{2}$/.test(unit) ? 'low' : undefined
}
