import type { Clock } from '../clock.ts'
import { type LandedBatch, spanBytes } from '../records.ts'
import type { Logger } from '../reporting/logger.ts'
import type { PipelineStatistics } from './pipeline-statistics.ts'

/** Totals of a pipeline since it was started. */
export interface PipelineCounters {
  rows: number
  rejected: number
  partial: number
  /** Source bytes landed. */
  bytes: number
  batches: number
}

/** Blobs named in one log line; a batch can hold ranges of hundreds. */
export const maxLoggedSpans = 10

/** When a pipeline landed last. */
export interface LastLanded {
  readonly atMs: number
  readonly tableVersion: number | undefined
}

interface LandingLogOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly statistics: PipelineStatistics
}

/** Counts and logs what a pipeline lands. */
export class LandingLog {
  readonly counters: PipelineCounters = { rows: 0, rejected: 0, partial: 0, bytes: 0, batches: 0 }
  #last: LastLanded | undefined
  readonly #clock: Clock
  readonly #log: Logger
  readonly #statistics: PipelineStatistics

  constructor({ clock, logger, statistics }: LandingLogOptions) {
    this.#clock = clock
    this.#log = logger
    this.#statistics = statistics
  }

  /** The last batch; undefined before the first one. */
  get last(): LastLanded | undefined {
    return this.#last
  }

  /** @param lagBytes bytes of the known blobs that have not landed */
  note(landing: LandedBatch, lagBytes: number): void {
    this.#statistics.noteLanded(landing)
    const { batch, ...landed } = landing
    const { rows, rejected, partial, tableVersion, fileBytes, encodeMs, commitMs } = landed
    const bytes = batch.spans.reduce((sum, span) => sum + spanBytes(span), 0)
    this.counters.rows += rows
    this.counters.rejected += rejected
    this.counters.partial += partial
    this.counters.bytes += bytes
    this.counters.batches += 1
    const atMs = this.#clock.now()
    this.#last = { atMs, tableVersion }
    this.#statistics.noteCommit({ atMs, tableVersion, rows, rejected, bytes, encodeMs, commitMs })
    this.#log.info(
      {
        batch: batch.id,
        blobs: batch.spans.slice(0, maxLoggedSpans).map(({ blob, start, end }) => ({ blob, start, end })),
        blobCount: batch.spans.length,
        rows,
        bytes,
        fileBytes,
        tableVersion,
        encodeMs,
        commitMs,
        ageMs: this.#clock.now() - batch.openedAtMs,
        lagBytes,
      },
      'landed',
    )
    if (rejected + partial > 0) {
      this.#log.warn({ rejected, partial }, 'lines were rejected or did not fit: see tailrace rejects')
    }
  }
}
