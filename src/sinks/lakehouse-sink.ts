import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Writable } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'
import { TailraceError } from '../errors.ts'
import type { LandedOffsets } from '../landed-offsets.ts'
import { type Logger, silentLogger } from '../logger.ts'
import type { Batch, LandedBatch, Span } from '../records.ts'
import { type RetryPolicy, retry } from '../retry.ts'
import { retryLog } from '../retry-log.ts'
import type { CommitReceipt, EncodedBatch, TableCommitter } from './table-committer.ts'

/** Turns a sealed spool into Parquet files. */
export interface BatchEncoder {
  /**
   * @param signal ends it at once
   * @throws DISK_FULL, ENCODE_FAILED, and the signal's reason: nothing is left behind
   */
  encode(batch: Batch, signal?: AbortSignal): Promise<EncodedBatch>
}

/** Keeps the readable mirror of the table's offsets. */
export interface OffsetFollower {
  write(offsets: LandedOffsets, tableVersion: number | undefined): Promise<void>
}

/** Repeats writes that find a volume full. */
export interface SpaceGuard {
  withSpace<T>(write: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

export interface LakehouseSinkOptions {
  readonly encoder: BatchEncoder
  readonly committer: TableCommitter
  readonly offsets: OffsetFollower
  readonly diskSpace?: SpaceGuard
  /** Called after each batch is durable. */
  readonly onLanded?: (landed: LandedBatch) => void
  readonly retry?: Partial<RetryPolicy>
  readonly clock?: Clock
  readonly logger?: Logger
}

const nothingEncoded: EncodedBatch = { files: [], rows: 0, rejected: 0, partial: 0 }

/**
 * Lands batches, one after the other.
 *
 * The order is the guarantee: encode, commit rows and offsets in one step, mirror the offsets, delete the
 * spool. A crash between any two of them is answered by the table: what it does not hold is read again.
 */
export class LakehouseSink extends Writable {
  #encoder: BatchEncoder
  #committer: TableCommitter
  #offsets: OffsetFollower
  #diskSpace: SpaceGuard
  #onLanded: (landed: LandedBatch) => void
  #retry: Partial<RetryPolicy>
  #clock: Clock
  #log: Logger
  #destroying = new AbortController()
  /** The end of the last batch, landed or failed. */
  #landing: Promise<void> = Promise.resolve()

  constructor(options: LakehouseSinkOptions) {
    super({ objectMode: true, highWaterMark: 1 })
    this.#encoder = options.encoder
    this.#committer = options.committer
    this.#offsets = options.offsets
    this.#diskSpace = options.diskSpace ?? { withSpace: (write) => write() }
    this.#onLanded = options.onLanded ?? (() => {})
    this.#retry = options.retry ?? {}
    this.#clock = options.clock ?? systemClock
    this.#log = options.logger ?? silentLogger
  }

  override _write(batch: Batch, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const landing = this.#land(batch)
    this.#landing = landing.catch(() => {})
    landing.then(() => done(), done)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#destroying.abort()
    // Whoever gives back the engine and the table next must find neither in use.
    this.#landing.then(() => callback(error))
  }

  async #land(batch: Batch): Promise<void> {
    const { signal } = this.#destroying
    const startedAt = this.#clock.now()
    for (const span of batch.spans) this.#requireBeginning(span)
    const encoded =
      batch.rows === 0
        ? nothingEncoded
        : await this.#diskSpace.withSpace(() => this.#encoder.encode(batch, signal), signal)
    const encodedAt = this.#clock.now()
    const receipt = await this.#commit(batch, encoded, signal)
    const committedAt = this.#clock.now()

    await this.#diskSpace.withSpace(
      () => this.#offsets.write(this.#committer.landed(), receipt.tableVersion),
      signal,
    )
    await rm(batch.spoolPath, { force: true })
    await Promise.all(encoded.files.map(({ path }) => rm(dirname(path), { recursive: true, force: true })))
    this.#onLanded({
      batch,
      rows: encoded.rows,
      rejected: encoded.rejected,
      partial: encoded.partial,
      fileBytes: encoded.files.reduce((sum, file) => sum + file.bytes, 0),
      encodeMs: encodedAt - startedAt,
      commitMs: committedAt - encodedAt,
      ...(receipt.tableVersion === undefined ? {} : { tableVersion: receipt.tableVersion }),
    })
  }

  /** What begins later than at its blob's start was recorded without rows first: else bytes were skipped. */
  #requireBeginning(span: Span): void {
    if (span.start === 0 || this.#committer.landed().get(span) !== undefined) return
    throw new TailraceError('SPAN_GAP', `Nothing of ${span.blob} has landed before this batch.`, {
      context: { expected: 0, found: span.start },
    })
  }

  #commit(batch: Batch, encoded: EncodedBatch, signal: AbortSignal): Promise<CommitReceipt> {
    return retry(() => this.#diskSpace.withSpace(() => this.#committer.land(batch.spans, encoded), signal), {
      policy: this.#retry,
      clock: this.#clock,
      signal,
      onRetry: retryLog(this.#log, 'commit failed', { batch: batch.id }),
    })
  }
}
