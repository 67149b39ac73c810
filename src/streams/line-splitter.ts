import { isUtf8 } from 'node:buffer'
import { Transform, type TransformCallback } from 'node:stream'
import split2 from 'split2'
import { TailraceError } from '../errors.ts'
import { type Chunk, type Line, type LineBlock, type Span, touches } from '../records.ts'

export interface LineSplitterOptions {
  /** Longer lines are truncated and listed in `tooLong`. Bytes, the newline excluded. Default 16 MiB. */
  readonly maxLineBytes?: number | undefined
  /**
   * The first chunk begins inside a line. The rest of that line is dropped; the first block's span still covers it.
   * Default false.
   */
  readonly insideLine?: boolean | undefined
}

/** Size of `before`: enough to recognize the blob by when reading resumes at `nextOffset`. */
const maxBeforeBytes = 64

/** The default of `maxLineBytes`. */
export const defaultMaxLineBytes = 16 * 1024 * 1024

const newline = 0x0a

/**
 * Splits the chunks of one blob into blocks of complete lines, each line with its exact offset and length.
 *
 * split2 counts characters, and offsets count bytes. In latin1 text, with one character per byte, the two are equal.
 * split2 gets complete lines only and is never ended: at its end it would emit the unterminated last line, whose rest may
 * still be appended. A line over the limit is truncated, so memory does not grow with its length.
 */
export class LineSplitter extends Transform {
  #maxLineBytes: number
  #found: string[] = []
  #split = split2('\n', (line: string) => void this.#found.push(line), { decodeStrings: false })
  #previous: Span | undefined
  /** Offset of the open line's first byte. The open line is the one whose newline has not been read. */
  #lineStart = 0
  /** The open line, in pieces; of a line over the limit, one byte more than the limit. */
  #held: string[] = []
  #heldBytes = 0
  #insideLine: boolean
  /** The last 64 bytes of the complete lines. */
  #before = Buffer.alloc(0)
  /** The last 64 bytes of the open line. */
  #openTail = Buffer.alloc(0)

  constructor(options: LineSplitterOptions = {}) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#maxLineBytes = options.maxLineBytes ?? defaultMaxLineBytes
    this.#insideLine = options.insideLine ?? false
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
    callback(error)
  }

  /**
   * The lines that end in the next chunk, for a caller that is no stream; undefined when none does.
   *
   * @throws SPAN_GAP for a chunk that does not continue the one before it
   */
  split(chunk: Chunk): LineBlock | undefined {
    const { span, bytes } = chunk
    requireContinuation(this.#previous, span)
    if (this.#previous === undefined) this.#lineStart = span.start
    this.#previous = span

    const start = this.#lineStart
    const lastNewline = bytes.lastIndexOf(newline)
    this.#feed(bytes)
    this.#updateBefore(bytes, lastNewline)
    if (lastNewline < 0) return undefined

    const end = span.start + lastNewline + 1
    const firstEnd = bytes.indexOf(newline) + 1
    const placed = this.#place(start, end, span.start + firstEnd)
    this.#lineStart = end
    // The byte of a newline occurs in no other UTF-8 character, so complete lines can be validated together.
    const utf8 =
      isUtf8(bytes.subarray(firstEnd, lastNewline + 1)) &&
      isUtf8(Buffer.from(placed.lines[0]?.latin1 ?? '', 'latin1'))
    const { lines, tooLong } = this.#insideLine ? withoutFirst(placed) : placed
    this.#insideLine = false
    // With `insideLine` too, the span begins at the first byte read, so that it touches the committed offset.
    return { span: { blob: span.blob, generation: span.generation, start, end }, lines, utf8, tooLong }
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
   * Writes the complete lines to split2 and holds the open line here: split2 would copy it again with every chunk. Of a
   * line over the limit, only the first bytes are held.
   */
  #feed(bytes: Buffer): void {
    const firstNewline = bytes.indexOf(newline)
    const room = this.#maxLineBytes + 1 - this.#heldBytes
    if (firstNewline < 0) {
      this.#hold(bytes.toString('latin1', 0, Math.min(bytes.length, room)))
      return
    }
    const lastNewline = bytes.lastIndexOf(newline)
    if (firstNewline <= room && this.#held.length === 0) {
      this.#split.write(bytes.toString('latin1', 0, lastNewline + 1), 'latin1')
    } else {
      this.#hold(bytes.toString('latin1', 0, Math.min(firstNewline, room)))
      const first = this.#held.join('')
      this.#held = []
      this.#found.push(first)
      if (lastNewline > firstNewline)
        this.#split.write(bytes.toString('latin1', firstNewline + 1, lastNewline + 1), 'latin1')
    }
    this.#heldBytes = 0
    this.#hold(
      bytes.toString('latin1', lastNewline + 1, Math.min(bytes.length, lastNewline + 2 + this.#maxLineBytes)),
    )
  }

  #hold(text: string): void {
    if (text === '') return
    this.#held.push(text)
    this.#heldBytes += text.length
  }

  /** Gives each line its offset and length. Only the first line can have been truncated by `#hold`. */
  #place(start: number, end: number, firstEnd: number): { lines: Line[]; tooLong: number[] } {
    const texts = this.#found
    this.#found = []
    const lines: Line[] = []
    const tooLong: number[] = []
    let offset = start
    for (let index = 0; index < texts.length; index += 1) {
      const text = texts[index] as string
      const length = index === 0 ? firstEnd - start : text.length + 1
      if (length - 1 > this.#maxLineBytes) tooLong.push(index)
      lines.push({
        offset,
        length,
        latin1: text.length > this.#maxLineBytes ? text.slice(0, this.#maxLineBytes) : text,
      })
      offset += length
    }
    if (offset !== end) {
      throw new TailraceError(
        'SPAN_GAP',
        `The lines of a chunk end at byte ${offset}, but its last newline at byte ${end}.`,
        {
          context: { expected: end, found: offset },
        },
      )
    }
    return { lines, tooLong }
  }
}

function withoutFirst({ lines, tooLong }: { lines: Line[]; tooLong: number[] }): {
  lines: Line[]
  tooLong: number[]
} {
  return {
    lines: lines.slice(1),
    tooLong: tooLong.filter((index) => index > 0).map((index) => index - 1),
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
