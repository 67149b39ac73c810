import { crc32, createInflateRaw, type InflateRaw } from 'node:zlib'
import { TailraceError } from '../../errors.ts'
import type { BlobGeneration } from '../../records.ts'

const trailerBytes = 8
// What the inflater hands out at a time: large enough for whole blocks of lines, and every member has one of them.
const outputBytes = 64 * 1024

/**
 * One member of a gzip file (RFC 1952), taken in pieces that may be cut anywhere.
 *
 * node:zlib's Gunzip joins members without saying where one ends, so the header and the trailer are read here and
 * only the data between them is zlib's. The checksum and the length are verified.
 */
export class GzipMember {
  /** Offset of the member's first byte in its blob. */
  readonly start: number
  #source: BlobGeneration
  #phase: 'header' | 'data' | 'trailer' | 'complete' = 'header'
  /** The bytes of a header or trailer that is not complete. */
  #held = Buffer.alloc(0)
  #takenBytes = 0
  #inflate: InflateRaw | undefined
  #failure: Error | undefined
  #wake: (() => void) | undefined
  #crc = 0
  #dataBytes = 0

  constructor(source: BlobGeneration, start: number) {
    this.#source = source
    this.start = start
  }

  /** Whether its last byte has been taken. */
  get isComplete(): boolean {
    return this.#phase === 'complete'
  }

  /** Offset behind the last byte taken. */
  get end(): number {
    return this.start + this.#takenBytes
  }

  /**
   * Takes as much of `bytes` as belongs to the member and hands out what it holds.
   *
   * @throws SOURCE_UNSUPPORTED when it is damaged
   */
  async *take(bytes: Buffer): AsyncGenerator<Buffer> {
    let rest = bytes
    if (this.#phase === 'header') rest = this.#takeHeader(rest)
    if (this.#phase === 'data' && rest.length > 0) {
      const before = this.#takenBytes
      yield* this.#inflated(rest)
      rest = rest.subarray(this.#takenBytes - before)
    }
    if (this.#phase === 'trailer' && rest.length > 0) this.#takeTrailer(rest)
  }

  /** Lets go of the inflater's memory. */
  close(): void {
    this.#inflate?.destroy()
  }

  /** @returns what lies behind the header */
  #takeHeader(bytes: Buffer): Buffer {
    const heldBefore = this.#held.length
    this.#held = Buffer.concat([this.#held, bytes])
    let headerBytes: number | undefined
    try {
      headerBytes = gzipHeaderBytes(this.#held)
    } catch (error) {
      throw this.#damaged(error instanceof Error ? error.message : String(error), this.start, error)
    }
    if (headerBytes === undefined) {
      this.#takenBytes = this.#held.length
      return Buffer.alloc(0)
    }
    this.#takenBytes = headerBytes
    this.#held = Buffer.alloc(0)
    this.#phase = 'data'
    return bytes.subarray(headerBytes - heldBefore)
  }

  async *#inflated(bytes: Buffer): AsyncGenerator<Buffer> {
    this.#inflate ??= this.#createInflate()
    const inflate = this.#inflate
    const before = inflate.bytesWritten
    let written = false
    inflate.write(bytes, () => {
      written = true
      this.#wake?.()
    })
    for (;;) {
      const output = inflate.read() as Buffer | null
      if (output !== null) {
        this.#crc = crc32(output, this.#crc)
        this.#dataBytes += output.length
        yield output
        continue
      }
      if (this.#failure !== undefined) {
        const at = this.end + inflate.bytesWritten - before
        throw this.#damaged('the compressed data is corrupt', at, this.#failure)
      }
      if (written || inflate.readableEnded || inflate.destroyed) break
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    // The stage was destroyed meanwhile.
    if (inflate.destroyed) return
    const usedBytes = inflate.bytesWritten - before
    this.#takenBytes += usedBytes
    // What zlib leaves lies behind the data: when that ends with these bytes, the next ones show it, for a trailer follows.
    if (usedBytes === bytes.length) return
    inflate.destroy()
    this.#phase = 'trailer'
  }

  #takeTrailer(bytes: Buffer): void {
    const missing = trailerBytes - this.#held.length
    this.#held = Buffer.concat([this.#held, bytes.subarray(0, missing)])
    this.#takenBytes += Math.min(missing, bytes.length)
    if (this.#held.length < trailerBytes) return
    const at = this.end - trailerBytes
    if (this.#held.readUInt32LE(0) !== this.#crc) throw this.#damaged('the checksum does not match', at)
    if (this.#held.readUInt32LE(4) !== this.#dataBytes % 2 ** 32)
      throw this.#damaged('the length does not match', at)
    this.#phase = 'complete'
  }

  #createInflate(): InflateRaw {
    const inflate = createInflateRaw({ chunkSize: outputBytes })
    const wake = (): void => this.#wake?.()
    inflate.on('readable', wake).on('end', wake).on('close', wake)
    inflate.on('error', (error) => {
      this.#failure = error
      wake()
    })
    return inflate
  }

  #damaged(what: string, at: number, cause?: unknown): TailraceError {
    return new TailraceError(
      'SOURCE_UNSUPPORTED',
      `${this.#source.blob} cannot be decompressed: the gzip member that starts at byte ${this.start} is damaged at byte ${at} (${what}). Write its data to a blob of another name, and leave this one out.`,
      { context: { blob: this.#source.blob, memberStart: this.start, offset: at }, cause },
    )
  }
}

const fixedBytes = 10
/** A header longer than this is no producer's: names and comments have no limit of their own. */
const maxHeaderBytes = 256 * 1024

const deflate = 8
const flags = { headerCrc: 0x02, extra: 0x04, name: 0x08, comment: 0x10, reserved: 0xe0 } as const

/**
 * Measures the header at the start of a gzip member, by RFC 1952, section 2.3.
 *
 * @returns the header's length in bytes, or `undefined` when more bytes are needed to tell
 * @throws Error that says what is wrong with it
 */
export function gzipHeaderBytes(bytes: Buffer): number | undefined {
  const end = headerEnd(bytes)
  if (end === undefined && bytes.length > maxHeaderBytes) throw new Error('its header does not end')
  return end
}

function headerEnd(bytes: Buffer): number | undefined {
  if ((bytes[0] ?? 0x1f) !== 0x1f || (bytes[1] ?? 0x8b) !== 0x8b) throw new Error('it does not begin as gzip')
  if ((bytes[2] ?? deflate) !== deflate) throw new Error('its compression method is unknown')
  if (bytes.length < fixedBytes) return undefined
  const set = bytes[3] as number
  if ((set & flags.reserved) !== 0) throw new Error('its header has unknown flags')

  let at = fixedBytes
  if ((set & flags.extra) !== 0) {
    if (bytes.length < at + 2) return undefined
    at += 2 + bytes.readUInt16LE(at)
    if (bytes.length < at) return undefined
  }
  for (const text of [flags.name, flags.comment]) {
    if ((set & text) === 0) continue
    const zero = bytes.indexOf(0, at)
    if (zero < 0) return undefined
    at = zero + 1
  }
  if ((set & flags.headerCrc) === 0) return at
  if (bytes.length < at + 2) return undefined
  if (bytes.readUInt16LE(at) !== (crc32(bytes.subarray(0, at)) & 0xffff))
    throw new Error("its header's checksum does not match")
  return at + 2
}
