import { isUtf8 } from 'node:buffer'
import { Transform, type TransformCallback } from 'node:stream'
import split2 from 'split2'
import { TailraceError } from '../errors.ts'
import { type Chunk, type Line, type LineBlock, type Span, touches } from '../records.ts'

export interface LineSplitterOptions {
  /** Longer lines are cut short and marked. Bytes, the newline excluded. Default 16 MiB. */
  readonly maxLineBytes?: number
  /**
   * The first byte lies inside a line whose beginning is not wanted: the rest of it becomes no line, but it is
   * accounted for by the first block's span. Default false.
   */
  readonly insideLine?: boolean
}

/** Bytes before `nextOffset` that are kept, to recognize the blob by when reading goes on there. */
const keptBytes = 64

const newline = 0x0a

/**
 * Chunks of one blob to blocks of its complete lines, each line with its exact span.
 *
 * split2 counts characters and offsets count bytes; fed with latin1 text, one character per byte, both are the
 * same. It is given complete lines only and never ended, because it would hand out the unterminated last line, which is
 * no line yet. Of a line over the limit only a prefix is kept, so memory does not grow with the line.
 */
export class LineSplitter extends Transform {
  #maxLineBytes: number
  #found: string[] = []
  #split = split2('\n', (line: string) => void this.#found.push(line), { decodeStrings: false })
  #previous: Span | undefined
  /** Offset of the first byte of the line that is still open. */
  #lineStart = 0
  /** The open line, in pieces. */
  #held: string[] = []
  #heldBytes = 0
  #insideLine: boolean
  /** The last bytes of the complete lines. */
  #before = Buffer.alloc(0)
  /** The last bytes of the line that is still open. */
  #openTail = Buffer.alloc(0)

  constructor(options: LineSplitterOptions = {}) {
    super({ objectMode: true, readableHighWaterMark: 1, writableHighWaterMark: 1 })
    this.#maxLineBytes = options.maxLineBytes ?? 16 * 1024 * 1024
    this.#insideLine = options.insideLine ?? false
  }

  /** Offset of the first byte that is in no complete line yet; `undefined` before the first chunk. */
  get nextOffset(): number | undefined {
    return this.#previous === undefined ? undefined : this.#lineStart
  }

  /** Whether no line start has been found yet. */
  get insideLine(): boolean {
    return this.#insideLine
  }

  /** Up to 64 bytes that end at `nextOffset`, as far as they passed here. */
  get before(): Buffer {
    return this.#before
  }

  override _transform(chunk: Chunk, _encoding: BufferEncoding, done: TransformCallback): void {
    let block: LineBlock | undefined
    try {
      block = this.#linesOf(chunk)
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

  #linesOf(chunk: Chunk): LineBlock | undefined {
    const { span, bytes } = chunk
    if (this.#previous === undefined) this.#lineStart = span.start
    else if (!touches(this.#previous, span)) {
      throw new TailraceError('SPAN_GAP', `A chunk of ${span.blob} does not continue the one before it.`, {
        context: { expected: this.#previous.end, found: span.start },
      })
    }
    this.#previous = span

    const start = this.#lineStart
    const lastNewline = bytes.lastIndexOf(newline)
    this.#feed(bytes)
    this.#keep(bytes, lastNewline)
    if (lastNewline < 0) return undefined

    const end = span.start + lastNewline + 1
    const firstEnd = bytes.indexOf(newline) + 1
    const placed = this.#place(start, end, span.start + firstEnd)
    this.#lineStart = end
    // A newline is never part of a longer character, so whole lines can be checked together.
    const utf8 =
      isUtf8(bytes.subarray(firstEnd, lastNewline + 1)) &&
      isUtf8(Buffer.from(placed.lines[0]?.latin1 ?? '', 'latin1'))
    const { lines, tooLong } = this.#insideLine ? withoutFirst(placed) : placed
    this.#insideLine = false
    // The span begins where it was asked to: what is committed there goes on without a gap.
    return { span: { blob: span.blob, generation: span.generation, start, end }, lines, utf8, tooLong }
  }

  /** Keeps the bytes before the open line's start, and of the open line what may come to lie before the next one. */
  #keep(bytes: Buffer, lastNewline: number): void {
    const end = lastNewline + 1
    const open = this.#openTail
    if (end > 0) {
      const complete = Buffer.concat([this.#before, open, bytes.subarray(Math.max(0, end - keptBytes), end)])
      this.#before = Buffer.from(complete.subarray(-keptBytes))
    }
    const tail = end > 0 ? bytes.subarray(end) : Buffer.concat([open, bytes.subarray(-keptBytes)])
    this.#openTail = Buffer.from(tail.subarray(-keptBytes))
  }

  /**
   * Gives split2 what completes a line, and keeps the rest, of a line over the limit only a prefix. split2 would copy an
   * open line anew with every chunk.
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

  /** Gives each line its place. Only the first can have been cut before split2 saw it. */
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
      throw new TailraceError('SPAN_GAP', 'The lines of a chunk do not add up to its bytes.', {
        context: { expected: end, found: offset },
      })
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
