import { TailraceError } from '../../src/errors.ts'
import type { BlobRead, BlobReader, ListedPage, ReadRequest } from '../../src/sources/blob-reader.ts'

/** What a scripted blob does at one read instead of answering in full. */
export type Fault =
  | { readonly kind: 'error'; readonly error: Error }
  /** Only so many bytes of the answer arrive. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** Something else altogether. */
  | { readonly kind: 'answer'; readonly read: BlobRead }

/**
 * One append blob that does what the test tells it, and answers as strictly as the service: 304 only for the
 * current ETag, nothing behind the end, and every request must be one that the service would take.
 */
export class ScriptedReader implements BlobReader {
  readonly container = 'logs'
  readonly requests: ReadRequest[] = []
  /** Faults of the next reads, in order; undefined for an ordinary answer. */
  readonly faults: (Fault | undefined)[] = []
  #content: Buffer | undefined
  #generation = '20261124T084700Z'
  #version = 0

  constructor(content?: Buffer | string) {
    if (content !== undefined) this.#content = Buffer.from(content)
  }

  get content(): Buffer {
    return this.#content ?? Buffer.alloc(0)
  }

  append(bytes: Buffer | string): void {
    this.#content = Buffer.concat([this.content, Buffer.from(bytes)])
    this.#version += 1
  }

  /** Changes the ETag and nothing else. */
  touch(): void {
    this.#version += 1
  }

  remove(): void {
    this.#content = undefined
  }

  cutTo(bytes: number): void {
    this.#content = this.content.subarray(0, bytes)
    this.#version += 1
  }

  /** Other content under the same creation instant. */
  overwrite(content: Buffer | string): void {
    this.#content = Buffer.from(content)
    this.#version += 1
  }

  recreate(content: Buffer | string): void {
    this.#content = Buffer.from(content)
    this.#generation = '20261124T090000Z'
    this.#version += 1
  }

  async read(_blobName: string, request: ReadRequest): Promise<BlobRead> {
    request.signal?.throwIfAborted()
    if (!Number.isSafeInteger(request.offset) || request.offset < 0) throw new Error('bad offset')
    if (!Number.isSafeInteger(request.maxBytes) || request.maxBytes < 1) throw new Error('bad length')
    this.requests.push(request)
    if (this.requests.length > 50_000) throw new Error('The test reads without end.')
    const fault = this.faults.shift()
    await new Promise((resolve) => setImmediate(resolve))
    request.signal?.throwIfAborted()
    if (fault?.kind === 'error') throw fault.error
    if (fault?.kind === 'answer') return fault.read
    if (this.#content === undefined) return { kind: 'missing', what: 'blob' }
    const etag = `"${this.#generation}-${this.#version}"`
    if (request.ifNoneMatch === etag) return { kind: 'unchanged' }
    if (request.offset >= this.#content.length) return { kind: 'nothing-there' }
    const whole = this.#content.subarray(request.offset, request.offset + request.maxBytes)
    const bytes = fault?.kind === 'short' ? whole.subarray(0, Math.max(1, fault.bytes)) : whole
    return {
      kind: 'bytes',
      bytes,
      totalBytes: this.#content.length,
      etag,
      createdAt: this.#generation,
      blobType: 'append',
    }
  }

  async listPage(): Promise<ListedPage> {
    return { blobs: [], folders: [], next: undefined }
  }
}

/** A failure that the tailer has to wait out. */
export function unavailable(): Fault {
  return { kind: 'error', error: new TailraceError('SOURCE_UNAVAILABLE', 'scripted') }
}
