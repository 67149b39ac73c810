import { setTimeout as delay } from 'node:timers/promises'
import type {
  BlobRead,
  BlobReader,
  ListedPage,
  ListRequest,
  ReadRequest,
} from '../../../src/sources/blob-reader.ts'

interface MemoryBlob {
  readonly content: Buffer
  readonly createdAt: string
  readonly modifiedAtMs: number
}

/** A container in memory. Each request takes a moment, so that lanes and listings interleave. */
export class MemoryContainer implements BlobReader {
  readonly container = 'logs'
  readonly reads: string[] = []
  listings = 0
  /** Names whose reads fail, and how. */
  readonly failing = new Map<string, Error>()
  #blobs = new Map<string, MemoryBlob>()
  #pageNames: number
  #nowMs = Date.UTC(2026, 10, 24, 8)

  /** @param pageNames names on a page of a listing */
  constructor(pageNames = 5_000) {
    this.#pageNames = pageNames
  }

  get names(): string[] {
    return [...this.#blobs.keys()].sort()
  }

  content(name: string): Buffer {
    return this.#blobs.get(name)?.content ?? Buffer.alloc(0)
  }

  /** Appends lines; a second passes. */
  append(name: string, lines: number, text = 'line'): void {
    const before = this.content(name)
    const added = Array.from({ length: lines }, (_, index) => `{"${text}":${index}}\n`).join('')
    this.#put(name, Buffer.concat([before, Buffer.from(added)]), this.#blobs.get(name)?.createdAt)
  }

  appendText(name: string, text: string | Buffer): void {
    this.#put(name, Buffer.concat([this.content(name), Buffer.from(text)]), this.#blobs.get(name)?.createdAt)
  }

  /** Other content, under another creation instant or under the same one. */
  replace(name: string, content: string, keepsInstant: boolean): void {
    this.#put(name, Buffer.from(content), keepsInstant ? this.#blobs.get(name)?.createdAt : undefined)
  }

  remove(name: string): void {
    this.#blobs.delete(name)
  }

  async read(name: string, { offset, maxBytes, ifNoneMatch, signal }: ReadRequest): Promise<BlobRead> {
    await delay(1)
    signal?.throwIfAborted()
    this.reads.push(name)
    const error = this.failing.get(name)
    if (error !== undefined) throw error
    const blob = this.#blobs.get(name)
    if (blob === undefined) return { kind: 'missing', what: 'blob' }
    const { content, createdAt, modifiedAtMs } = blob
    const etag = `"${modifiedAtMs}"`
    if (ifNoneMatch === etag) return { kind: 'unchanged' }
    if (offset >= content.length) return { kind: 'nothing-there' }
    const bytes = Buffer.from(content.subarray(offset, offset + maxBytes))
    return { kind: 'bytes', bytes, totalBytes: content.length, etag, createdAt, blobType: 'append' }
  }

  async listPage({ prefix, marker = '' }: ListRequest): Promise<ListedPage> {
    await delay(1)
    this.listings += 1
    const names = this.names.filter((name) => name.startsWith(prefix) && name > marker)
    const page = names.slice(0, this.#pageNames)
    return {
      blobs: page.map((name) => {
        const { content, createdAt, modifiedAtMs } = this.#blobs.get(name) as MemoryBlob
        return { name, bytes: content.length, createdAt, modifiedAtMs }
      }),
      folders: [],
      next: names.length > page.length ? page.at(-1) : undefined,
    }
  }

  #put(name: string, content: Buffer, createdAt: string | undefined): void {
    this.#nowMs += 1_000
    const now = new Date(this.#nowMs).toISOString().replace(/[-:]|\.\d+/g, '')
    this.#blobs.set(name, { content, createdAt: createdAt ?? now, modifiedAtMs: this.#nowMs })
  }
}
