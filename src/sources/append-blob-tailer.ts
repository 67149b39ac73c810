import { Readable } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'
import { TailraceError } from '../errors.ts'
import { type JsonValue, parseJson } from '../json.ts'
import { type Logger, silentLogger } from '../logger.ts'
import type { Chunk } from '../records.ts'
import { type RetryPolicy, retry } from '../retry.ts'
import { retryLog } from '../retry-log.ts'
import type { BlobRead, BlobReader, ReadRequest } from './blob-reader.ts'

export interface AppendBlobTailerOptions {
  readonly reader: BlobReader
  /** Name within the reader's container. */
  readonly blobName: string
  /** First byte to read. Default 0. */
  readonly offset?: number
  /** The generation `offset` belongs to. Default: the one found at the first read. */
  readonly generation?: string
  /** Skip to the first line start at or after `offset`, for an offset that may lie inside a line. Default false. */
  readonly alignToLine?: boolean
  /** Wait for appends at the blob's end; otherwise end where the blob ended at the first read. Default true. */
  readonly follow?: boolean
  /** Stop before this offset, in any mode. */
  readonly endOffset?: number
  /** Pause between polls at the blob's end, in milliseconds. Default 5,000. */
  readonly pollMs?: number
  /** Bytes of one range request. Default 2 MiB. */
  readonly rangeBytes?: number
  readonly retry?: Partial<RetryPolicy>
  readonly clock?: Clock
  readonly logger?: Logger
}

/** Why a tailer ended. */
export type TailEnd = 'stopped' | 'end' | 'missing' | 'recreated' | 'shrank'

/** One line as `readNext` returns it. */
export interface TailedRecord {
  /** Offset of the line's first byte. */
  readonly offset: number
  /** Bytes, the newline included. */
  readonly length: number
  readonly text: string
  /** The parsed line; `undefined` when it is not well-formed JSON. */
  readonly value: JsonValue | undefined
}

// Small enough that the strings made of a chunk stay cheap, large enough that a stream's cost per object vanishes.
const chunkBytes = 256 * 1024
const newline = 0x0a

/**
 * A Readable of one append blob's bytes, in `Chunk`s that touch, from an offset on.
 *
 * One conditional range request per poll, and it starts one byte early: a healthy blob always has a byte
 * there, so "nothing new" never depends on how a server answers an empty range. Growth is judged by the
 * blob's length, never by its dates or its ETag alone. At most two ranges are in memory: one being pushed, one
 * being read ahead.
 *
 * Use it as a stream or through `readNext`, not both.
 */
export class AppendBlobTailer extends Readable {
  #reader: BlobReader
  #blobName: string
  #generation: string | undefined
  #offset: number
  #align: boolean
  #follow: boolean
  #until: number
  #pollMs: number
  #rangeBytes: number
  #retry: Partial<RetryPolicy>
  #clock: Clock
  #log: Logger
  #etag: string | undefined
  #totalBytes = 0
  #ahead: Promise<BlobRead> | undefined
  #ended: TailEnd | undefined
  /** What `readNext` holds of a line that has no newline yet. */
  #rest: { readonly start: number; readonly bytes: Buffer } | undefined
  #stopping = new AbortController()
  #destroying = new AbortController()
  #halt = AbortSignal.any([this.#stopping.signal, this.#destroying.signal])

  constructor(options: AppendBlobTailerOptions) {
    super({ objectMode: true, highWaterMark: 1 })
    this.#reader = options.reader
    this.#blobName = options.blobName
    this.#generation = options.generation
    this.#offset = options.offset ?? 0
    this.#align = options.alignToLine ?? false
    this.#follow = options.follow ?? true
    this.#until = options.endOffset ?? Number.POSITIVE_INFINITY
    this.#pollMs = options.pollMs ?? 5_000
    this.#rangeBytes = options.rangeBytes ?? 2 * 1024 * 1024
    this.#retry = options.retry ?? {}
    this.#clock = options.clock ?? systemClock
    this.#log = options.logger ?? silentLogger
  }

  /** The first byte not yet handed on. */
  get offset(): number {
    return this.#offset
  }

  /** The blob's length as last seen, in bytes. */
  get totalBytes(): number {
    return this.#totalBytes
  }

  /** Why the stream ended, once it has. */
  get endedBy(): TailEnd | undefined {
    return this.#ended
  }

  /** Stops reading: what was read already is still handed on, then the stream ends. */
  stop(): void {
    this.#stopping.abort()
  }

  override _read(): void {
    this.#next().then(
      (chunks) => {
        if (this.destroyed) return
        if (chunks === undefined) this.push(null)
        else for (const chunk of chunks) this.push(chunk)
      },
      (error: unknown) => this.destroy(error as Error),
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#destroying.abort()
    callback(error)
  }

  /**
   * Reads the next complete lines: waits for them in follow mode, and returns none at the end otherwise.
   *
   * @returns the records, and the offset to go on from: the byte after the last complete line
   * @throws SOURCE_DENIED, SOURCE_UNSUPPORTED
   */
  async readNext(): Promise<{ readonly records: readonly TailedRecord[]; readonly nextOffset: number }> {
    for (;;) {
      const chunks = await this.#next()
      // At the end an unterminated rest stays unread: it is no line yet.
      if (chunks === undefined) return { records: [], nextOffset: this.#rest?.start ?? this.#offset }
      const start = this.#rest?.start ?? chunks[0]?.span.start ?? this.#offset
      const bytes = Buffer.concat([
        this.#rest?.bytes ?? Buffer.alloc(0),
        ...chunks.map((chunk) => chunk.bytes),
      ])
      const end = bytes.lastIndexOf(newline) + 1
      this.#rest = { start: start + end, bytes: bytes.subarray(end) }
      if (end > 0) return { records: linesOf(bytes.subarray(0, end), start), nextOffset: start + end }
    }
  }

  /** The next chunks, or `undefined` at the end. */
  async #next(): Promise<Chunk[] | undefined> {
    for (;;) {
      if (this.#ended) return undefined
      if (this.#stopping.signal.aborted) return this.#end('stopped')
      if (this.#offset >= this.#until) return this.#end('end')

      const read = await this.#takeRead()
      if (read === undefined) continue
      switch (read.kind) {
        case 'bytes': {
          const chunks = this.#accept(read)
          if (chunks === undefined) return undefined
          if (chunks.length > 0) return chunks
          break
        }
        case 'nothing-there':
          if (this.#offset > 0) {
            const why = await this.#shorterBecause()
            if (why === undefined) continue
            return this.#end(why)
          }
          if (!this.#follow) return this.#end('end')
          break
        case 'missing':
          if (!this.#follow || this.#offset > 0) return this.#end('missing')
          break
        case 'unchanged':
          if (!this.#follow) return this.#end('end')
      }
      if (this.#offset < this.#totalBytes || this.#offset >= this.#until) continue
      await this.#pause()
    }
  }

  /** Takes a `bytes` answer: `undefined` ends the stream, an empty list means nothing new. */
  #accept(read: BlobRead & { readonly kind: 'bytes' }): Chunk[] | undefined {
    const overlap = this.#overlap()
    this.#generation ??= read.createdAt
    if (read.createdAt !== this.#generation) return this.#end('recreated')
    if (this.#offset === 0) this.#refuseCompressed(read.bytes)
    this.#totalBytes = read.totalBytes
    if (!this.#follow && this.#until === Number.POSITIVE_INFINITY) this.#until = read.totalBytes

    let bytes = read.bytes.subarray(overlap, Math.max(overlap, overlap + this.#until - this.#offset))
    const reachedEnd = this.#offset + bytes.length >= read.totalBytes
    // The condition is only sent after a read that reached the end: else a 304 would hide unread bytes.
    this.#etag = reachedEnd && read.etag !== '' ? read.etag : undefined

    let start = this.#offset
    this.#offset += bytes.length
    if (this.#align && read.bytes.length > 0) {
      // The byte before the start tells whether the start is a line's; without one it is the blob's first.
      const atLineStart = overlap === 0 || read.bytes[0] === newline
      const firstNewline = bytes.indexOf(newline)
      const skipped = atLineStart ? 0 : firstNewline < 0 ? bytes.length : firstNewline + 1
      bytes = bytes.subarray(skipped)
      start += skipped
      this.#align = !atLineStart && firstNewline < 0
    }
    if (this.#offset < Math.min(this.#until, read.totalBytes)) this.#ahead = this.#request()
    return chunksOf(bytes, start, `${this.#reader.container}/${this.#blobName}`, this.#generation)
  }

  #end(why: TailEnd): undefined {
    this.#ended = why
    return undefined
  }

  async #takeRead(): Promise<BlobRead | undefined> {
    const reading = this.#ahead ?? this.#request()
    this.#ahead = undefined
    try {
      return await reading
    } catch (error) {
      // A stop interrupts the wait for an answer; the loop then ends the stream in order.
      if (this.#stopping.signal.aborted && !this.#destroying.signal.aborted) return undefined
      throw error
    }
  }

  #request(): Promise<BlobRead> {
    const overlap = this.#overlap()
    return this.#read({
      offset: this.#offset - overlap,
      maxBytes: overlap + Math.min(this.#rangeBytes, this.#until - this.#offset),
      signal: this.#halt,
      ...(this.#etag === undefined ? {} : { ifNoneMatch: this.#etag }),
    })
  }

  #read(request: ReadRequest): Promise<BlobRead> {
    const reading = retry(() => this.#reader.read(this.#blobName, request), {
      policy: this.#retry,
      clock: this.#clock,
      signal: this.#halt,
      onRetry: retryLog(this.#log, 'storage read failed', { blob: this.#blobName }),
    })
    // A read ahead that fails is reported when it is taken, not as an unhandled rejection.
    reading.catch(() => {})
    return reading
  }

  #overlap(): 0 | 1 {
    return this.#offset > 0 ? 1 : 0
  }

  async #pause(): Promise<void> {
    try {
      await this.#clock.sleep(this.#pollMs, this.#halt)
    } catch (error) {
      if (!this.#halt.aborted) throw error
    }
  }

  /** The blob has no byte where one was read before: another generation, or cut short. `undefined`: stopped meanwhile. */
  async #shorterBecause(): Promise<TailEnd | undefined> {
    this.#ahead = this.#read({ offset: 0, maxBytes: 1, signal: this.#halt })
    const head = await this.#takeRead()
    if (head === undefined) return undefined
    if (head.kind === 'missing') return 'missing'
    return head.kind === 'bytes' && head.createdAt === this.#generation ? 'shrank' : 'recreated'
  }

  #refuseCompressed(bytes: Buffer): void {
    const magic = bytes.subarray(0, 4).toString('hex')
    const format = magic.startsWith('1f8b') ? 'gzip' : magic === '28b52ffd' ? 'zstd' : undefined
    if (format === undefined) return
    throw new TailraceError(
      'SOURCE_UNSUPPORTED',
      `${this.#reader.container}/${this.#blobName} is ${format}, not NDJSON.`,
    )
  }
}

function chunksOf(bytes: Buffer, start: number, blob: string, generation: string): Chunk[] {
  const chunks: Chunk[] = []
  for (let from = 0; from < bytes.length; from += chunkBytes) {
    const part = bytes.subarray(from, from + chunkBytes)
    chunks.push({
      span: { blob, generation, start: start + from, end: start + from + part.length },
      bytes: part,
    })
  }
  return chunks
}

function linesOf(bytes: Buffer, start: number): TailedRecord[] {
  const records: TailedRecord[] = []
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(newline, from) + 1
    const text = bytes.toString('utf8', from, end - 1).replace(/\r$/, '')
    if (text.trim() !== '')
      records.push({ offset: start + from, length: end - from, text, value: parsed(text) })
    from = end
  }
  return records
}

function parsed(text: string): JsonValue | undefined {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}
