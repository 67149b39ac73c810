import type { BlobGeneration, Chunk } from '../../records.ts'
import type { BlobRead } from '../blob-reader.ts'
import { overlapBytes } from '../recognition/fingerprint.ts'

export type BytesRead = BlobRead & { readonly kind: 'bytes' }

// Small, so that strings made of a chunk stay cheap; large, so that a stream's cost per object does not count.
const chunkBytes = 256 * 1024

export interface ReadPositionOptions {
  /** `<container>/<blob name>` */
  readonly blob: string
  /** Default: the creation instant of the first answer. */
  readonly generation: string | undefined
  /** First byte to read. */
  readonly offset: number
  /** The blob's creation instant. Default: that of the first answer. */
  readonly createdAt: string | undefined
  /** The last bytes before `offset`, 64 at most, as they were read before. */
  readonly before: Buffer | undefined
  /** The blob's first bytes, as they were read before. */
  readonly head: Buffer | undefined
}

/** How far one generation of a blob was read, and what an answer is checked against to belong to that generation. */
export class ReadPosition {
  #blob: string
  #generation: string | undefined
  #offset: number
  #createdAt: string | undefined
  #before: Buffer
  #head: Buffer

  constructor({ blob, generation, offset, createdAt, before, head }: ReadPositionOptions) {
    this.#blob = blob
    this.#generation = generation
    this.#offset = offset
    this.#createdAt = createdAt
    this.#before = before ?? Buffer.alloc(0)
    this.#head = head ?? Buffer.alloc(0)
  }

  /** The first byte not yet read. */
  get offset(): number {
    return this.#offset
  }

  /** The last bytes before `offset`, 64 at most. */
  get before(): Buffer {
    return this.#before
  }

  /** Undefined before the first answer, unless it was given. */
  get createdAt(): string | undefined {
    return this.#createdAt
  }

  /**
   * Whether an answer is of this generation: same instant, no shorter than what was read, and the same bytes as far as
   * they are known. Neither the ETag nor the date of the last change can show it, because an append changes both.
   *
   * @param overlap bytes of the answer before `offset`
   */
  matches(read: BytesRead, overlap: number): boolean {
    const isSameInstant = this.#createdAt === undefined || read.createdAt === this.#createdAt
    const hasLength = read.totalBytes >= Math.max(this.#offset, this.#head.length)
    return (
      isSameInstant && hasLength && this.#continues(read.bytes, overlap) && this.#agrees(read.bytes, overlap)
    )
  }

  /**
   * Takes the new bytes of an answer that matches.
   *
   * @param endOffset bytes from here on are left out
   */
  take(read: BytesRead, overlap: number, endOffset: number): Chunk[] {
    const start = this.#offset
    const bytes = read.bytes.subarray(overlap, Math.max(overlap, overlap + endOffset - start))
    this.#createdAt ??= read.createdAt
    this.#generation ??= read.createdAt
    this.#offset += bytes.length
    this.#before = lastBytes(this.#before, bytes)
    return chunksOf(bytes, start, { blob: this.#blob, generation: this.#generation }, read.release)
  }

  /**
   * Decides about a blob for which storage answered that it ends before `offset`. Only the head distinguishes a replaced
   * blob from a wrong answer.
   */
  judgeShorter(head: BlobRead): 'missing' | 'replaced' | 'unchanged' {
    if (head.kind === 'missing') return 'missing'
    const isUnchanged =
      head.kind === 'bytes' && head.createdAt === this.#createdAt && head.totalBytes >= this.#offset
    return isUnchanged ? 'unchanged' : 'replaced'
  }

  /** Whether an answer begins with the bytes that were read last. */
  #continues(answer: Buffer, overlap: number): boolean {
    const known = this.#before.subarray(Math.max(0, this.#before.length - overlap))
    const found = answer.subarray(overlap - known.length, overlap)
    return known.subarray(0, found.length).equals(found)
  }

  /** Whether an answer agrees with the known head, as far as the two overlap. */
  #agrees(answer: Buffer, overlap: number): boolean {
    const start = this.#offset - overlap
    const known = this.#head.subarray(start, start + answer.length)
    return known.equals(answer.subarray(0, known.length))
  }
}

/** The last bytes read, copied: a view would keep the whole range in memory. */
function lastBytes(before: Buffer, bytes: Buffer): Buffer {
  if (bytes.length >= overlapBytes) return Buffer.from(bytes.subarray(-overlapBytes))
  return Buffer.concat([before, bytes]).subarray(-overlapBytes)
}

/** @param release called once all chunks are released */
function chunksOf(
  bytes: Buffer,
  start: number,
  source: BlobGeneration,
  release: (() => void) | undefined,
): Chunk[] {
  const chunks: Chunk[] = []
  if (bytes.length === 0) release?.()
  let used = Math.ceil(bytes.length / chunkBytes)
  const releaseOne = (): void => {
    used -= 1
    if (used === 0) release?.()
  }
  for (let from = 0; from < bytes.length; from += chunkBytes) {
    const part = bytes.subarray(from, from + chunkBytes)
    chunks.push({
      span: { ...source, start: start + from, end: start + from + part.length },
      bytes: part,
      release: releaseOne,
    })
  }
  return chunks
}
