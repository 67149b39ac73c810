import { jsonParser, type Token } from 'stream-json/parser.js'
import type { JsonValue } from '../../json.ts'
import { type DocumentResume, type Entry, latin1AsText } from '../../records.ts'
import { entriesOf } from '../record-validator.ts'
import { decodedEntry, elementEntry, tooLongEntry } from '../records/record-entries.ts'
import { keptBytes, keptPrefix } from '../staging/spool.ts'

/** Deeper nesting is taken for a fault: the parser remembers every level. */
const maxDepth = 1_000_000

// The parser waits for as many characters before it refuses a literal or an escape. White space behind a newline makes
// it decide there; inside a string, where white space would count, a newline is a fault itself.
const padding = ' '.repeat(17)

const structure = /[[\]}\n]/g
const structureOrComma = /[[\]},\n]/g
const lineBreak = /\r?\n[ \t\r\n]*/g

/**
 * One top-level value of a blob of documents, taken in pieces that may be cut anywhere.
 *
 * stream-json reads its structure and does not say where in its input a token lies. It is fed up to one brace,
 * bracket or newline at a time, so that what it reports complete ends where that piece does. Bytes are characters
 * (latin1), so that places count bytes; what is structure is ASCII.
 *
 * What does not begin as an object or array is taken as a line.
 */
export class TopLevelValue {
  /** Offset of the value's first byte in its blob. */
  readonly start: number
  #maxRecordBytes: number
  #form: 'json' | 'line' | 'broken'
  #parse = jsonParser({ packValues: false })
  #depth = 0
  /** The key being read at the top, as far as it can still be `records`; then the one that was read. */
  #key = ''
  #inKey = false
  #inRecords = false
  #isComplete = false
  #wasBroken = false
  /** What the element being read has of a string, number or literal. */
  #scalar: 'none' | 'partial' | 'whole' = 'none'
  #element: PrefixText
  #text: PrefixText
  #entries: Entry[] = []
  #entryCount = 0
  #landedTo: number
  #arrayEnd: number | undefined

  /**
   * @param first its first character
   * @param landedTo elements of `records` that end at this offset of the blob or before become no entries
   */
  constructor(first: string, start: number, maxRecordBytes: number, landedTo = 0) {
    this.start = start
    this.#landedTo = landedTo
    this.#maxRecordBytes = maxRecordBytes
    this.#form = first === '{' || first === '[' ? 'json' : 'line'
    this.#element = new PrefixText(maxRecordBytes)
    this.#text = new PrefixText(maxRecordBytes)
  }

  /** A document whose next byte is at `offset` of the blob, behind its array's opening bracket or one of its elements. */
  static inArray({ readFrom, behind, landedTo }: DocumentResume, maxRecordBytes: number): TopLevelValue {
    const opening = behind === 'element' ? '{"records":[{}' : '{"records":['
    const value = new TopLevelValue('{', readFrom - opening.length, maxRecordBytes, landedTo)
    value.take(opening, 0)
    return value
  }

  /** Where the last element of `records` ends in the blob, or its opening bracket; undefined without such an array. */
  get arrayEnd(): number | undefined {
    return this.#arrayEnd
  }

  /** Whether its last byte has been taken. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Whether it turned out to be no JSON: entries taken before then do not count. */
  get wasBroken(): boolean {
    return this.#wasBroken
  }

  /** @returns the entries found since the last call */
  takeEntries(): Entry[] {
    const entries = this.#entries
    this.#entries = []
    return entries
  }

  /** Takes what belongs to the value from `text`, beginning at `from`. @returns where it stopped */
  take(text: string, from: number): number {
    let at = from
    while (at < text.length && !this.#isComplete) {
      const end = this.#form === 'json' ? this.#pieceEnd(text, at) : lineEnd(text, at)
      const piece = text.slice(at, end)
      this.#text.add(piece)
      if (this.#form === 'json' && !this.#read(piece)) this.#break()
      if (this.#form === 'json') {
        if (this.#depth === 0) this.#complete()
      } else if (piece.endsWith('\n')) this.#complete()
      at = end
    }
    return at
  }

  #pieceEnd(text: string, from: number): number {
    // Between the elements of `records` a comma tells where a string, number or literal has ended.
    const pattern = this.#inRecords && this.#depth === 2 ? structureOrComma : structure
    pattern.lastIndex = from
    return pattern.test(text) ? pattern.lastIndex : text.length
  }

  /** @returns whether the piece goes on as JSON */
  #read(piece: string): boolean {
    if (this.#inRecords) this.#element.add(piece)
    const tokens = this.#tokensOf(piece.endsWith('\n') ? piece + padding : piece)
    if (tokens === undefined) return false
    for (const token of tokens) {
      if (!this.#follow(token)) return false
    }
    if (!this.#inRecords || this.#depth !== 2 || !piece.endsWith(',')) return true
    if (this.#scalar === 'whole') return this.#addElement(1)
    // A comma inside a string is part of the element; otherwise it stands behind an object that has been added.
    if (this.#scalar === 'none') this.#element = new PrefixText(this.#maxRecordBytes)
    return true
  }

  #tokensOf(piece: string): readonly Token[] | undefined {
    try {
      const answer: unknown = this.#parse(piece)
      // One of stream-chain's markers: several values, or none.
      if (typeof answer !== 'object' || answer === null || !('values' in answer)) return []
      return answer.values as readonly Token[]
    } catch {
      return undefined
    }
  }

  #follow(token: Token): boolean {
    switch (token.name) {
      case 'startObject':
      case 'startArray':
        this.#depth += 1
        if (this.#depth === 2 && token.name === 'startArray' && this.#key === 'records') {
          this.#inRecords = true
          this.#arrayEnd = this.#end
        }
        return this.#depth <= maxDepth
      case 'endObject':
      case 'endArray':
        this.#depth -= 1
        if (!this.#inRecords) return true
        if (this.#depth === 2) return this.#addElement(0)
        if (this.#depth > 1) return true
        // The bracket that ends the array ends its last element, if that is a string, number or literal.
        if (this.#scalar === 'whole' && !this.#addElement(1)) return false
        this.#inRecords = false
        this.#element = new PrefixText(this.#maxRecordBytes)
        return true
      case 'startKey':
        this.#inKey = this.#depth === 1
        if (this.#inKey) this.#key = ''
        return true
      case 'endKey':
        this.#inKey = false
        return true
      case 'stringChunk':
        // One character more than `records` has is enough to tell another key.
        if (this.#inKey && this.#key.length <= 'records'.length) this.#key += token.value.slice(0, 8)
        return true
      case 'startString':
      case 'startNumber':
        if (this.#inRecords && this.#depth === 2) this.#scalar = 'partial'
        return true
      case 'endString':
      case 'endNumber':
      case 'nullValue':
      case 'trueValue':
      case 'falseValue':
        if (this.#inRecords && this.#depth === 2) this.#scalar = 'whole'
        return true
      default:
        return true
    }
  }

  /**
   * Makes the element that has ended an entry.
   *
   * @param behind characters of its text that no longer belong to it
   * @returns false when it is no JSON after all: stream-json lets a little pass that is none
   */
  #addElement(behind: number): boolean {
    const element = this.#element
    this.#element = new PrefixText(this.#maxRecordBytes)
    this.#scalar = 'none'
    const place = { offset: this.start, length: element.bytes - behind }
    const index = this.#entryCount
    // White space behind a string, number or literal comes and goes with what follows it.
    const blanks = behind === 0 ? 0 : place.length - element.text.slice(0, place.length).trimEnd().length
    this.#arrayEnd = this.#end - behind - (place.length > this.#maxRecordBytes ? 0 : blanks)
    if (this.#arrayEnd <= this.#landedTo) {
      this.#countEntry()
      return true
    }
    if (place.length > this.#maxRecordBytes) {
      this.#addEntry({ ...tooLongEntry({ ...place, length: place.length + 1, latin1: element.text }), index })
      return true
    }
    const entry = { ...decodedEntry({ ...place, latin1: element.text.slice(0, place.length).trim() }), index }
    try {
      const value = JSON.parse(latin1AsText(entry.raw)) as JsonValue
      this.#addEntry(elementEntry({ ...entry, raw: onOneLine(entry.raw) }, value))
    } catch (error) {
      if (error instanceof SyntaxError) return false
      throw error
    }
    return true
  }

  /** The offset behind what was taken so far. */
  get #end(): number {
    return this.start + this.#text.bytes
  }

  #addEntry(entry: Entry): void {
    this.#entries.push(entry)
    this.#countEntry()
  }

  #countEntry(): void {
    this.#entryCount += 1
    // Rows of its own: its text is only needed in case it breaks.
    if (this.#entryCount === 1) this.#text.shorten(keptBytes)
  }

  #break(): void {
    this.#form = 'broken'
    this.#wasBroken = true
    this.#entries = []
    this.#element = new PrefixText(0)
    this.#text.shorten(keptBytes)
  }

  #complete(): void {
    this.#isComplete = true
    if (this.#form === 'broken') this.#entries = [this.#rejected()]
    else if (this.#entryCount === 0) this.#entries = this.#ownEntries()
  }

  /** The value is one record itself, or none: what the validator says of it on one line. */
  #ownEntries(): Entry[] {
    const isLine = this.#form === 'line'
    // A line's length counts its newline.
    const length = isLine ? this.#text.bytes : this.#text.bytes + 1
    const latin1 = isLine ? this.#text.text.replace(/\n$/, '') : onOneLine(this.#text.text)
    const line = { offset: this.start, length, latin1 }
    const tooLong = length - 1 > this.#maxRecordBytes ? [0] : []
    const span = { blob: '', generation: '', start: this.start, end: this.start + length }
    return [...entriesOf({ span, lines: [line], utf8: false, tooLong }).entries]
  }

  #rejected(): Entry {
    const { bytes, text } = this.#text
    return {
      offset: this.start,
      length: bytes,
      index: 0,
      raw: keptPrefix(text),
      reject: 'not_json',
      ...(bytes > keptBytes ? { note: `${bytes} bytes` } : {}),
    }
  }
}

/** JSON has line breaks only between tokens, so they and the indentation behind them can go. */
function onOneLine(latin1: string): string {
  return latin1.includes('\n') ? latin1.replace(lineBreak, '') : latin1
}

function lineEnd(text: string, from: number): number {
  const newline = text.indexOf('\n', from)
  return newline < 0 ? text.length : newline + 1
}

/** A text that is added to piece by piece, of which only the beginning is kept; one character per byte (latin1). */
export class PrefixText {
  #maxBytes: number
  #text = ''
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** What is kept of it. */
  get text(): string {
    return this.#text
  }

  /** How long the whole text is. */
  get bytes(): number {
    return this.#bytes
  }

  add(piece: string): void {
    const room = this.#maxBytes - this.#text.length
    this.#bytes += piece.length
    if (room > 0) this.#text += piece.length > room ? piece.slice(0, room) : piece
  }

  /** From now on keeps no more than so many bytes. */
  shorten(maxBytes: number): void {
    this.#maxBytes = maxBytes
    this.#text = this.#text.slice(0, maxBytes)
  }
}
