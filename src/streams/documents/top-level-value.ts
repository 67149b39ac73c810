import { jsonParser, type Token } from 'stream-json/parser.js'
import { isJsonObject, type JsonValue } from '../../json.ts'
import { type DocumentResume, type Entry, latin1AsText } from '../../records.ts'
import { entriesOf } from '../record-validator.ts'
import { decodedEntry, elementEntry, keptBytes, keptPrefix, tooLongEntry } from '../records/record-entries.ts'

/** Limit of nesting; deeper JSON is rejected, because the parser needs memory for every level. */
const maxDepth = 1_000_000

// The parser may wait for this many characters before it rejects a literal or an escape. White space after a newline
// makes it decide at the newline. It is harmless: outside of strings it means nothing, and in a string a newline is a fault.
const padding = ' '.repeat(17)

const structure = /[[\]}\n]/g
const structureOrComma = /[[\]},\n]/g
const lineBreak = /\r?\n[ \t\r\n]*/g

/**
 * Parses one top-level value of a blob of documents, given in pieces of any size.
 *
 * stream-json does not report the positions of tokens. So it is fed up to one brace, bracket or newline at a time: a
 * value that it then reports as complete ends with the piece. Text is latin1, one character per byte, so that positions
 * count bytes; all structural characters are ASCII.
 *
 * A value that begins neither as an object nor as an array is handled as a line.
 */
export class TopLevelValue {
  /** Offset of the value's first byte in its blob. */
  readonly start: number
  #maxRecordBytes: number
  #form: 'json' | 'line' | 'broken'
  #parse = jsonParser({ packValues: false })
  #depth = 0
  /** The current or last top-level key; truncated once it cannot be `records`. */
  #key = ''
  #inKey = false
  #inRecords = false
  #isComplete = false
  #wasBroken = false
  /** Whether the current element is a string, number or literal, and whether that is complete. */
  #scalar: 'none' | 'partial' | 'whole' = 'none'
  #element: PrefixText
  #text: PrefixText
  #entries: Entry[] = []
  #entryCount = 0
  #landedTo: number
  #arrayEnd: number | undefined

  /**
   * @param first the value's first character
   * @param landedTo elements of `records` that end at or before this offset of the blob become no entries
   */
  constructor(first: string, start: number, maxRecordBytes: number, landedTo = 0) {
    this.start = start
    this.#landedTo = landedTo
    this.#maxRecordBytes = maxRecordBytes
    this.#form = first === '{' || first === '[' ? 'json' : 'line'
    this.#element = new PrefixText(maxRecordBytes)
    this.#text = new PrefixText(maxRecordBytes)
  }

  /** @returns a document to resume after its array's opening bracket or after one of its elements */
  static inArray({ readFrom, behind, landedTo }: DocumentResume, maxRecordBytes: number): TopLevelValue {
    const opening = behind === 'element' ? '{"records":[{}' : '{"records":['
    const value = new TopLevelValue('{', readFrom - opening.length, maxRecordBytes, landedTo)
    value.take(opening, 0)
    return value
  }

  /** Offset of the end of the last element of `records`, or of its opening bracket; undefined without `records`. */
  get arrayEnd(): number | undefined {
    return this.#arrayEnd
  }

  /** Whether the value's last byte has been taken. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  /** Whether the value is not JSON. Entries taken before that was found are void. */
  get wasBroken(): boolean {
    return this.#wasBroken
  }

  /** @returns the entries found since the last call */
  takeEntries(): Entry[] {
    const entries = this.#entries
    this.#entries = []
    return entries
  }

  /** Takes the value's characters from `text`, beginning at `from`. @returns the position after the last one taken */
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
    // Between elements of `records`, a comma ends a string, number or literal.
    const pattern = this.#inRecords && this.#depth === 2 ? structureOrComma : structure
    pattern.lastIndex = from
    return pattern.test(text) ? pattern.lastIndex : text.length
  }

  /** @returns whether the value is still JSON with this piece */
  #read(piece: string): boolean {
    if (this.#inRecords) this.#element.add(piece)
    const tokens = this.#tokensOf(piece.endsWith('\n') ? piece + padding : piece)
    if (tokens === undefined) return false
    for (const token of tokens) {
      if (!this.#follow(token)) return false
    }
    if (!this.#inRecords || this.#depth !== 2 || !piece.endsWith(',')) return true
    if (this.#scalar === 'whole') return this.#addElement(1)
    // A comma within a string belongs to the element. Otherwise it follows an object that was already added.
    if (this.#scalar === 'none') this.#element = new PrefixText(this.#maxRecordBytes)
    return true
  }

  #tokensOf(piece: string): readonly Token[] | undefined {
    try {
      const answer: unknown = this.#parse(piece)
      // stream-chain returns a marker object: with several values, or with none.
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
        // The closing bracket also ends a last element that is a string, number or literal.
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
        // One character more than `records` has is enough to rule it out.
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
   * Adds the entry of the element that has ended.
   *
   * @param behind the number of characters read after the element's end
   * @returns false when the element is not JSON: stream-json accepts some texts that JSON.parse rejects
   */
  #addElement(behind: number): boolean {
    const element = this.#element
    this.#element = new PrefixText(this.#maxRecordBytes)
    this.#scalar = 'none'
    const place = { offset: this.start, length: element.bytes - behind }
    const index = this.#entryCount
    // White space after a string, number or literal may change when more elements follow, so the array ends before it.
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
      this.#addEntry(elementEntry({ ...entry, raw: onOneLine(entry.raw) }, isJsonObject(value)))
    } catch (error) {
      if (error instanceof SyntaxError) return false
      throw error
    }
    return true
  }

  /** Offset after the last byte taken. */
  get #end(): number {
    return this.start + this.#text.bytes
  }

  #addEntry(entry: Entry): void {
    this.#entries.push(entry)
    this.#countEntry()
  }

  #countEntry(): void {
    this.#entryCount += 1
    // From its first entry on, the document's text is needed only for a reject, which keeps a prefix.
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

  /** The entries of a value without `records`: the validator decides, as for a line with the same text. */
  #ownEntries(): Entry[] {
    const isLine = this.#form === 'line'
    // `Line.length` includes a newline, which an object or array does not have.
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
      note: bytes > keptBytes ? `${bytes} bytes` : undefined,
    }
  }
}

/** Removes line breaks and indentation: in JSON they occur only between tokens. */
function onOneLine(latin1: string): string {
  return latin1.includes('\n') ? latin1.replace(lineBreak, '') : latin1
}

function lineEnd(text: string, from: number): number {
  const newline = text.indexOf('\n', from)
  return newline < 0 ? text.length : newline + 1
}

/** Collects a text in pieces, keeps its first bytes and counts the rest; one character per byte (latin1). */
class PrefixText {
  #maxBytes: number
  #text = ''
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The kept prefix. */
  get text(): string {
    return this.#text
  }

  /** The length of the whole text. */
  get bytes(): number {
    return this.#bytes
  }

  add(piece: string): void {
    const room = this.#maxBytes - this.#text.length
    this.#bytes += piece.length
    if (room > 0) this.#text += piece.length > room ? piece.slice(0, room) : piece
  }

  /** Reduces the kept prefix, now and for later pieces. */
  shorten(maxBytes: number): void {
    this.#maxBytes = maxBytes
    this.#text = this.#text.slice(0, maxBytes)
  }
}
