import { Readable } from 'node:stream'
import { type Clock, sleepUnlessAborted, systemClock } from '../clock.ts'
import type { Chunk } from '../records.ts'
import { type Logger, silentLogger } from '../reporting/logger.ts'
import { retryLog } from '../reporting/retry-log.ts'
import { longerPause, type RetryEvent, type RetryPolicy } from '../retry.ts'
import { LineSplitter } from '../streams/line-splitter.ts'
import type { BlobReader } from './blob-reader.ts'
import { overlapBytes } from './recognition/fingerprint.ts'
import { ByteBudget } from './tailing/byte-budget.ts'
import { type RangeAnswer, RangesAhead } from './tailing/ranges-ahead.ts'
import { type BytesRead, ReadPosition } from './tailing/read-position.ts'
import { type TailedRecord, tailedRecords } from './tailing/tailed-record.ts'

export interface AppendBlobTailerOptions {
  readonly reader: BlobReader
  /** Name within the reader's container. */
  readonly blobName: string
  /** First byte to read. Default 0. */
  readonly offset?: number | undefined
  /** The generation that `offset` belongs to. Default: named after the creation instant of the first answer. */
  readonly generation?: string | undefined
  /** The blob's creation instant; a blob with another one is another generation. Default: that of the first answer. */
  readonly createdAt?: string | undefined
  /** The last bytes before `offset`, 64 at most; a blob with other bytes there is another generation. */
  readonly before?: Buffer | undefined
  /** The blob's first bytes; a blob that begins with other bytes is another generation. */
  readonly head?: Buffer | undefined
  /** The answer to an earlier request for the bytes from `offset` on. */
  readonly first?: BytesRead | undefined
  /** Wait for appends at the blob's end; otherwise end where the blob ended at the first read. Default true. */
  readonly follow?: boolean | undefined
  /** Stop before this offset, in any mode. */
  readonly endOffset?: number | undefined
  /** Pause between polls of a blob that grows, in milliseconds. Default 5,000. */
  readonly pollMs?: number | undefined
  /** Longest pause between polls, in milliseconds: each poll that finds nothing lengthens the next. Default 30,000. */
  readonly maxPollMs?: number | undefined
  /** Bytes of one range request. Default 2 MiB. */
  readonly rangeBytes?: number | undefined
  /** Ranges requested while an earlier one is handed on. Default 2. */
  readonly readsAhead?: number | undefined
  /** Bounds the ranges in memory, together with those of other tailers. Default: room for `readsAhead` ranges and one. */
  readonly budget?: ByteBudget | undefined
  /** Lines that `readNext` returns are cut to this length. Default 16 MiB. */
  readonly maxLineBytes?: number | undefined
  readonly retry?: Partial<RetryPolicy> | undefined
  /** Called before each retry: true destroys the stream with the error instead. Default: never. */
  readonly giveUp?: ((event: RetryEvent) => boolean) | undefined
  /** Called with an error that ends the reading; the stream then ends in order. Default: it is destroyed with the error. */
  readonly onFailure?: ((error: unknown) => void) | undefined
  readonly clock?: Clock | undefined
  readonly logger?: Logger | undefined
}

/** One for all tailers: a new one, with its stack, takes as long as the parse of a small answer. */
const endOfReading = new DOMException('The blob is not read any more.', 'AbortError')

/** Why a tailer ended. `replaced`: created anew, overwritten or cut short, so that it is another generation. */
export type TailEnd = 'stopped' | 'end' | 'missing' | 'replaced'

/**
 * A Readable of one append blob's bytes from an offset on, in `Chunk`s that touch.
 *
 * Each poll is one conditional range request. Growth shows in the blob's length, and only there: dates and ETags change
 * without it. Each request begins up to 64 bytes early, and the bytes read before have to be there still; otherwise the
 * blob is another generation by now. A backlog is read by parallel ranges, the live end by one request at a time.
 *
 * Use it as a stream or through `readNext`, not both.
 */
export class AppendBlobTailer extends Readable {
  #position: ReadPosition
  #follow: boolean
  #endOffset: number
  #pollMs: number
  #maxPollMs: number
  #pauseMs: number
  #ranges: RangesAhead
  #maxLineBytes: number | undefined
  #lines: LineSplitter | undefined
  #clock: Clock
  #etag: string | undefined
  #totalBytes = 0
  #grewAtMs: number | undefined
  #caughtUpAtMs: number | undefined
  #onFailure: ((error: unknown) => void) | undefined
  /** The last answer reached the blob's end, so the next request waits for a pause. */
  #isAtEnd = false
  #ended: TailEnd | undefined
  #stopping = new AbortController()
  #ending = new AbortController()
  #halt = AbortSignal.any([this.#stopping.signal, this.#ending.signal])

  constructor(options: AppendBlobTailerOptions) {
    super({ objectMode: true, highWaterMark: 1 })
    const { reader, blobName, generation, offset = 0, createdAt, before, head } = options
    const { rangeBytes = 2 * 1024 * 1024, readsAhead = 2, logger = silentLogger } = options
    const blob = `${reader.container}/${blobName}`
    this.#position = new ReadPosition({ blob, generation, offset, createdAt, before, head })
    this.#follow = options.follow ?? true
    this.#endOffset = options.endOffset ?? Number.POSITIVE_INFINITY
    this.#pollMs = options.pollMs ?? 5_000
    this.#maxPollMs = Math.max(this.#pollMs, options.maxPollMs ?? 30_000)
    this.#pauseMs = this.#pollMs
    this.#clock = options.clock ?? systemClock
    this.#onFailure = options.onFailure
    this.#maxLineBytes = options.maxLineBytes
    this.#ranges = new RangesAhead({
      reader,
      blobName,
      rangeBytes,
      readsAhead,
      budget: options.budget ?? new ByteBudget((readsAhead + 1) * (rangeBytes + overlapBytes)),
      urgent: this.#follow,
      first: options.first && { start: offset, read: options.first },
      signal: this.#halt,
      clock: this.#clock,
      retry: options.retry ?? {},
      giveUp: options.giveUp ?? (() => false),
      onRetry: retryLog(logger, 'storage read failed', { blob: blobName }),
    })
  }

  /** The first byte not yet handed on. */
  get offset(): number {
    return this.#position.offset
  }

  /** The last bytes before `offset`, 64 at most. */
  get before(): Buffer {
    return this.#position.before
  }

  /** The blob's creation instant; undefined before the first answer, unless it was given. */
  get createdAt(): string | undefined {
    return this.#position.createdAt
  }

  /** The blob's length as last seen, in bytes. */
  get totalBytes(): number {
    return this.#totalBytes
  }

  /** When the blob was last found grown, in milliseconds since the epoch; undefined when it has not grown since the first answer. */
  get grewAtMs(): number | undefined {
    return this.#grewAtMs
  }

  /** When storage last answered that the blob has no byte beyond those read, in milliseconds since the epoch. */
  get caughtUpAtMs(): number | undefined {
    return this.#caughtUpAtMs
  }

  /** Why the stream ended, once it has. */
  get endedBy(): TailEnd | undefined {
    return this.#ended
  }

  /** Stops reading: bytes already read are still handed on, then the stream ends. */
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
    this.#release()
    callback(error)
  }

  /**
   * Reads the next complete lines: waits for them in follow mode, and returns none at the end otherwise.
   *
   * @returns the records, and the offset to go on from: the byte after the last complete line
   * @throws SOURCE_DENIED, SOURCE_UNSUPPORTED
   */
  async readNext(): Promise<{ readonly records: readonly TailedRecord[]; readonly nextOffset: number }> {
    this.#lines ??= new LineSplitter({ maxLineBytes: this.#maxLineBytes })
    const lines = this.#lines
    for (;;) {
      const chunks = await this.#next()
      const records = (chunks ?? []).flatMap((chunk) => {
        const block = lines.split(chunk)
        return block === undefined ? [] : tailedRecords(block)
      })
      // At the end an unterminated rest stays unread: it is no line yet.
      if (records.length > 0 || chunks === undefined)
        return { records, nextOffset: lines.nextOffset ?? this.offset }
    }
  }

  /** The next chunks, or `undefined` at the end. Called when the last ones have been taken. */
  async #next(): Promise<Chunk[] | undefined> {
    for (;;) {
      this.#ranges.keepOnly(0)
      if (this.#ended) return undefined
      if (this.#stopping.signal.aborted) return this.#end('stopped')
      if (this.offset >= this.#endOffset) return this.#end('end')
      if (this.#isAtEnd) {
        this.#isAtEnd = false
        await this.#pause()
        continue
      }

      const condition = this.offset === this.#totalBytes ? this.#etag : undefined
      const answer = await this.#unlessStopped(() =>
        this.#ranges.take(this.offset, this.#endOffset, condition),
      )
      if (answer === undefined) continue
      switch (answer.read.kind) {
        case 'bytes': {
          if (!this.#position.matches(answer.read, answer.overlap)) {
            if (!answer.isEarly) return this.#end('replaced')
            // Prefetched, so maybe stale: drop it and read again.
            this.#ranges.drop()
            continue
          }
          const chunks = this.#accept(answer.read, answer)
          if (chunks.length > 0) {
            this.#isAtEnd = this.offset >= this.#totalBytes
            if (this.#isAtEnd) this.#caughtUpAtMs = this.#clock.now()
            return chunks
          }
          if (!this.#follow) return this.#end('end')
          break
        }
        case 'nothing-there': {
          if (this.offset > 0) {
            const head = await this.#unlessStopped(() => this.#ranges.readHead())
            const judgment = head && this.#position.judgeShorter(head)
            if (judgment === 'missing' || judgment === 'replaced') return this.#end(judgment)
          } else if (!this.#follow) return this.#end('end')
          break
        }
        case 'missing':
          if (!this.#follow || this.createdAt !== undefined) return this.#end('missing')
          break
        case 'unchanged':
          if (!this.#follow && condition !== undefined) return this.#end('end')
      }
      this.#ranges.keepOnly(0)
      this.#caughtUpAtMs = this.#clock.now()
      await this.#pause()
    }
  }

  /** Takes an answer of this generation, and returns its new bytes in chunks. */
  #accept(read: BytesRead, { overlap }: RangeAnswer): Chunk[] {
    const { totalBytes } = read
    // The blob was cut short: ranges requested before that may hold bytes that are gone.
    if (totalBytes < this.#totalBytes) this.#ranges.drop()
    if (totalBytes > this.#totalBytes) {
      if (this.#totalBytes > 0) this.#grewAtMs = this.#clock.now()
      this.#pauseMs = this.#pollMs
    }
    this.#totalBytes = totalBytes
    if (!this.#follow && this.#endOffset === Number.POSITIVE_INFINITY) this.#endOffset = totalBytes

    const start = this.offset
    const chunks = this.#position.take(read, overlap, this.#endOffset)
    const readEnd = Math.min(this.#endOffset, totalBytes)
    // Only a read that reached the end allows a condition: otherwise a 304 would hide unread bytes.
    this.#etag = this.offset >= totalBytes && read.etag !== '' ? read.etag : undefined
    this.#ranges.askAhead(this.offset, readEnd)
    this.#ranges.keepOnly(this.offset - start)
    return chunks
  }

  #end(end: TailEnd): undefined {
    this.#ended = end
    this.#release()
    return undefined
  }

  #release(): void {
    this.#ending.abort(endOfReading)
    this.#ranges.drop()
    this.#ranges.keepOnly(0)
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

  #pause(): Promise<void> {
    const pauseMs = this.#pauseMs
    this.#pauseMs = longerPause(pauseMs, this.#maxPollMs)
    return sleepUnlessAborted(this.#clock, pauseMs, this.#halt)
  }
}
