import { isUtf8 } from 'node:buffer'
import { Transform, type TransformCallback } from 'node:stream'
import { isJsonObject, type JsonValue, parseJson } from '../json.ts'
import { type Entry, type EntryBlock, type Line, type LineBlock, latin1AsText } from '../records.ts'
import { concatenatedObjects } from './concatenated-objects.ts'
import { maxLineRecords } from './line-outline.ts'
import { exceedingEntry, longLineBytes, longLineEntries } from './long-line.ts'
import { decodedEntry, elementEntry, tooLongEntry, withoutLoneSurrogates } from './record-entries.ts'

const byteOrderMark = '\xef\xbb\xbf'
const openBrace = 0x7b
const carriageReturn = 0x0d

/**
 * Lines to entries: one per record, or one rejected entry with its reason.
 *
 * A line whose outline is that of one JSON object passes without being parsed: the encoder parses every line
 * anyway and has the last word, and parsing it twice would cost more than all other stages together. Any line
 * with an unusual outline is parsed here, so that several objects on one line, lone surrogates, trailing commas
 * and NaN are decided by the rules of JSON.
 */
export class RecordValidator extends Transform {
  constructor() {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
  }

  override _transform(block: LineBlock, _encoding: BufferEncoding, done: TransformCallback): void {
    done(null, entriesOf(block))
  }
}

/** @returns the block's entries; its span still covers lines that became none. */
export function entriesOf(block: LineBlock): EntryBlock {
  const entries: Entry[] = []
  const tooLong = new Set(block.tooLong)
  for (let index = 0; index < block.lines.length; index += 1) {
    const line = block.lines[index] as Line
    if (tooLong.has(index)) entries.push(tooLongEntry(line))
    else addEntries(line, block.utf8, entries)
  }
  return { span: block.span, entries, ...(block.open ? { open: true } : {}) }
}

function addEntries(line: Line, utf8: boolean, entries: Entry[]): void {
  const piece = trimmed(line)
  if (piece.latin1.length > longLineBytes) {
    for (const entry of longLineEntries(piece)) entries.push(entry)
    return
  }
  if (hasOutlineOfOneObject(piece.latin1) && (utf8 || isUtf8(Buffer.from(piece.latin1, 'latin1')))) {
    const flat = isFlat(piece.latin1)
    entries.push({ offset: line.offset, length: line.length, index: 0, raw: piece.latin1, flat })
    return
  }
  if (piece.latin1.trim() === '') return
  // One by one: a line may hold more records than a call takes arguments.
  for (const entry of parsedEntries(piece)) entries.push(entry)
}

/** A line, or one of several objects on it. */
interface Piece extends Line {
  /** Bytes of the piece before its text begins. Default 0. */
  readonly skipped?: number
}

/** Strips a carriage return at either end, and a byte order mark at the blob's very first byte. */
function trimmed(line: Line): Piece {
  const { latin1, offset } = line
  const skipped =
    latin1.charCodeAt(0) === carriageReturn ? 1 : offset === 0 && latin1.startsWith(byteOrderMark) ? 3 : 0
  const end = latin1.charCodeAt(latin1.length - 1) === carriageReturn ? latin1.length - 1 : latin1.length
  if (skipped === 0 && end === latin1.length) return line
  return { ...line, skipped, latin1: latin1.slice(skipped, Math.max(skipped, end)) }
}

/**
 * Whether a text can only be one JSON object, if it is JSON at all, and holds nothing in which the encoder's
 * parser is more or less strict than JSON: trailing commas, NaN, Infinity, surrogates.
 * A `records` document is no such line either.
 */
function hasOutlineOfOneObject(text: string): boolean {
  const last = text.length - 1
  if (text.charCodeAt(0) !== openBrace) return false
  for (let brace = text.indexOf('}'); brace !== last; brace = text.indexOf('}', brace + 1)) {
    if (
      brace < 0 ||
      isUnusualAfter(text.charCodeAt(brace + 1)) ||
      isUnusualBefore(text.charCodeAt(brace - 1))
    )
      return false
  }
  if (isUnusualBefore(text.charCodeAt(last - 1))) return false
  for (let bracket = text.indexOf(']'); bracket >= 0; bracket = text.indexOf(']', bracket + 1)) {
    if (isUnusualBefore(text.charCodeAt(bracket - 1))) return false
  }
  // The line may be a `records` document, whose elements become rows of their own.
  if (text.includes(']') && text.includes('"records"')) return false
  return !text.includes('\\u') && !text.includes('NaN') && !text.includes('nfinity')
}

/** Whether an object's text can hold no object or array inside: no brace, and no bracket where a value begins. */
function isFlat(text: string): boolean {
  if (text.includes('{', 1)) return false
  for (let bracket = text.indexOf('['); bracket >= 0; bracket = text.indexOf('[', bracket + 1)) {
    const before = text.charCodeAt(bracket - 1)
    if (before === 0x3a || before <= 0x20) return false
  }
  return true
}

/** After an inner brace: another object, or white space that may lead to one. */
function isUnusualAfter(code: number): boolean {
  return code === openBrace || code <= 0x20
}

/** Before a closing brace or bracket: a comma, or white space that may follow one. */
function isUnusualBefore(code: number): boolean {
  return code === 0x2c || code <= 0x20
}

function parsedEntries(piece: Piece): readonly Entry[] {
  const entry = decodedEntry(piece)
  const text = latin1AsText(entry.raw)
  let value: JsonValue
  try {
    value = JSON.parse(text) as JsonValue
  } catch {
    return separateEntries(piece) ?? [{ ...entry, reject: 'not_json' }]
  }
  if (!isJsonObject(value)) return [{ ...entry, reject: 'not_object' }]
  if (Array.isArray(value.records) && value.records.length > 0) return explodedEntries(entry, text)
  // The projection looks for the object's brace first of all.
  const json = withoutLoneSurrogates(entry.raw.trim())
  // A spool row holds no carriage return; outside of strings it is white space, and inside it is escaped.
  return [json === entry.raw ? entry : { ...entry, json: json.replaceAll('\r', ' ') }]
}

/** Several objects on one line: each gets its own bytes, and together they account for the whole line. */
function separateEntries({ offset, length, latin1, skipped = 0 }: Piece): readonly Entry[] | undefined {
  const places = concatenatedObjects(latin1)
  if (places === undefined) return undefined
  if (places === 'too-many') return [exceedingEntry(decodedEntry({ offset, length, latin1 }), 'records')]
  const last = places.length - 1
  return places
    .flatMap(({ start, end }, index) => {
      // What was trimmed before the first object and after the last one belongs to them.
      const from = index === 0 ? offset : offset + skipped + start
      const to = index === last ? offset + length : offset + skipped + end
      return parsedEntries({
        offset: from,
        length: to - from,
        latin1: latin1.slice(start, end).trim(),
        skipped: 0,
      })
    })
    .map((entry, index) => ({ ...entry, index }))
}

/** A `records` document on one line: its elements share the line's place and differ in their index. */
function explodedEntries(entry: Entry, text: string): readonly Entry[] {
  try {
    const { records } = parseJson(text) as { records: JsonValue[] }
    if (records.length > maxLineRecords) return [exceedingEntry(entry, 'records')]
    return records.map((record, index) => elementEntry({ ...entry, index }, record))
  } catch (error) {
    // Nested too deeply to be taken apart: it stays one row, and nothing of it is lost.
    if (error instanceof RangeError) return [entry]
    throw error
  }
}
