import { dirname } from 'node:path'
import { Writable } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'
import { isAbort, TailraceError } from '../errors.ts'
import type { LandedOffsets } from '../offsets/landed-offsets.ts'
import {
  type Batch,
  type FailedAttempt,
  type FailedBatch,
  generationKey,
  type LandedBatch,
  type PreparedBatch,
  type Span,
} from '../records.ts'
import { type Logger, silentLogger } from '../reporting/logger.ts'
import { retryLog } from '../reporting/retry-log.ts'
import { type RetryPolicy, retry } from '../retry.ts'
import { removeStaged } from '../streams/staging/staging.ts'
import { CommitFencedError, type FencedSpan, requireOffsets } from './commit-fence.ts'
import { remainingRows } from './encoding/remaining-rows.ts'
import type { CommitReceipt, EncodedBatch, TableCommitter } from './table-committer.ts'

/** Encodes a sealed spool as Parquet files. */
export interface BatchEncoder {
  /**
   * @param signal aborts the encoding
   * @throws DISK_FULL, ENCODE_FAILED, or the signal's reason; no file is left then
   */
  encode(batch: Batch, signal?: AbortSignal): Promise<EncodedBatch>
}

/** Copies the table's offsets into the offset file. */
export interface OffsetFollower {
  mirror(offsets: LandedOffsets, tableVersion: number | undefined): Promise<void>
}

/** Repeats writes that fail because a volume is full. */
export interface SpaceGuard {
  withSpace<T>(write: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

export interface LakehouseSinkOptions {
  readonly encoder: BatchEncoder
  readonly committer: TableCommitter
  readonly offsets: OffsetFollower
  readonly diskSpace?: SpaceGuard | undefined
  /** Awaited before each commit; must not throw. Default: nothing. */
  readonly beforeCommit?: ((prepared: PreparedBatch) => Promise<void>) | undefined
  /** Called when a batch is durable. */
  readonly onLanded?: ((landed: LandedBatch) => void) | undefined
  /** Called when a batch has failed, unless the sink was destroyed. The stream fails with the same error. */
  readonly onFailed?: ((failed: FailedBatch) => void) | undefined
  /**
   * Called with the spans of a batch that another process has landed. They are left out, and the other spans land.
   * Default: the batch fails with COMMIT_FENCED.
   */
  readonly onFenced?: ((fenced: readonly FencedSpan[]) => void) | undefined
  readonly retry?: Partial<RetryPolicy> | undefined
  readonly clock?: Clock | undefined
  readonly logger?: Logger | undefined
}

/** A batch that a sink is landing. */
export interface BatchUnderWay {
  /** When its first record arrived, in milliseconds since the epoch. */
  readonly sinceMs: number
  readonly rows: number
  /** The error of the last attempt to commit it; undefined while none has failed. */
  readonly failure?: unknown
}

/** Failed attempts that a landed batch lists; an outage of hours has thousands. */
const maxFailedAttempts = 16

const nothingEncoded: EncodedBatch = { files: [], rows: 0, rejected: 0, partial: 0 }

/**
 * Lands batches, one after the other.
 *
 * The order is the guarantee: encode, commit rows and offsets in one step, mirror the offsets, delete the spool. After a
 * crash between any two steps, the bytes after the table's offsets are read again.
 */
export class LakehouseSink extends Writable {
  #encoder: BatchEncoder
  #committer: TableCommitter
  #offsets: OffsetFollower
  #diskSpace: SpaceGuard
  #beforeCommit: ((prepared: PreparedBatch) => Promise<void>) | undefined
  #onLanded: (landed: LandedBatch) => void
  #onFailed: (failed: FailedBatch) => void
  #onFenced: ((fenced: readonly FencedSpan[]) => void) | undefined
  #retry: Partial<RetryPolicy>
  #clock: Clock
  #log: Logger
  #destroying = new AbortController()
  /** The end of the last batch, landed or failed. */
  #landing: Promise<void> = Promise.resolve()
  #underWay: BatchUnderWay | undefined

  constructor(options: LakehouseSinkOptions) {
    super({ objectMode: true, highWaterMark: 1 })
    this.#encoder = options.encoder
    this.#committer = options.committer
    this.#offsets = options.offsets
    this.#diskSpace = options.diskSpace ?? { withSpace: (write) => write() }
    this.#beforeCommit = options.beforeCommit
    this.#onLanded = options.onLanded ?? (() => {})
    this.#onFailed = options.onFailed ?? (() => {})
    this.#onFenced = options.onFenced
    this.#retry = options.retry ?? {}
    this.#clock = options.clock ?? systemClock
    this.#log = options.logger ?? silentLogger
  }

  /** The batch that is being landed; undefined between batches. */
  get underWay(): BatchUnderWay | undefined {
    return this.#underWay
  }

  override _write(batch: Batch, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#underWay = { sinceMs: batch.openedAtMs, rows: batch.rows }
    const landing = this.#land(batch).finally(() => {
      this.#underWay = undefined
    })
    this.#landing = landing.catch(() => {})
    landing.then(() => done(), done)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#destroying.abort()
    // The engine and the table are closed after this, so they must no longer be in use.
    this.#landing.then(() => callback(error))
  }

  async #land(batch: Batch): Promise<void> {
    const { signal } = this.#destroying
    try {
      // The spool is deleted after a failure too: its bytes are read again, and repeated failures must not fill the disk.
      const landed = await this.#landUnfenced(batch, signal).finally(() => this.#remove(batch.spoolPath))
      if (landed !== undefined) this.#onLanded(landed)
    } catch (error) {
      if (!isAbort(error)) this.#onFailed({ batch, failedAtMs: this.#clock.now(), error })
      throw error
    }
  }

  /**
   * Lands a batch without the spans that another process has landed.
   *
   * @returns undefined when no span is left
   */
  async #landUnfenced(batch: Batch, signal: AbortSignal): Promise<LandedBatch | undefined> {
    for (const span of batch.spans) this.#requireBeginning(span)
    const fenced = new Set<number>()
    // Compared with the known offsets first, so that no batch is encoded only to be refused.
    this.#leaveOut(batch, fenced, () =>
      requireOffsets(batch.spans, (span) => this.#committer.landed().get(span)),
    )
    for (;;) {
      const spans = batch.spans.filter((_, index) => !fenced.has(index))
      if (spans.length === 0) return undefined
      try {
        return await this.#landSpans(batch, fenced, spans, signal)
      } catch (error) {
        this.#leaveOut(batch, fenced, () => {
          throw error
        })
      }
    }
  }

  /** Runs `check` and adds the spans of its CommitFencedError to `fenced`; rethrows any other error. */
  #leaveOut(batch: Batch, fenced: Set<number>, check: () => void): void {
    try {
      check()
    } catch (error) {
      if (this.#onFenced === undefined || !(error instanceof CommitFencedError)) throw error
      for (const { span } of error.fenced) {
        const key = generationKey(span)
        fenced.add(batch.spans.findIndex((one) => generationKey(one) === key))
      }
      this.#onFenced(error.fenced)
    }
  }

  async #landSpans(
    whole: Batch,
    fenced: ReadonlySet<number>,
    spans: readonly Span[],
    signal: AbortSignal,
  ): Promise<LandedBatch> {
    const startedAtMs = this.#clock.now()
    const failedAttempts: FailedAttempt[] = []
    const restPath = `${whole.spoolPath}.rest.spool`
    try {
      const batch =
        fenced.size === 0
          ? whole
          : await this.#diskSpace.withSpace(() => remainingRows(whole, fenced, restPath), signal)
      const encoded =
        batch.rows === 0
          ? nothingEncoded
          : await this.#diskSpace.withSpace(() => this.#encoder.encode(batch, signal), signal)
      try {
        const encodedAt = this.#clock.now()
        const prepared: PreparedBatch = {
          batch: { ...batch, spans },
          rows: encoded.rows,
          rejected: encoded.rejected,
          partial: encoded.partial,
          fileBytes: encoded.files.reduce((sum, file) => sum + file.bytes, 0),
          encodeMs: encodedAt - startedAtMs,
        }
        await this.#beforeCommit?.(prepared)
        const receipt = await this.#commit(batch.id, spans, encoded, failedAttempts, signal)
        const committedAt = this.#clock.now()
        await this.#mirror(receipt.tableVersion, signal)
        return {
          ...prepared,
          rejectedBy: encoded.rejectedBy,
          startedAtMs,
          commitMs: committedAt - encodedAt,
          failedAttempts,
          tableVersion: receipt.tableVersion,
        }
      } finally {
        await Promise.all(encoded.files.map(({ path }) => this.#remove(dirname(path))))
      }
    } finally {
      if (fenced.size > 0) await this.#remove(restPath)
    }
  }

  /** The committer has made the offsets durable, so a file that cannot be written now is written with the next batch. */
  async #mirror(tableVersion: number | undefined, signal: AbortSignal): Promise<void> {
    const write = () => this.#offsets.mirror(this.#committer.landed(), tableVersion)
    try {
      await this.#diskSpace.withSpace(write, signal)
    } catch (error) {
      signal.throwIfAborted()
      this.#log.warn(
        { err: error },
        'the offset file was not written: it is written again with the next batch',
      )
    }
  }

  #remove(path: string): Promise<void> {
    return removeStaged(path, this.#log)
  }

  /** A span may start after offset 0 only if its blob has an offset already; otherwise bytes were skipped. */
  #requireBeginning(span: Span): void {
    if (span.start === 0 || this.#committer.landed().get(span) !== undefined) return
    throw new TailraceError(
      'SPAN_GAP',
      `Bytes of ${span.blob} were skipped: expected 0, found ${span.start}.`,
      {
        context: { expected: 0, found: span.start },
      },
    )
  }

  #commit(
    batch: string,
    spans: readonly Span[],
    encoded: EncodedBatch,
    failedAttempts: FailedAttempt[],
    signal: AbortSignal,
  ): Promise<CommitReceipt> {
    const log = retryLog(this.#log, 'commit failed', { batch })
    return retry(() => this.#diskSpace.withSpace(() => this.#committer.land(spans, encoded), signal), {
      policy: this.#retry,
      clock: this.#clock,
      signal,
      onRetry: (event) => {
        const { error } = event
        if (this.#underWay !== undefined) this.#underWay = { ...this.#underWay, failure: error }
        if (failedAttempts.length < maxFailedAttempts) failedAttempts.push({ atMs: this.#clock.now(), error })
        log(event)
      },
    })
  }
}
