import { Transform, type TransformCallback } from 'node:stream'
import { isJsonObject, type JsonValue, parseJson, stringifyJson } from '../json.ts'
import {
  byteOrderMark,
  bytesAsLatin1,
  type Entry,
  type EntryBlock,
  type Line,
  type LineBlock,
  latin1AsText,
} from '../records.ts'
import { type ArrayRecord, recordsOf } from './records/array-records.ts'
import { CsvRecords } from './records/csv-records.ts'
import { concatenatedObjects, maxLineRecords } from './records/line-outline.ts'
import { exceedingEntry, longLineBytes, longLineEntries } from './records/long-line.ts'
import type { LongLineTurns } from './records/open-line.ts'
import { decodedEntry, elementEntry, projectedEntry, tooLongEntry } from './records/record-entries.ts'
import { batchRecords, mayBeBatch } from './records/shipped-batches.ts'
import { textLineRecord } from './records/text-line.ts'
import { usualLine } from './records/usual-line.ts'
import { isUtf8Text } from './records/utf8-text.ts'

const openBrace = 0x7b
const closeBrace = 0x7d
const carriageReturn = 0x0d

/** What a `RecordValidator` knows besides the lines. */
export interface RecordValidatorOptions {
  /** Bounds the memory of long lines. Default: it is not bounded. */
  readonly longLines?: LongLineTurns | undefined
  /** Recognizes the table's usual records: `Projection.writtenForm`. Default: none is recognized by its form. */
  readonly writtenForm?: RegExp | undefined
}

/**
 * Turns lines into entries: one entry per record, or one rejected entry with its reason.
 *
 * A line with the outline of one JSON object passes without being parsed. The encoder parses every record anyway and can
 * still reject it; parsing it here too would cost more than all other stages together. Only an unusual line is parsed
 * here, because the encoder's parser differs from JSON for several objects on a line, lone surrogates, trailing commas
 * and NaN.
 */
export class RecordValidator extends Transform {
  readonly #longLines: LongLineTurns | undefined
  readonly #writtenForm: RegExp | undefined
  readonly #csv = new CsvRecords()

  constructor({ longLines, writtenForm }: RecordValidatorOptions = {}) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#longLines = longLines
    this.#writtenForm = writtenForm
  }

  override _transform(block: LineBlock, _encoding: BufferEncoding, done: TransformCallback): void {
    // Only a block with a long line has a turn to end.
    if (this.#longLines === undefined || block.release === undefined) {
      done(null, entriesOf(block, this.#writtenForm, this.#csv))
      return
    }
    this.#longLines
      .alone(async () => entriesOf(block, this.#writtenForm, this.#csv))
      .then((entries) => done(null, entries), done)
  }
}

/**
 * @param csv follows the blob's lines. Default: the block is the beginning of a blob
 * @returns the entries of a block; the span also covers lines without an entry
 */
export function entriesOf(block: LineBlock, writtenForm?: RegExp, csv = new CsvRecords()): EntryBlock {
  const entries: Entry[] = []
  const tooLong = new Set(block.tooLong)
  for (let index = 0; index < block.lines.length; index += 1) {
    const line = block.lines[index] as Line
    if (tooLong.has(index)) entries.push(tooLongEntry(line))
    else if (csv.continues(line.latin1)) {
      if (notBlank.test(line.latin1)) entries.push(furtherEntry(line, csv))
    } else addEntries(line, block.utf8, entries, writtenForm)
  }
  const { span, usual, open, release } = block
  return { span, entries, usual, open, release }
}

function addEntries(line: Line, utf8: boolean, entries: Entry[], writtenForm: RegExp | undefined): void {
  const piece = trimmed(line)
  if (piece.latin1.length > longLineBytes) {
    for (const entry of longLineEntries(piece)) entries.push(entry)
    return
  }
  const form = usualLine(piece.latin1, writtenForm)
  if (form !== undefined && (utf8 || isUtf8Text(piece.latin1))) {
    const { offset, length } = line
    entries.push({ offset, length, index: 0, raw: piece.latin1, form: form === 'nested' ? undefined : form })
    return
  }
  if (!notBlank.test(piece.latin1)) return
  // Pushed one by one: a line may have more records than a call can have arguments.
  for (const entry of parsedEntries(piece)) entries.push(entry)
}

// Not trim(): it would also take single bytes of UTF-8 characters for white space, such as 0xA0.
const notBlank = /[^ \t\r\n\v\f]/

/** A line, or one of several objects on it. */
interface Piece extends Line {
  /** Bytes between the offset and the start of `latin1`. Default 0. */
  readonly skipped?: number | undefined
}

/**
 * Strips carriage returns and byte order marks at both ends. Some writers begin each append with a mark, so that a line's
 * end can be followed by the mark of an append that begins with a newline.
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

function parsedEntries(piece: Piece): readonly Entry[] {
  const entry = decodedEntry(piece)
  const value = parsed(latin1AsText(entry.raw))
  if (value === undefined) return separateEntries(piece) ?? arrayPartEntries(entry) ?? [textEntry(entry)]
  const records = recordsOf(value, entry.raw)
  if (records !== undefined) return explodedEntries(entry, records)
  if (typeof value === 'string') return [quotedEntry(entry, value)]
  if (!isJsonObject(value)) return [{ ...entry, reject: 'not_object' }]
  const batch = mayBeBatch(entry.raw.trimStart()) ? batchEntries(entry) : undefined
  if (batch !== undefined) return batch
  // The projection expects the object's brace as the first character.
  return [projectedEntry(entry, entry.raw.trim())]
}

function furtherEntry(line: Line, csv: CsvRecords): Entry {
  const entry = decodedEntry(trimmed(line))
  return entry.reject === undefined ? projectedEntry(entry, csv.furtherRecord(entry.raw)) : entry
}

function parsed(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

/** The entries of several objects on one line. Each gets its own bytes; together they cover the whole line. */
function separateEntries({ offset, length, latin1, skipped = 0 }: Piece): readonly Entry[] | undefined {
  const places = concatenatedObjects(withoutInnerMarks(latin1))
  if (places === undefined) return undefined
  if (places === 'too-many') return [exceedingEntry(decodedEntry({ offset, length, latin1 }), 'records')]
  const last = places.length - 1
  return places
    .flatMap(({ start, end }, index) => {
      // The bytes before the first object and after the last one are assigned to these two.
      const from = index === 0 ? offset : offset + skipped + start
      const to = index === last ? offset + length : offset + skipped + end
      const piece = latin1.slice(start, end).replace(blanksAround, '')
      return parsedEntries({ offset: from, length: to - from, latin1: piece })
    })
    .map((entry, index) => ({ ...entry, index }))
}

// White space around an object, and byte order marks before it.
const blanksAround = /^(?:[ \t\r]|\xef\xbb\xbf)+|[ \t\r]+$/g

/** Replaces byte order marks between objects by spaces of the same length, so that places do not move. */
function withoutInnerMarks(latin1: string): string {
  if (!latin1.includes(byteOrderMark)) return latin1
  return latin1.replaceAll(/(?<=\}[ \t\r]*)\xef\xbb\xbf(?=[ \t\r]*\{)/g, '   ')
}

/** The entries of a line of a JSON array with one element per line: `{…},` or `[{…},` or `{…}]`. */
function arrayPartEntries(entry: Entry): readonly Entry[] | undefined {
  const inner = entry.raw.replace(/^[ \t\r]*[[,]/, '').replace(/[\],][ \t\r]*$/, '')
  if (inner === entry.raw) return undefined
  const array = `[${inner}]`
  const value = parsed(latin1AsText(array))
  if (!Array.isArray(value) || !value.every(isJsonObject)) return undefined
  const records = recordsOf(value, array)
  return records === undefined ? undefined : explodedEntries(entry, records)
}

/** The entries of an array's records. They have the line's offset and length, and differ in their index. */
function explodedEntries(entry: Entry, records: readonly ArrayRecord[]): readonly Entry[] {
  if (records.length > maxLineRecords) return [exceedingEntry(entry, 'records')]
  return records.map(({ latin1, value }, index) =>
    elementEntry({ ...entry, index, raw: latin1 }, isJsonObject(value)),
  )
}

/** The entries of a shipper's batch. They are parsed with exact integers, because their texts are written anew. */
function batchEntries(entry: Entry): readonly Entry[] | undefined {
  const value = parseJson(latin1AsText(entry.raw))
  const records = isJsonObject(value) ? batchRecords(value) : undefined
  if (records === undefined) return undefined
  if (records.length > maxLineRecords) return [exceedingEntry(entry, 'records')]
  return records.map((record, index) => {
    const raw = bytesAsLatin1(stringifyJson(record))
    return projectedEntry({ ...entry, index, raw }, raw)
  })
}

/** The entry of a JSON string with a line, as Vector writes events that are nothing but a text. */
function quotedEntry(entry: Entry, text: string): Entry {
  const inner = text.startsWith('{') ? parsed(text) : undefined
  const isRecord = inner !== undefined && isJsonObject(inner) && Object.keys(inner).length > 0
  const record = isRecord ? JSON.stringify({ message: text }) : textLineRecord(text)
  return record === undefined
    ? { ...entry, reject: 'not_object' }
    : projectedEntry(entry, bytesAsLatin1(record))
}

function textEntry(entry: Entry): Entry {
  const record = textLineRecord(latin1AsText(entry.raw))
  if (record === undefined || !isJsonObject(parsed(record))) return { ...entry, reject: 'not_json' }
  return projectedEntry(entry, bytesAsLatin1(record))
}
