import type { BlobType } from '../../../src/sources/blob-reader.ts'

/** What was, or is, under a name from one creation to the next. */
export interface StoredGeneration {
  /** Milliseconds since the epoch, whole seconds. */
  readonly createdAtMs: number
  /** Everything it held when it ended, or holds now. */
  readonly content: Buffer
}

/** One generation of a blob: bytes that only grow. */
export class StoredBlob implements StoredGeneration {
  readonly type: BlobType
  readonly createdAtMs: number
  modifiedAtMs: number
  etag: string
  archived = false
  /** Appends so far. */
  blocks = 0
  #buffer: Buffer
  #bytes: number

  constructor(type: BlobType, content: Buffer, stamp: { createdAtMs: number; nowMs: number; etag: string }) {
    this.type = type
    this.createdAtMs = Math.floor(stamp.createdAtMs / 1000) * 1000
    this.modifiedAtMs = stamp.nowMs
    this.etag = stamp.etag
    this.#buffer = Buffer.from(content)
    this.#bytes = content.length
  }

  get bytes(): number {
    return this.#bytes
  }

  get content(): Buffer {
    return this.#buffer.subarray(0, this.#bytes)
  }

  append(more: Buffer): void {
    const bytes = this.#bytes + more.length
    if (bytes > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(bytes, 2 * this.#buffer.length))
      this.content.copy(larger)
      this.#buffer = larger
    }
    more.copy(this.#buffer, this.#bytes)
    this.#bytes = bytes
    this.blocks += 1
  }
}
