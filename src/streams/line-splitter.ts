import { isUtf8 } from 'node:buffer'
import { Transform, type TransformCallback } from 'node:stream'
import split2 from 'split2'
import { TailraceError } from '../errors.ts'
import { type Chunk, type Line, type LineBlock, type Span, touches } from '../records.ts'
import { longLineBytes } from './records/long-line.ts'
import { type LongLineTurns, OpenLine } from './records/open-line.ts'
import { isUtf8Text } from './records/utf8-text.ts'
import type { UsualRows } from './staging/usual-rows.ts'

export interface LineSplitterOptions {
  /** Longer lines are truncated and listed in `tooLong`. Bytes, the newline excluded. Default 16 MiB. */
  readonly maxLineBytes?: number | undefined
  /**
   * The first chunk begins inside a line. The rest of that line is dropped; the first block's span still covers it.
   * Default false.
   */
  readonly insideLine?: boolean | undefined
  /** Takes the usual lines; the others become objects. Default: every line becomes an object. */
  readonly usual?: UsualRows | undefined
  /** Bounds the memory of long lines, of all splitters that share it. Default: not bounded across splitters. */
  readonly longLines?: LongLineTurns | undefined
}

/** Size of `before`: enough to recognize the blob by when reading resumes at `nextOffset`. */
const maxBeforeBytes = 64

/** The default of `maxLineBytes`. */
export const defaultMaxLineBytes = 16 * 1024 * 1024

/** Text given to split2 at a time. A string over 128 KiB is a large object, with a page fault every 4 KiB. */
const pieceBytes = 64 * 1024

const newline = 0x0a

/** One for all splitters: a new one, with its stack, takes as long as some hundred lines. */
const destroyed = new DOMException('The splitter is destroyed.', 'AbortError')

/**
 * Splits the chunks of one blob into blocks of complete lines, each line with its exact offset and length.
 *
 * split2 counts characters, and offsets count bytes. In latin1 text, with one character per byte, the two are equal.
 * split2 gets complete lines only and is never ended: at its end it would emit the unterminated last line, whose rest may
 * still be appended. A line over the limit is truncated, so memory does not grow with its length.
 */
export class LineSplitter extends Transform {
  #maxLineBytes: number
  #usual: UsualRows | undefined
  #split = split2('\n', (line: string) => this.#take(line, line.length + 1), { decodeStrings: false })
  #previous: Span | undefined
  /** Offset of the open line's first byte. The open line is the one whose newline has not been read. */
  #lineStart = 0
  #longLines: LongLineTurns | undefined
  #destroying = new AbortController()
  /** Of a line over the limit, one byte more than the limit. */
  #open: OpenLine
  /** The last chunk that was split in turn. */
  #work: Promise<unknown> = Promise.resolve()
  #insideLine: boolean
  /** The lines found in the current chunk that became objects, and the indexes of those over the limit. */
  #lines: Line[] = []
  #tooLong: number[] = []
  /** Whether the lines that are being split are known to be UTF-8. */
  #isUtf8 = false
  /** The last 64 bytes of the complete lines. */
  #before = Buffer.alloc(0)
  /** The last 64 bytes of the open line. */
  #openTail = Buffer.alloc(0)

  constructor(options: LineSplitterOptions = {}) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#maxLineBytes = options.maxLineBytes ?? defaultMaxLineBytes
    this.#insideLine = options.insideLine ?? false
    this.#usual = options.usual
    this.#longLines = options.longLines
    const { longLines } = options
    this.#open = new OpenLine(longLines && (() => longLines.createFile(this.#destroying.signal)))
  }

  /** Offset of the first byte after the last complete line; `undefined` before the first chunk. */
  get nextOffset(): number | undefined {
    return this.#previous === undefined ? undefined : this.#lineStart
  }

  /** Whether all bytes so far belong to the dropped line: see `LineSplitterOptions.insideLine`. */
  get insideLine(): boolean {
    return this.#insideLine
  }

  /** The last bytes before `nextOffset`, at most 64; fewer if fewer were read. */
  get before(): Buffer {
    return this.#before
  }

  override _transform(chunk: Chunk, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#longLines !== undefined && this.#isLong(chunk.bytes)) {
      this.splitInTurn(chunk).then((block) => done(null, block), done)
      return
    }
    let block: LineBlock | undefined
    try {
      block = this.split(chunk)
    } catch (error) {
      done(error as Error)
      return
    }
    if (block === undefined) done()
    else done(null, block)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#split.destroy()
    this.#destroying.abort(destroyed)
    const discard = (): Promise<void> => this.#open.discard()
    this.#work.then(discard, discard).then(() => callback(error), callback)
  }

  /** As `split`, in memory that `LineSplitterOptions.longLines` bounds. */
  splitInTurn(chunk: Chunk): Promise<LineBlock | undefined> {
    const work = this.#splitInTurn(chunk)
    this.#work = work
    return work
  }

  async #splitInTurn(chunk: Chunk): Promise<LineBlock | undefined> {
    if (this.#longLines === undefined || !this.#isLong(chunk.bytes)) return this.split(chunk)
    if (!chunk.bytes.includes(newline)) {
      this.split(chunk)
      await this.#open.store(longLineBytes)
      return undefined
    }
    const release = await this.#longLines.takeTurn(this.#destroying.signal)
    try {
      const block = await this.#longLines.alone(async () => {
        await this.#open.load()
        return this.split(chunk)
      })
      if (block !== undefined && !this.destroyed) return { ...block, release }
      release()
      return undefined
    } catch (error) {
      release()
      throw error
    }
  }

  /** Whether the open line is long with the part of it in a chunk. Other lines of a chunk are shorter than a range. */
  #isLong(bytes: Buffer): boolean {
    if (this.#open.bytes + bytes.length <= longLineBytes) return false
    const first = bytes.indexOf(newline)
    return this.#open.bytes + (first < 0 ? bytes.length : first) > longLineBytes
  }

  /**
   * The lines that end in the next chunk, for a caller that is no stream; undefined when none does.
   *
   * @throws SPAN_GAP for a chunk that does not continue the one before it
   */
  split(chunk: Chunk): LineBlock | undefined {
    const block = this.#blockOf(chunk)
    chunk.release?.()
    return block
  }

  /** The block holds copies of the chunk's bytes alone. */
  #blockOf({ span, bytes }: Chunk): LineBlock | undefined {
    requireContinuation(this.#previous, span)
    if (this.#previous === undefined) this.#lineStart = span.start
    this.#previous = span

    const start = this.#lineStart
    const lastNewline = bytes.lastIndexOf(newline)
    this.#updateBefore(bytes, lastNewline)
    if (lastNewline < 0) {
      this.#hold(bytes)
      return undefined
    }
    const end = span.start + lastNewline + 1
    const utf8 = this.#splitLines(bytes, span.start, lastNewline + 1)
    if (this.#lineStart !== end) {
      throw new TailraceError(
        'SPAN_GAP',
        `The lines of a chunk end at byte ${this.#lineStart}, but its last newline at byte ${end}.`,
        { context: { expected: end, found: this.#lineStart } },
      )
    }
    this.#hold(bytes.subarray(lastNewline + 1))
    const lines = this.#lines
    const tooLong = this.#tooLong
    this.#lines = []
    this.#tooLong = []
    const usual = this.#usual?.finish()
    // With `insideLine` too, the span begins at the first byte read, so that it touches the committed offset.
    return { span: { blob: span.blob, generation: span.generation, start, end }, lines, usual, utf8, tooLong }
  }

  /** Keeps the last 64 bytes before `nextOffset`, so that a later reader can check that it resumes the same blob. */
  #updateBefore(bytes: Buffer, lastNewline: number): void {
    const end = lastNewline + 1
    const open = this.#openTail
    if (end > 0) {
      const complete = Buffer.concat([
        this.#before,
        open,
        bytes.subarray(Math.max(0, end - maxBeforeBytes), end),
      ])
      this.#before = Buffer.from(complete.subarray(-maxBeforeBytes))
    }
    const tail = end > 0 ? bytes.subarray(end) : Buffer.concat([open, bytes.subarray(-maxBeforeBytes)])
    this.#openTail = Buffer.from(tail.subarray(-maxBeforeBytes))
  }

  /**
   * Takes the lines that end before `end`, the first of which may have been held in part.
   *
   * @returns whether all of them are UTF-8
   */
  #splitLines(bytes: Buffer, start: number, end: number): boolean {
    let from = 0
    let utf8 = true
    const firstNewline = bytes.indexOf(newline)
    const room = this.#maxLineBytes + 1 - this.#open.bytes
    if (this.#open.bytes > 0 || firstNewline > room) {
      this.#hold(bytes.subarray(0, firstNewline))
      const first = this.#open.take()
      from = firstNewline + 1
      utf8 = isUtf8Text(first)
      this.#isUtf8 = utf8
      this.#take(first, start + from - this.#lineStart)
    }
    // The byte of a newline occurs in no other UTF-8 character, so complete lines can be validated together.
    this.#isUtf8 = isUtf8(bytes.subarray(from, end))
    utf8 &&= this.#isUtf8
    for (let next = from; next < end; from = next) {
      next = from + pieceBytes < end ? bytes.lastIndexOf(newline, from + pieceBytes) + 1 : end
      if (next <= from) next = bytes.indexOf(newline, from) + 1
      this.#split.write(bytes.toString('latin1', from, next), 'latin1')
    }
    return utf8
  }

  /** Holds the open line here: split2 would copy it again with every chunk. Of a long line, only the beginning is held. */
  #hold(bytes: Buffer): void {
    this.#open.hold(bytes.toString('latin1', 0, this.#maxLineBytes + 1 - this.#open.bytes))
  }

  /** Takes the next line. @param length its raw bytes, which `#hold` may have cut from the text */
  #take(text: string, length: number): void {
    const offset = this.#lineStart
    this.#lineStart += length
    if (this.#insideLine) {
      this.#insideLine = false
      return
    }
    if (length - 1 > this.#maxLineBytes) {
      this.#tooLong.push(this.#lines.length)
      this.#lines.push({ offset, length, latin1: text.slice(0, this.#maxLineBytes) })
      return
    }
    if (this.#usual?.take(text, offset, this.#isUtf8) === true) return
    this.#lines.push({ offset, length, latin1: text })
  }
}

/**
 * Requires that a chunk continues the one before it; otherwise every later line would get a wrong offset.
 *
 * @throws SPAN_GAP
 */
export function requireContinuation(previous: Span | undefined, next: Span): void {
  if (previous === undefined || touches(previous, next)) return
  throw new TailraceError(
    'SPAN_GAP',
    `A chunk of ${next.blob} begins at byte ${next.start}, but the one before it ended at byte ${previous.end}.`,
    { context: { expected: previous.end, found: next.start } },
  )
}
