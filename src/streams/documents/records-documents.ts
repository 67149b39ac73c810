import type { Chunk, DocumentResume, Entry, EntryBlock, Span } from '../../records.ts'
import { Expander } from '../records/expander.ts'
import { requireContinuation } from '../require-continuation.ts'
import { TopLevelValue } from './top-level-value.ts'

export interface RecordsDocumentsOptions {
  /** Longer records are rejected, with a prefix as their text; a document may be of any length. Bytes. Default 16 MiB. */
  readonly maxRecordBytes?: number
  /** The blob has landed up to `end` and is read on in a document that has grown since. */
  readonly resume?: { readonly at: DocumentResume; readonly end: number }
}

/** Bytes before a document's closing bracket, by which it is found again when it has grown. */
const tailBytes = 64

/** Where a document's records end. */
export interface DocumentTail {
  readonly offset: number
  /** The last bytes before it, 64 at most. */
  readonly before: Buffer
  /** Bytes from there to where the next value may begin; 0 for a value without an array of records, which is whole. */
  readonly closing: number
}

/** The same of a document that is not complete; `before` is known when the chunk has gone by. */
type OpenTail = Pick<DocumentTail, 'offset'> & Partial<Pick<DocumentTail, 'before'>>

/** The same of the last value that a chunk has completed. */
interface LastTail extends OpenTail {
  /** It has an array of records; without one, its offset is its end. */
  readonly isArray: boolean
  /** Where the next value may begin. */
  readonly end: number
}

const byteOrderMark = '\xef\xbb\xbf'
const valueStart = /[^ \t\r\n]/g

/**
 * Chunks of a blob of JSON documents to blocks of their records.
 *
 * A blob is a sequence of top-level values over any number of lines. Each is a unit, because no offset inside one
 * leads back to what it is part of: its blocks are open, with an empty span at its first byte, and the last one, which
 * is not, spans the value and the white space behind it up to a newline. White space elsewhere, and a byte order mark
 * at the blob's first byte, become blocks without entries. The blocks' spans tile.
 *
 * An object with an array `records` becomes an entry for each element, whatever other keys it has: those are ignored.
 * The elements of a second `records` count as well. Any other object is one record, any other value a reject. A
 * value that turns out to be no JSON becomes one reject that reaches to the next newline; its last block then says
 * `restart`, because entries of it may have been handed on. A value that is incomplete at the stream's end has no
 * last block; its unit is read again.
 *
 * A document that is rewritten with more elements goes on as a unit of its own, from the end that had landed: with
 * `resume`, its elements before that end become no entries.
 *
 * Held is one record and, until the first has been found, as much of the document; then 64 KiB of it.
 */
export class RecordsDocuments extends Expander<Chunk, EntryBlock> {
  #maxRecordBytes: number
  #previous: Span | undefined
  #nextOffset: number | undefined
  #value: TopLevelValue | undefined
  /** Bytes of a byte order mark seen so far. */
  #markBytes = 0
  #resume: RecordsDocumentsOptions['resume']
  #tail: DocumentTail | undefined
  /** Where the records of the value that is being read end so far, and the bytes before it once their chunk has gone by. */
  #open: OpenTail | undefined
  /** The last bytes of the chunks before. */
  #carried: Buffer = Buffer.alloc(0)

  constructor(options: RecordsDocumentsOptions = {}) {
    super()
    this.#maxRecordBytes = options.maxRecordBytes ?? 16 * 1024 * 1024
    this.#resume = options.resume
  }

  /** The end of the last complete value's records; undefined before the first one that was read here. */
  get tail(): DocumentTail | undefined {
    return this.#tail
  }

  /** Offset of the first byte that is in no complete unit yet; `undefined` before the first chunk. */
  get nextOffset(): number | undefined {
    return this.#nextOffset
  }

  protected override *outputsOf({ span, bytes }: Chunk): Generator<EntryBlock> {
    requireContinuation(this.#previous, span)
    this.#previous = span
    if (this.#nextOffset === undefined) this.#begin(span.start)
    const text = bytes.toString('latin1')
    let last: LastTail | undefined
    for (let at = 0; at < text.length; ) {
      if (this.#value === undefined) {
        const blanks = this.#blanksEnd(text, at, span.start)
        if (last !== undefined) last = { ...last, end: span.start + blanks }
        else this.#lengthenClosing(span.start + blanks)
        if (this.#isNew(span.start + blanks)) yield this.#block([], span.start + blanks)
        at = blanks
        if (at === text.length) break
        const start = span.start + at
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
      const isNew = this.#isNew(span.start + at)
      if (text.charAt(at - 1) !== '\n') at = restOfLine(text, at)
      const end = span.start + at
      last = { ...(this.#open ?? { offset: end }), isArray: this.#open !== undefined, end }
      this.#open = undefined
      if (isNew) {
        const block = this.#block(value.takeEntries(), span.start + at)
        yield value.wasBroken ? { ...block, restart: true } : block
      } else {
        // It has landed: what was handed on of it does not count. The white space behind it may be new.
        yield { ...this.#block([], this.#nextOffset as number), open: true, restart: true }
        if (this.#isNew(span.start + at)) yield this.#block([], span.start + at)
      }
    }
    this.#noteTail(last, span.start, bytes)
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

  /** Whether what ends there has not landed. */
  #isNew(end: number): boolean {
    return end > (this.#nextOffset as number)
  }

  /** White space behind a document belongs to its closing, though it may come with a later chunk. */
  #lengthenClosing(end: number): void {
    const tail = this.#tail
    if (tail === undefined || tail.closing === 0 || tail.offset + tail.closing !== this.#nextOffset) return
    this.#tail = { ...tail, closing: end - tail.offset }
  }

  /** @param last the last value that the chunk has completed */
  #noteTail(last: LastTail | undefined, start: number, bytes: Buffer): void {
    const before = (offset: number): Buffer => {
      const all = Buffer.concat([this.#carried, bytes.subarray(0, Math.max(0, offset - start))])
      // The end of a number or a literal shows only behind the white space that follows it.
      return all.subarray(0, all.length - Math.max(0, start - offset)).subarray(-tailBytes)
    }
    if (last !== undefined) {
      const { offset, end } = last
      this.#tail = { offset, before: last.before ?? before(offset), closing: last.isArray ? end - offset : 0 }
    }
    const open = this.#open
    if (open !== undefined && open.before === undefined) this.#open = { ...open, before: before(open.offset) }
    // A copy: a part would keep the whole chunk in memory.
    this.#carried = Buffer.concat([this.#carried, bytes.subarray(-tailBytes)]).subarray(-tailBytes)
  }

  /** Where white space ends, and a mark that begins at the blob's first byte with it. */
  #blanksEnd(text: string, from: number, offset: number): number {
    let at = from
    while (
      offset + at === this.#markBytes &&
      at < text.length &&
      text.charAt(at) === byteOrderMark.charAt(this.#markBytes)
    ) {
      this.#markBytes += 1
      at += 1
    }
    valueStart.lastIndex = at
    return valueStart.test(text) ? valueStart.lastIndex - 1 : text.length
  }

  #block(entries: readonly Entry[], end: number): EntryBlock {
    const { blob, generation } = this.#previous as Span
    const span = { blob, generation, start: this.#nextOffset as number, end }
    this.#nextOffset = end
    return { span, entries }
  }
}

/** Where the white space behind a value ends: at the next value, or behind the first newline. */
function restOfLine(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const character = text.charAt(at)
    if (character === '\n') return at + 1
    if (character !== ' ' && character !== '\t' && character !== '\r') return at
  }
  return text.length
}
