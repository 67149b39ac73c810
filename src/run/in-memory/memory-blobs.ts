import { instantOf } from '../../records.ts'
import type { BlobRead, BlobReader, ListedPage, ListRequest, ReadRequest } from '../../sources/blob-reader.ts'

interface MemoryBlob {
  readonly content: Buffer
  readonly createdAtMs: number
  readonly modifiedAtMs: number
}

/** The clock of the blobs: each change takes a second, so that no two have the same instant. */
const firstMs = Date.UTC(2026, 0, 1)

/** Append blobs of a container in memory, for tests without storage. */
export class MemoryBlobs implements BlobReader {
  readonly container: string
  readonly #blobs = new Map<string, MemoryBlob>()
  #nowMs = firstMs

  /** @param container the name that rows show in `source_blob`; default `logs` */
  constructor(container = 'logs') {
    this.container = container
  }

  /** Appends to a blob, which is created when it is missing. Only complete lines become rows. */
  append(name: string, content: string | Buffer): void {
    const blob = this.#blobs.get(name)
    this.#put(
      name,
      Buffer.concat([blob?.content ?? Buffer.alloc(0), Buffer.from(content)]),
      blob?.createdAtMs,
    )
  }

  /** Deletes a blob and creates it anew: its rows are those of another generation. */
  replace(name: string, content: string | Buffer): void {
    this.#put(name, Buffer.from(content), undefined)
  }

  async read(name: string, { offset, maxBytes, ifNoneMatch }: ReadRequest): Promise<BlobRead> {
    const blob = this.#blobs.get(name)
    if (blob === undefined) return { kind: 'missing', what: 'blob' }
    const etag = `"${blob.modifiedAtMs}"`
    if (ifNoneMatch === etag) return { kind: 'unchanged' }
    if (offset >= blob.content.length) return { kind: 'nothing-there' }
    return {
      kind: 'bytes',
      // A copy: stages may change the bytes they get.
      bytes: Buffer.from(blob.content.subarray(offset, offset + maxBytes)),
      totalBytes: blob.content.length,
      etag,
      createdAt: instantOf(new Date(blob.createdAtMs)),
      blobType: 'append',
    }
  }

  async listPage({
    prefix,
    marker = '',
    folders = false,
    pageNames = 5_000,
  }: ListRequest): Promise<ListedPage> {
    const names = [...this.#blobs.keys()].filter((name) => name.startsWith(prefix)).toSorted()
    // What a page lists for a name: itself, or the folder that it lies in.
    const shown = new Set(
      names.map((name) => {
        const end = folders ? name.indexOf('/', prefix.length) : -1
        return end === -1 ? name : name.slice(0, end + 1)
      }),
    )
    const left = [...shown].filter((name) => name > marker)
    const page = left.slice(0, pageNames)
    return {
      blobs: page.flatMap((name) => {
        const blob = this.#blobs.get(name)
        if (blob === undefined) return []
        const { content, createdAtMs, modifiedAtMs } = blob
        return { name, bytes: content.length, createdAt: instantOf(new Date(createdAtMs)), modifiedAtMs }
      }),
      folders: page.filter((name) => !this.#blobs.has(name)),
      next: left.length > page.length ? page.at(-1) : undefined,
    }
  }

  #put(name: string, content: Buffer, createdAtMs: number | undefined): void {
    this.#nowMs += 1_000
    this.#blobs.set(name, { content, createdAtMs: createdAtMs ?? this.#nowMs, modifiedAtMs: this.#nowMs })
  }
}
