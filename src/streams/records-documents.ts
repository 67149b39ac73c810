import type { Chunk, Entry, EntryBlock, Span } from '../records.ts'
import { Expander } from './expander.ts'
import { requireContinuation } from './require-continuation.ts'
import { TopLevelValue } from './top-level-value.ts'

export interface RecordsDocumentsOptions {
  /** Longer records are rejected, with a prefix as their text; a document may be of any length. Bytes. Default 16 MiB. */
  readonly maxRecordBytes?: number
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
 * Held is one record and, until the first has been found, as much of the document; then 64 KiB of it.
 */
export class RecordsDocuments extends Expander<Chunk, EntryBlock> {
  #maxRecordBytes: number
  #previous: Span | undefined
  #nextOffset: number | undefined
  #value: TopLevelValue | undefined
  /** Bytes of a byte order mark seen so far. */
  #markBytes = 0

  constructor(options: RecordsDocumentsOptions = {}) {
    super()
    this.#maxRecordBytes = options.maxRecordBytes ?? 16 * 1024 * 1024
  }

  /** Offset of the first byte that is in no complete unit yet; `undefined` before the first chunk. */
  get nextOffset(): number | undefined {
    return this.#nextOffset
  }

  protected override *outputsOf({ span, bytes }: Chunk): Generator<EntryBlock> {
    requireContinuation(this.#previous, span)
    this.#previous = span
    this.#nextOffset ??= span.start
    const text = bytes.toString('latin1')
    for (let at = 0; at < text.length; ) {
      if (this.#value === undefined) {
        const blanks = this.#blanksEnd(text, at, span.start)
        if (blanks > at) yield this.#block([], span.start + blanks)
        at = blanks
        if (at === text.length) return
        this.#value = new TopLevelValue(text.charAt(at), span.start + at, this.#maxRecordBytes)
      }
      const value: TopLevelValue = this.#value
      at = value.take(text, at)
      if (!value.isComplete) break
      this.#value = undefined
      if (text.charAt(at - 1) !== '\n') at = restOfLine(text, at)
      const block = this.#block(value.takeEntries(), span.start + at)
      yield value.wasBroken ? { ...block, restart: true } : block
    }
    const entries = this.#value?.takeEntries() ?? []
    if (entries.length > 0) yield { ...this.#block(entries, this.#nextOffset), open: true }
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
