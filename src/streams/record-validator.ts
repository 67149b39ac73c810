import { isUtf8 } from 'node:buffer'
import { Transform, type TransformCallback } from 'node:stream'
import { isJsonObject, type JsonValue } from '../json.ts'
import {
  bytesAsLatin1,
  type Entry,
  type EntryBlock,
  type Line,
  type LineBlock,
  latin1AsText,
} from '../records.ts'
import { type ArrayRecord, recordsOf } from './records/array-records.ts'
import { concatenatedObjects } from './records/concatenated-objects.ts'
import { maxLineRecords } from './records/line-outline.ts'
import { exceedingEntry, longLineBytes, longLineEntries } from './records/long-line.ts'
import { decodedEntry, elementEntry, projectedEntry, tooLongEntry } from './records/record-entries.ts'
import { textLineRecord } from './records/text-line.ts'

const byteOrderMark = '\xef\xbb\xbf'
const openBrace = 0x7b
const closeBrace = 0x7d
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
  if (!notBlank.test(piece.latin1)) return
  // One by one: a line may hold more records than a call takes arguments.
  for (const entry of parsedEntries(piece)) entries.push(entry)
}

// Not trim(): a byte alone may be what JavaScript takes for a blank.
const notBlank = /[^ \t\r\n\v\f]/

/** A line, or one of several objects on it. */
interface Piece extends Line {
  /** Bytes of the piece before its text begins. Default 0. */
  readonly skipped?: number
}

/**
 * Strips carriage returns and byte order marks at either end: a writer that opens the blob anew for each append begins
 * each with a mark, also where the append begins with a newline.
 */
function trimmed(line: Line): Piece {
  const { latin1 } = line
  let start = 0
  let end = latin1.length
  if (latin1.charCodeAt(0) === openBrace && latin1.charCodeAt(end - 1) === closeBrace) return line
  for (let mark = markAt(latin1, start); mark > 0; mark = markAt(latin1, start)) start += mark
  for (let mark = markBefore(latin1, end); mark > 0 && end > start; mark = markBefore(latin1, end))
    end -= mark
  if (start === 0 && end === latin1.length) return line
  return { ...line, skipped: start, latin1: latin1.slice(start, Math.max(start, end)) }
}

function markAt(latin1: string, at: number): number {
  return latin1.charCodeAt(at) === carriageReturn ? 1 : latin1.startsWith(byteOrderMark, at) ? 3 : 0
}

function markBefore(latin1: string, end: number): number {
  return latin1.charCodeAt(end - 1) === carriageReturn ? 1 : latin1.endsWith(byteOrderMark, end) ? 3 : 0
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

/** After an inner brace: another object, or white space or a byte order mark that may lead to one. */
function isUnusualAfter(code: number): boolean {
  return code === openBrace || code <= 0x20 || code === 0xef
}

/** Before a closing brace or bracket: a comma, or white space that may follow one. */
function isUnusualBefore(code: number): boolean {
  return code === 0x2c || code <= 0x20
}

function parsedEntries(piece: Piece): readonly Entry[] {
  const entry = decodedEntry(piece)
  const value = parsed(latin1AsText(entry.raw))
  if (value === undefined) return separateEntries(piece) ?? arrayPartEntries(entry) ?? [textEntry(entry)]
  const records = recordsOf(value, entry.raw)
  if (records !== undefined) return explodedEntries(entry, records)
  if (!isJsonObject(value)) return [{ ...entry, reject: 'not_object' }]
  // The projection looks for the object's brace first of all.
  return [projectedEntry(entry, entry.raw.trim())]
}

function parsed(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

/** Several objects on one line: each gets its own bytes, and together they account for the whole line. */
function separateEntries({ offset, length, latin1, skipped = 0 }: Piece): readonly Entry[] | undefined {
  const places = concatenatedObjects(withoutInnerMarks(latin1))
  if (places === undefined) return undefined
  if (places === 'too-many') return [exceedingEntry(decodedEntry({ offset, length, latin1 }), 'records')]
  const last = places.length - 1
  return places
    .flatMap(({ start, end }, index) => {
      // What was trimmed before the first object and after the last one belongs to them.
      const from = index === 0 ? offset : offset + skipped + start
      const to = index === last ? offset + length : offset + skipped + end
      const piece = latin1.slice(start, end).replace(blanksAround, '')
      return parsedEntries({ offset: from, length: to - from, latin1: piece })
    })
    .map((entry, index) => ({ ...entry, index }))
}

// A byte order mark in front of the object with them.
const blanksAround = /^(?:[ \t\r]|\xef\xbb\xbf)+|[ \t\r]+$/g

/** Blanks for the marks between objects, so that what follows stays in its place. */
function withoutInnerMarks(latin1: string): string {
  if (!latin1.includes(byteOrderMark)) return latin1
  return latin1.replaceAll(/(?<=\}[ \t\r]*)\xef\xbb\xbf(?=[ \t\r]*\{)/g, '   ')
}

/** A line out of a JSON array that was written with its elements on lines of their own: `{…},` or `[{…},` or `{…}]`. */
function arrayPartEntries(entry: Entry): readonly Entry[] | undefined {
  const inner = entry.raw.replace(/^[ \t\r]*[[,]/, '').replace(/[\],][ \t\r]*$/, '')
  if (inner === entry.raw) return undefined
  const array = `[${inner}]`
  const value = parsed(latin1AsText(array))
  if (!Array.isArray(value) || !value.every(isJsonObject)) return undefined
  const records = recordsOf(value, array)
  return records === undefined ? undefined : explodedEntries(entry, records)
}

/** Records of an array on one line: they share the line's place and differ in their index. */
function explodedEntries(entry: Entry, records: readonly ArrayRecord[]): readonly Entry[] {
  if (records.length > maxLineRecords) return [exceedingEntry(entry, 'records')]
  return records.map(({ latin1, value }, index) => elementEntry({ ...entry, index, raw: latin1 }, value))
}

function textEntry(entry: Entry): Entry {
  const record = textLineRecord(latin1AsText(entry.raw))
  if (record === undefined || !isJsonObject(parsed(record))) return { ...entry, reject: 'not_json' }
  return projectedEntry(entry, bytesAsLatin1(record))
}
