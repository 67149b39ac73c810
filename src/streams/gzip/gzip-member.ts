import { crc32, createInflateRaw, type InflateRaw } from 'node:zlib'
import { TailraceError } from '../../errors.ts'
import type { BlobGeneration } from '../../records.ts'

const trailerBytes = 8
// Size of a decompressed piece: large enough for a block of lines, small enough that each member allocates one.
const outputBytes = 64 * 1024

/**
 * Decompresses one member of a gzip file (RFC 1952), given in pieces of any size.
 *
 * node:zlib's Gunzip joins members and does not report where one ends. So zlib gets only the deflated data; the header
 * and the trailer are read here, and the checksum and the length are verified.
 */
export class GzipMember {
  /** Offset of the member's first byte in its blob. */
  readonly start: number
  #source: BlobGeneration
  #phase: 'header' | 'data' | 'trailer' | 'complete' = 'header'
  /** The bytes so far of an incomplete header or trailer. */
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

  /** Offset after the last byte taken. */
  get end(): number {
    return this.start + this.#takenBytes
  }

  /**
   * Takes the bytes of the member from the start of `bytes`, and yields the decompressed data.
   *
   * @throws SOURCE_UNSUPPORTED when the member is damaged
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

  /** Releases the memory of zlib. */
  close(): void {
    this.#inflate?.destroy()
  }

  /** @returns the bytes after the header */
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
    // The stage was destroyed during the wait.
    if (inflate.destroyed) return
    const usedBytes = inflate.bytesWritten - before
    this.#takenBytes += usedBytes
    // Bytes that zlib does not consume belong to the trailer. If the data ends exactly here, the next bytes show it.
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

  #damaged(reason: string, at: number, cause?: unknown): TailraceError {
    return new TailraceError(
      'SOURCE_UNSUPPORTED',
      `${this.#source.blob} cannot be decompressed: the gzip member that starts at byte ${this.start} is damaged at byte ${at} (${reason}). Write its data to a blob of another name, and exclude this one.`,
      { context: { blob: this.#source.blob, memberStart: this.start, offset: at }, cause },
    )
  }
}

const fixedBytes = 10
/** Limit of a header: the format has none for names and comments, and no known producer comes near this size. */
const maxHeaderBytes = 256 * 1024

const deflate = 8
const flags = { headerCrc: 0x02, extra: 0x04, name: 0x08, comment: 0x10, reserved: 0xe0 } as const

/**
 * Measures the header at the start of a gzip member, by RFC 1952, section 2.3.
 *
 * @returns the header's length in bytes; `undefined` when the bytes end inside the header
 * @throws Error with the fault as its message
 */
function gzipHeaderBytes(bytes: Buffer): number | undefined {
  const end = headerEnd(bytes)
  if (end === undefined && bytes.length > maxHeaderBytes)
    throw new Error(`its header is longer than ${maxHeaderBytes} bytes`)
  return end
}

function headerEnd(bytes: Buffer): number | undefined {
  if ((bytes[0] ?? 0x1f) !== 0x1f || (bytes[1] ?? 0x8b) !== 0x8b)
    throw new Error('it does not begin with the bytes 1f 8b')
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
