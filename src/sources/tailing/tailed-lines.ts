import { type JsonValue, parseJson } from '../../json.ts'
import type { Chunk } from '../../records.ts'

/** One line as `AppendBlobTailer.readNext` returns it. */
export interface TailedRecord {
  /** Offset of the line's first byte. */
  readonly offset: number
  /** Bytes, the newline included. */
  readonly length: number
  /** The line; of one that is longer than the limit, its first bytes. */
  readonly text: string
  /** The parsed line; `undefined` when it is not well-formed JSON, or longer than the limit. */
  readonly value: JsonValue | undefined
}

const newline = 0x0a
const byteOrderMark = '\ufeff'

/** Collects chunks into the complete lines they hold. */
export class TailedLines {
  #maxLineBytes: number
  /** The line that has no newline yet: where it begins, how long it is so far, and its first bytes. */
  #open: { readonly start: number; readonly length: number; readonly parts: readonly Buffer[] } | undefined

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes
  }

  /** Where the line begins that has no newline yet, if there is one. */
  get openLineOffset(): number | undefined {
    return this.#open?.start
  }

  /** @returns the lines that end in the chunk; blank ones are left out */
  take({ span, bytes }: Chunk): TailedRecord[] {
    const records: TailedRecord[] = []
    for (let from = 0; from < bytes.length; ) {
      const end = bytes.indexOf(newline, from) + 1
      this.#extend(span.start + from, bytes.subarray(from, end === 0 ? bytes.length : end))
      if (end === 0) break
      const record = this.#close()
      if (record !== undefined) records.push(record)
      from = end
    }
    return records
  }

  #extend(offset: number, bytes: Buffer): void {
    const { start, length, parts } = this.#open ?? { start: offset, length: 0, parts: [] }
    const room = Math.max(0, this.#maxLineBytes - length)
    this.#open = {
      start,
      length: length + bytes.length,
      // A copy: a part would keep the whole chunk in memory.
      parts: room === 0 ? parts : [...parts, Buffer.from(bytes.subarray(0, room))],
    }
  }

  #close(): TailedRecord | undefined {
    const { start: offset, length, parts } = this.#open ?? { start: 0, length: 0, parts: [] }
    this.#open = undefined
    const decoded = Buffer.concat(parts).toString('utf8')
    const text = (offset === 0 && decoded.startsWith(byteOrderMark) ? decoded.slice(1) : decoded).replace(
      /\r?\n$/,
      '',
    )
    if (text.trim() === '') return undefined
    return { offset, length, text, value: length > this.#maxLineBytes ? undefined : parsed(text) }
  }
}

function parsed(text: string): JsonValue | undefined {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}
