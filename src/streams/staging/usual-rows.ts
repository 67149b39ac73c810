import { isUtf8 } from 'node:buffer'
import type { SpoolRows } from '../../records.ts'
import { longLineBytes } from '../records/long-line.ts'
import { usualLine } from '../records/usual-line.ts'
import { fieldSeparator, formNumbers, holdsRowSeparator } from './spool.ts'

/** Room for the lines of one chunk with their places; more is taken for short lines. */
const usualBytes = 320 * 1024

/** Larger memory, which only lines of a few bytes need, is not kept. */
const maxKeptBytes = 1024 * 1024

/** Kept memory: each of 16 lanes has a block or two under way. */
const maxKept = 32

const separator = fieldSeparator.charCodeAt(0)
const newline = 0x0a
const zero = 0x30
const billion = 1_000_000_000

/** Digits of a row's span index. They are zeros until the batcher knows the index. */
const spanIndexDigits = 8

/** Bytes of a row that are no text, at most: the digits of the span's index, an offset and a length, and separators. */
const maxPlaceBytes = spanIndexDigits + 17 + 9 + 16

interface RowMemory {
  bytes: Buffer
  starts: Uint32Array
}

/**
 * Memory for rows on their way from a splitter to the batcher. It is used again, because the garbage collector returns
 * large memory late, and new memory costs a page fault every 4 KiB.
 */
export class RowMemories {
  #kept: RowMemory[] = []

  take(): RowMemory {
    return (
      this.#kept.pop() ?? {
        bytes: Buffer.allocUnsafeSlow(usualBytes),
        starts: new Uint32Array(usualBytes / 128),
      }
    )
  }

  give(memory: RowMemory): void {
    if (this.#kept.length < maxKept && memory.bytes.length <= maxKeptBytes) this.#kept.push(memory)
  }
}

/**
 * Writes usual lines as rows of the spool, so that they never become an object each. A line is usual when it can only be
 * one JSON object, is UTF-8, is not long and has no character that a row cannot contain: nearly every line.
 */
export class UsualRows {
  #memories: RowMemories
  #writtenForm: RegExp | undefined
  #memory: RowMemory | undefined
  #filled = 0
  #count = 0
  #longestRowBytes = 0

  /** @param writtenForm recognizes the table's usual records: `Projection.writtenForm` */
  constructor(memories: RowMemories, writtenForm?: RegExp) {
    this.#memories = memories
    this.#writtenForm = writtenForm
  }

  /**
   * Writes the row of a line, if the line is usual.
   *
   * @param latin1 the line without its newline, one character per byte
   * @param utf8 whether the line is known to be UTF-8
   * @returns whether it was written
   */
  take(latin1: string, offset: number, utf8: boolean): boolean {
    if (latin1.length > longLineBytes) return false
    const form = usualLine(latin1, this.#writtenForm)
    if (form === undefined) return false
    // A record as its server writes it has no control characters.
    if (form !== 'written' && holdsRowSeparator(latin1)) return false
    if (!utf8 && !isUtf8(Buffer.from(latin1, 'latin1'))) return false
    const { bytes, starts } = this.#room(latin1.length + maxPlaceBytes)
    const start = this.#filled
    let at = start
    for (const end = at + spanIndexDigits; at < end; at += 1) bytes[at] = zero
    bytes[at++] = separator
    at = writeDigits(bytes, at, offset)
    bytes[at++] = separator
    at = writeDigits(bytes, at, latin1.length + 1)
    bytes[at++] = separator
    if (form !== 'nested') bytes[at++] = zero + formNumbers[form]
    // The fields between `form` and `raw` are empty.
    for (const end = at + 6; at < end; at += 1) bytes[at] = separator
    at += bytes.write(latin1, at, 'latin1')
    bytes[at++] = newline
    starts[this.#count] = start
    this.#count += 1
    this.#filled = at
    if (at - start > this.#longestRowBytes) this.#longestRowBytes = at - start
    return true
  }

  /** @returns the rows since the last call; undefined when there are none */
  finish(): SpoolRows | undefined {
    const memory = this.#memory
    if (memory === undefined) return undefined
    const rows: SpoolRows = {
      bytes: memory.bytes.subarray(0, this.#filled),
      starts: memory.starts.subarray(0, this.#count),
      longestRowBytes: this.#longestRowBytes,
      release: () => this.#memories.give(memory),
    }
    this.#memory = undefined
    this.#filled = 0
    this.#count = 0
    this.#longestRowBytes = 0
    return rows
  }

  #room(bytes: number): RowMemory {
    this.#memory ??= this.#memories.take()
    const memory = this.#memory
    const needed = this.#filled + bytes
    if (needed > memory.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * memory.bytes.length))
      memory.bytes.copy(larger, 0, 0, this.#filled)
      memory.bytes = larger
    }
    if (this.#count === memory.starts.length) {
      const larger = new Uint32Array(2 * this.#count)
      larger.set(memory.starts)
      memory.starts = larger
    }
    return memory
  }
}

/** Sets the span of rows that were written without one. */
export function setSpanIndex({ bytes, starts }: SpoolRows, index: number): void {
  for (let digit = spanIndexDigits - 1, rest = index; rest > 0; digit -= 1, rest = Math.trunc(rest / 10)) {
    const code = zero + (rest % 10)
    for (let row = 0; row < starts.length; row += 1) bytes[(starts[row] as number) + digit] = code
  }
}

/** Writes a whole number in decimal digits. @returns the position after them */
function writeDigits(bytes: Buffer, start: number, number: number): number {
  if (number >= billion) {
    const upper = Math.floor(number / billion)
    const lower = number - upper * billion
    return writeDigitsOf(bytes, writeDigits(bytes, start, upper), lower, 9)
  }
  let digits = 1
  for (let rest = number; rest >= 10; rest = (rest / 10) | 0) digits += 1
  return writeDigitsOf(bytes, start, number, digits)
}

function writeDigitsOf(bytes: Buffer, start: number, number: number, digits: number): number {
  let rest = number | 0
  for (let at = start + digits - 1; at >= start; at -= 1) {
    const quotient = (rest / 10) | 0
    bytes[at] = zero + rest - quotient * 10
    rest = quotient
  }
  return start + digits
}
