import { Readable } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'
import type { Chunk } from '../records.ts'
import { type Logger, silentLogger } from '../reporting/logger.ts'
import { retryLog } from '../reporting/retry-log.ts'
import { longerPause, type RetryEvent, type RetryPolicy, retry } from '../retry.ts'
import type { BlobRead, BlobReader } from './blob-reader.ts'
import { overlapBytes } from './recognition/fingerprint.ts'
import { ByteBudget } from './tailing/byte-budget.ts'
import { type RangeAnswer, RangesAhead } from './tailing/ranges-ahead.ts'
import { TailedLines, type TailedRecord } from './tailing/tailed-lines.ts'

export interface AppendBlobTailerOptions {
  readonly reader: BlobReader
  /** Name within the reader's container. */
  readonly blobName: string
  /** First byte to read. Default 0. */
  readonly offset?: number
  /** The generation that `offset` belongs to. Default: named by the creation instant found at the first read. */
  readonly generation?: string
  /** The creation instant that the blob has to show. Default: the one found at the first read. */
  readonly createdAt?: string
  /** The last bytes before `offset`, 64 at most, as they were read before: the blob has to hold them still. */
  readonly before?: Buffer
  /** The blob's first bytes, as they were looked at before: the blob has to begin with them still. */
  readonly head?: Buffer
  /** Wait for appends at the blob's end; otherwise end where the blob ended at the first read. Default true. */
  readonly follow?: boolean
  /** Stop before this offset, in any mode. */
  readonly endOffset?: number
  /** Pause between polls of a blob that grows, in milliseconds. Default 5,000. */
  readonly pollMs?: number
  /** Longest pause between polls: each poll that finds nothing makes the next pause longer. Default 30,000. */
  readonly maxPollMs?: number
  /** Bytes of one range request. Default 2 MiB. */
  readonly rangeBytes?: number
  /** Ranges that are asked for while an earlier one is handed on. Default 2. */
  readonly readsAhead?: number
  /** Bounds the ranges in memory, together with those of other tailers. Default: as many as `readsAhead` takes. */
  readonly budget?: ByteBudget
  /** Lines that `readNext` returns are cut short at so many bytes. Default 16 MiB. */
  readonly maxLineBytes?: number
  readonly retry?: Partial<RetryPolicy>
  /** Asked after each failure that would be repeated: true destroys the stream with the error. Default: never. */
  readonly giveUp?: (event: RetryEvent) => boolean
  /** Hears of an error that ends the reading; the stream then ends in order. Default: it is destroyed with the error. */
  readonly onFailure?: (error: unknown) => void
  readonly clock?: Clock
  readonly logger?: Logger
}

/** Why a tailer ended. `replaced`: created anew, overwritten or cut short, so that it is another generation. */
export type TailEnd = 'stopped' | 'end' | 'missing' | 'replaced'

// Small enough that the strings made of a chunk stay cheap, large enough that a stream's cost per object vanishes.
const chunkBytes = 256 * 1024

type BytesRead = BlobRead & { readonly kind: 'bytes' }

/**
 * A Readable of one append blob's bytes, in `Chunk`s that touch, from an offset on.
 *
 * One conditional range request per poll. Growth is judged by the blob's length, never by its dates or its ETag alone;
 * that it is still the same blob by its creation instant and by the bytes read last, which every request asks for
 * again. Of a backlog, ranges are read ahead in parallel; at the live end there is one request at a time.
 *
 * Use it as a stream or through `readNext`, not both.
 */
export class AppendBlobTailer extends Readable {
  #reader: BlobReader
  #blobName: string
  #generation: string | undefined
  #createdAt: string | undefined
  #offset: number
  #before: Buffer
  #follow: boolean
  #until: number
  #pollMs: number
  #maxPollMs: number
  #pauseMs: number
  #budget: ByteBudget
  #ranges: RangesAhead
  #lines: TailedLines
  #clock: Clock
  #log: Logger
  #retry: Partial<RetryPolicy>
  #etag: string | undefined
  #totalBytes = 0
  #grewAtMs: number | undefined
  #head: Buffer
  #giveUp: (event: RetryEvent) => boolean
  #onFailure: ((error: unknown) => void) | undefined
  /** The last answer reached the blob's end: it is asked again after a pause, not at once. */
  #isAtEnd = false
  /** What the budget holds for chunks that were handed on last. */
  #heldBytes = 0
  #ended: TailEnd | undefined
  #stopping = new AbortController()
  #ending = new AbortController()
  #halt = AbortSignal.any([this.#stopping.signal, this.#ending.signal])

  constructor(options: AppendBlobTailerOptions) {
    super({ objectMode: true, highWaterMark: 1 })
    const { rangeBytes = 2 * 1024 * 1024, readsAhead = 2, logger = silentLogger } = options
    this.#reader = options.reader
    this.#blobName = options.blobName
    this.#generation = options.generation
    this.#createdAt = options.createdAt
    this.#offset = options.offset ?? 0
    this.#before = options.before ?? Buffer.alloc(0)
    this.#follow = options.follow ?? true
    this.#until = options.endOffset ?? Number.POSITIVE_INFINITY
    this.#pollMs = options.pollMs ?? 5_000
    this.#maxPollMs = Math.max(this.#pollMs, options.maxPollMs ?? 30_000)
    this.#pauseMs = this.#pollMs
    this.#budget = options.budget ?? new ByteBudget((readsAhead + 1) * (rangeBytes + overlapBytes))
    this.#clock = options.clock ?? systemClock
    this.#head = options.head ?? Buffer.alloc(0)
    this.#giveUp = options.giveUp ?? (() => false)
    this.#onFailure = options.onFailure
    this.#log = logger
    this.#retry = options.retry ?? {}
    this.#lines = new TailedLines(options.maxLineBytes ?? 16 * 1024 * 1024)
    this.#ranges = new RangesAhead({
      reader: options.reader,
      blobName: options.blobName,
      rangeBytes,
      readsAhead,
      budget: this.#budget,
      urgent: this.#follow,
      signal: this.#halt,
      clock: this.#clock,
      retry: this.#retry,
      giveUp: this.#giveUp,
      onRetry: retryLog(logger, 'storage read failed', { blob: options.blobName }),
    })
  }

  /** The first byte not yet handed on. */
  get offset(): number {
    return this.#offset
  }

  /** The last bytes before `offset`, 64 at most. */
  get before(): Buffer {
    return this.#before
  }

  /** The creation instant of the blob that is read; undefined before the first read. */
  get createdAt(): string | undefined {
    return this.#createdAt
  }

  /** The blob's length as last seen, in bytes. */
  get totalBytes(): number {
    return this.#totalBytes
  }

  /** When the blob was last seen to have grown since the first look at it; undefined when it has not. */
  get grewAtMs(): number | undefined {
    return this.#grewAtMs
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
      (error: unknown) => {
        if (this.#onFailure === undefined || this.destroyed) this.destroy(error as Error)
        else {
          this.#onFailure(error)
          this.push(null)
        }
      },
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#letGo()
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
      const records = (chunks ?? []).flatMap((chunk) => this.#lines.take(chunk))
      // At the end an unterminated rest stays unread: it is no line yet.
      if (records.length > 0 || chunks === undefined)
        return { records, nextOffset: this.#lines.openLineOffset ?? this.#offset }
    }
  }

  /** The next chunks, or `undefined` at the end. It is called when the last ones have been taken. */
  async #next(): Promise<Chunk[] | undefined> {
    for (;;) {
      this.#giveBack()
      if (this.#ended) return undefined
      if (this.#stopping.signal.aborted) return this.#end('stopped')
      if (this.#offset >= this.#until) return this.#end('end')
      if (this.#isAtEnd) {
        this.#isAtEnd = false
        await this.#pause()
        continue
      }

      const condition = this.#offset === this.#totalBytes ? this.#etag : undefined
      const answer = await this.#unlessStopped(() => this.#ranges.take(this.#offset, this.#until, condition))
      if (answer === undefined) continue
      this.#heldBytes = answer.heldBytes
      switch (answer.read.kind) {
        case 'bytes': {
          if (!this.#isOfThisBlob(answer.read, answer)) {
            if (!answer.isEarly) return this.#end('replaced')
            // It may tell of the blob as it was when it was asked for: asked anew, it tells of the blob as it is.
            this.#ranges.drop()
            continue
          }
          const chunks = this.#accept(answer.read, answer)
          if (chunks.length > 0) {
            this.#isAtEnd = this.#offset >= this.#totalBytes
            return chunks
          }
          if (!this.#follow) return this.#end('end')
          break
        }
        case 'nothing-there':
          if (this.#offset > 0) {
            const why = await this.#shorterBecause()
            if (why !== undefined) return this.#end(why)
          } else if (!this.#follow) return this.#end('end')
          break
        case 'missing':
          if (!this.#follow || this.#createdAt !== undefined) return this.#end('missing')
          break
        case 'unchanged':
          if (!this.#follow && condition !== undefined) return this.#end('end')
      }
      if (this.#offset >= this.#until) continue
      this.#giveBack()
      await this.#pause()
    }
  }

  #isOfThisBlob(read: BytesRead, { overlap }: RangeAnswer): boolean {
    return (
      (this.#createdAt === undefined || read.createdAt === this.#createdAt) &&
      read.totalBytes >= Math.max(this.#offset, this.#head.length) &&
      isContinuation(this.#before, overlap, read.bytes) &&
      isAlike(this.#head, this.#offset - overlap, read.bytes)
    )
  }

  /** Takes an answer of this blob: its new bytes, if it has any. */
  #accept(read: BytesRead, { overlap }: RangeAnswer): Chunk[] {
    this.#createdAt ??= read.createdAt
    this.#generation ??= read.createdAt
    // What was asked for before the blob was cut short tells of what is gone.
    if (read.totalBytes < this.#totalBytes) this.#ranges.drop()
    if (read.totalBytes > this.#totalBytes) {
      if (this.#totalBytes > 0) this.#grewAtMs = this.#clock.now()
      this.#pauseMs = this.#pollMs
    }
    this.#totalBytes = read.totalBytes
    if (!this.#follow && this.#until === Number.POSITIVE_INFINITY) this.#until = read.totalBytes

    const start = this.#offset
    const bytes = read.bytes.subarray(overlap, Math.max(overlap, overlap + this.#until - start))
    this.#offset += bytes.length
    this.#before = lastOf(this.#before, bytes)
    const readEnd = Math.min(this.#until, read.totalBytes)
    // The condition is only sent after a read that reached the end: else a 304 would hide unread bytes.
    this.#etag = this.#offset >= read.totalBytes && read.etag !== '' ? read.etag : undefined
    if (this.#offset < readEnd) this.#ranges.askAhead(this.#offset, readEnd)
    this.#holdOnly(bytes.length)
    return chunksOf(bytes, start, `${this.#reader.container}/${this.#blobName}`, this.#generation)
  }

  #end(why: TailEnd): undefined {
    this.#ended = why
    this.#letGo()
    return undefined
  }

  #letGo(): void {
    this.#ending.abort()
    this.#ranges.drop()
    this.#giveBack()
  }

  #giveBack(): void {
    this.#holdOnly(0)
  }

  #holdOnly(bytes: number): void {
    const surplus = this.#heldBytes - bytes
    this.#heldBytes = bytes
    if (surplus > 0) this.#budget.give(surplus)
  }

  /** A stop interrupts the wait for an answer; the loop then ends the stream in order. */
  async #unlessStopped<T>(operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await operation()
    } catch (error) {
      if (this.#stopping.signal.aborted && !this.#ending.signal.aborted) return undefined
      throw error
    }
  }

  async #pause(): Promise<void> {
    const pauseMs = this.#pauseMs
    this.#pauseMs = longerPause(pauseMs, this.#maxPollMs)
    try {
      await this.#clock.sleep(pauseMs, this.#halt)
    } catch (error) {
      if (!this.#halt.aborted) throw error
    }
  }

  /**
   * The blob is said to have no byte where one was read before: it is gone, or another one by now. A service at its
   * worst says so of a healthy blob too, so its head has the last word. `undefined`: it is healthy, or a stop came first.
   */
  async #shorterBecause(): Promise<TailEnd | undefined> {
    const head = await this.#unlessStopped(() =>
      retry(() => this.#reader.read(this.#blobName, { offset: 0, maxBytes: 1, signal: this.#halt }), {
        policy: this.#retry,
        clock: this.#clock,
        signal: this.#halt,
        giveUp: this.#giveUp,
        onRetry: retryLog(this.#log, 'storage read failed', { blob: this.#blobName }),
      }),
    )
    if (head === undefined) return undefined
    if (head.kind === 'missing') return 'missing'
    const isHealthy =
      head.kind === 'bytes' && head.createdAt === this.#createdAt && head.totalBytes >= this.#offset
    return isHealthy ? undefined : 'replaced'
  }
}

/** Whether an answer that begins `overlap` bytes early begins with what was read before, as far as both are known. */
function isContinuation(before: Buffer, overlap: number, answer: Buffer): boolean {
  const known = before.subarray(Math.max(0, before.length - overlap))
  const found = answer.subarray(overlap - known.length, overlap)
  return known.subarray(0, found.length).equals(found)
}

/** Whether an answer from an offset on agrees with a blob's known head, as far as it reaches. */
function isAlike(head: Buffer, offset: number, answer: Buffer): boolean {
  const known = head.subarray(offset, offset + answer.length)
  return known.equals(answer.subarray(0, known.length))
}

/** The last bytes of what was read, as a copy: a part would keep the whole range in memory. */
function lastOf(before: Buffer, bytes: Buffer): Buffer {
  if (bytes.length >= overlapBytes) return Buffer.from(bytes.subarray(bytes.length - overlapBytes))
  const all = Buffer.concat([before, bytes])
  return all.subarray(Math.max(0, all.length - overlapBytes))
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
