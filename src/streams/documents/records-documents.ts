import {
  byteOrderMark,
  type Chunk,
  type DocumentResume,
  type Entry,
  type EntryBlock,
  type Span,
} from '../../records.ts'
import { defaultMaxLineBytes, requireContinuation } from '../line-splitter.ts'
import { Expander } from '../records/expander.ts'
import { TopLevelValue } from './top-level-value.ts'

export interface RecordsDocumentsOptions {
  /** Longer records are rejected, and their text is truncated; a document may have any length. Bytes. Default 16 MiB. */
  readonly maxRecordBytes?: number | undefined
  /** The blob has landed up to `end`, and its last document has grown since. */
  readonly resume?: { readonly at: DocumentResume; readonly end: number } | undefined
}

/** Bytes kept before a document's closing bracket, to find the place again when the document has grown. */
const tailBytes = 64

/** The end of a document's records. */
export interface DocumentTail {
  readonly offset: number
  /** The last bytes before `offset`, at most 64. */
  readonly before: Buffer
  /** Bytes from `offset` to the next place where a value may begin; 0 for a value without `records`. */
  readonly closing: number
}

/** The tail of an incomplete document; `before` is set when the chunk has been read to its end. */
type OpenTail = Pick<DocumentTail, 'offset'> & Partial<Pick<DocumentTail, 'before'>>

/** The tail of the last value that a chunk completes. */
interface LastTail extends OpenTail {
  /** The value has `records`. Without it, `offset` is the value's end. */
  readonly isArray: boolean
  /** The next place where a value may begin. */
  readonly end: number
}

const valueStart = /[^ \t\r\n]/g

/**
 * Splits the chunks of a blob of JSON documents into blocks of their records.
 *
 * The blob is a sequence of top-level values, each on any number of lines. A value is a unit, because reading cannot
 * resume inside it. Its blocks are open and have an empty span at its first byte; only the last one spans the value, and
 * the white space after it up to a newline. Other white space, and byte order marks before a value, become blocks
 * without entries: some writers begin each append with a mark. The spans of all blocks tile the blob.
 *
 * - An object with an array `records` becomes one entry per element. Its other keys are ignored; a repeated `records`
 *   adds its elements.
 * - Any other object becomes one entry, any other value a reject.
 * - A value that is not JSON becomes one reject that extends to the next newline. Entries of it may have been pushed
 *   before the fault was found, so its last block has `restart`.
 * - A value that is incomplete at the stream's end has no last block and is read again.
 *
 * A document that was rewritten with more elements becomes a new unit that begins at the landed end: with `resume`, the
 * elements before that end become no entries.
 *
 * Memory: one record; also the document's text until its first record is found, and 64 KiB of it from then on.
 */
export class RecordsDocuments extends Expander<Chunk, EntryBlock> {
  #maxRecordBytes: number
  #previous: Span | undefined
  #nextOffset: number | undefined
  #value: TopLevelValue | undefined
  /** The end of the chunks so far, if it may be the beginning of a byte order mark before a value. */
  #maybeMark = ''
  #resume: RecordsDocumentsOptions['resume']
  #tail: DocumentTail | undefined
  /** The end so far of the records of the current value. */
  #open: OpenTail | undefined
  /** The last 64 bytes before the current chunk. */
  #carried: Buffer = Buffer.alloc(0)

  constructor(options: RecordsDocumentsOptions = {}) {
    super()
    this.#maxRecordBytes = options.maxRecordBytes ?? defaultMaxLineBytes
    this.#resume = options.resume
  }

  /** The end of the records of the last complete value; undefined before the first value is complete. */
  get tail(): DocumentTail | undefined {
    return this.#tail
  }

  /** Offset of the first byte after the last complete unit; `undefined` before the first chunk. */
  get nextOffset(): number | undefined {
    return this.#nextOffset
  }

  protected override *outputsOf({ span, bytes }: Chunk): Generator<EntryBlock> {
    requireContinuation(this.#previous, span)
    this.#previous = span
    if (this.#nextOffset === undefined) this.#begin(span.start)
    const text = this.#maybeMark + bytes.toString('latin1')
    const textStart = span.start - this.#maybeMark.length
    this.#maybeMark = ''
    let last: LastTail | undefined
    for (let at = 0; at < text.length; ) {
      if (this.#value === undefined) {
        at = blanksEnd(text, at)
        const start = textStart + at
        if (last !== undefined) last = { ...last, end: start }
        else this.#lengthenClosing(start)
        if (this.#isNew(start)) yield this.#block([], start)
        if (mayBeginMark(text, at)) {
          this.#maybeMark = text.slice(at)
          break
        }
        this.#value = new TopLevelValue(
          text.charAt(at),
          start,
          this.#maxRecordBytes,
          this.#resume?.at.landedTo,
        )
      }
      const value: TopLevelValue = this.#value
      at = value.take(text, at)
      if (value.arrayEnd !== undefined && value.arrayEnd !== this.#open?.offset)
        this.#open = { offset: value.arrayEnd }
      if (!value.isComplete) break
      this.#value = undefined
      const isNew = this.#isNew(textStart + at)
      if (text.charAt(at - 1) !== '\n') at = restOfLine(text, at)
      const end = textStart + at
      last = { ...(this.#open ?? { offset: end }), isArray: this.#open !== undefined, end }
      this.#open = undefined
      if (isNew) {
        const block = this.#block(value.takeEntries(), end)
        yield value.wasBroken ? { ...block, restart: true } : block
      } else {
        // The value has landed before, so its entries are void. The white space after it may be new.
        yield { ...this.#block([], this.#nextOffset as number), open: true, restart: true }
        if (this.#isNew(end)) yield this.#block([], end)
      }
    }
    this.#recordTail(last, span.start, bytes)
    const entries = this.#value?.takeEntries() ?? []
    if (entries.length > 0) yield { ...this.#block(entries, this.#nextOffset as number), open: true }
  }

  #begin(start: number): void {
    this.#nextOffset = this.#resume?.end ?? start
    if (this.#resume === undefined || this.#resume.at.behind === 'documents') return
    const { at } = this.#resume
    this.#value = TopLevelValue.inArray(at, this.#maxRecordBytes)
    this.#open = { offset: at.readFrom, before: at.before }
    this.#carried = at.before
  }

  /** Whether bytes up to this offset have not landed. */
  #isNew(end: number): boolean {
    return end > (this.#nextOffset as number)
  }

  /** White space after a document belongs to its `closing`, even when it arrives with a later chunk. */
  #lengthenClosing(end: number): void {
    const tail = this.#tail
    if (tail === undefined || tail.closing === 0 || tail.offset + tail.closing !== this.#nextOffset) return
    this.#tail = { ...tail, closing: end - tail.offset }
  }

  /** @param last the last value that the chunk completes */
  #recordTail(last: LastTail | undefined, start: number, bytes: Buffer): void {
    const before = (offset: number): Buffer => {
      const all = Buffer.concat([this.#carried, bytes.subarray(0, Math.max(0, offset - start))])
      // The end of a number or literal is found only after the white space that follows, maybe in the next chunk.
      return all.subarray(0, all.length - Math.max(0, start - offset)).subarray(-tailBytes)
    }
    if (last !== undefined) {
      const { offset, end } = last
      this.#tail = { offset, before: last.before ?? before(offset), closing: last.isArray ? end - offset : 0 }
    }
    const open = this.#open
    if (open !== undefined && open.before === undefined) this.#open = { ...open, before: before(open.offset) }
    // `concat` copies: a subarray would keep the whole chunk in memory.
    this.#carried = Buffer.concat([this.#carried, bytes.subarray(-tailBytes)]).subarray(-tailBytes)
  }

  #block(entries: readonly Entry[], end: number): EntryBlock {
    const { blob, generation } = this.#previous as Span
    const span = { blob, generation, start: this.#nextOffset as number, end }
    this.#nextOffset = end
    return { span, entries }
  }
}

/** @returns the end of white space and byte order marks */
function blanksEnd(text: string, from: number): number {
  for (let at = from; ; at += byteOrderMark.length) {
    valueStart.lastIndex = at
    at = valueStart.test(text) ? valueStart.lastIndex - 1 : text.length
    if (!text.startsWith(byteOrderMark, at)) return at
  }
}

/** @returns whether a text ends at a position, or with bytes that may begin a byte order mark */
function mayBeginMark(text: string, at: number): boolean {
  return text.length - at < byteOrderMark.length && byteOrderMark.startsWith(text.slice(at))
}

/** @returns the end of the white space after a value: at the next value, or after the first newline */
function restOfLine(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const character = text.charAt(at)
    if (character === '\n') return at + 1
    if (character !== ' ' && character !== '\t' && character !== '\r') return at
  }
  return text.length
}
