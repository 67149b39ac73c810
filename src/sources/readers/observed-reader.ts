import type { Clock } from '../../clock.ts'
import { isTailraceError } from '../../errors.ts'
import type { Logger } from '../../reporting/logger.ts'
import { type RetryOptions, retry } from '../../retry.ts'
import type { BlobReader } from '../blob-reader.ts'

/** Time without a success after which an outage is logged, in milliseconds. */
const outageMs = 10_000
/** Longest time between two log lines about an outage, in milliseconds. */
const maxReportMs = 600_000

export interface StorageHealthOptions {
  /** Name of the account, for the log. No secret. */
  readonly account: string
  readonly clock: Clock
  readonly logger: Logger
}

interface Outage {
  readonly sinceMs: number
  failures: number
  failure: unknown
  reportPauseMs: number
  nextReportAtMs: number
  isReported: boolean
}

/**
 * Whether a storage account answers at all, judged by the results of all requests to it.
 *
 * It distinguishes a failing blob from failing storage. An outage is logged after 10 s without a success, then after twice
 * as long each time, at least every 10 min, and once when it is over.
 */
export class StorageHealth {
  readonly account: string
  #clock: Clock
  #log: Logger
  #succeededAtMs = Number.NEGATIVE_INFINITY
  /** Since the first failure after the last success. */
  #outage: Outage | undefined
  /** Requests that have not been answered. */
  #pending = 0
  #unansweredSinceMs: number | undefined

  constructor({ account, clock, logger }: StorageHealthOptions) {
    this.account = account
    this.#clock = clock
    this.#log = logger
  }

  /** @returns whether storage answered any request to this account at or after an instant */
  succeededSince(instantMs: number): boolean {
    return this.#succeededAtMs >= instantMs
  }

  /**
   * When the first of the requests was sent that storage has not answered since its last answer, in milliseconds since the
   * epoch. Undefined while none waits for an answer, and none has failed since.
   */
  get unansweredSinceMs(): number | undefined {
    return this.#unansweredSinceMs
  }

  /** The error of the last request since the last answer; undefined when none has failed. */
  get failure(): unknown {
    return this.#outage?.failure
  }

  /** Notes that a request was sent; its end is noted by `ended`. */
  began(): void {
    this.#pending += 1
    this.#unansweredSinceMs ??= this.#clock.now()
  }

  /** Notes the end of a request, after its result. One that was aborted has no result. */
  ended(): void {
    this.#pending -= 1
    if (this.#pending === 0 && this.#outage === undefined) this.#unansweredSinceMs = undefined
  }

  /** Notes that a request was answered. */
  succeeded(): void {
    const now = this.#clock.now()
    // Storage answers now, however long ago the other requests were sent.
    this.#unansweredSinceMs = this.#pending > 0 ? now : undefined
    const outage = this.#outage
    this.#succeededAtMs = now
    this.#outage = undefined
    if (outage?.isReported !== true) return
    const { sinceMs, failures } = outage
    this.#log.info({ account: this.account, outageMs: now - sinceMs, failures }, 'storage answers again')
  }

  /** Notes the error of a request. Storage that refuses a request answers; only SOURCE_UNAVAILABLE counts as a failure. */
  failed(error: unknown): void {
    if (!isTailraceError(error)) return
    if (error.code !== 'SOURCE_UNAVAILABLE') {
      if (error.context.status !== undefined) this.succeeded()
      return
    }
    const now = this.#clock.now()
    this.#unansweredSinceMs ??= now
    this.#outage ??= {
      sinceMs: now,
      failures: 0,
      failure: error,
      reportPauseMs: outageMs,
      nextReportAtMs: now + outageMs,
      isReported: false,
    }
    const outage = this.#outage
    outage.failures += 1
    outage.failure = error
    if (now < outage.nextReportAtMs) return
    outage.isReported = true
    outage.reportPauseMs = Math.min(outage.reportPauseMs * 2, maxReportMs)
    outage.nextReportAtMs = now + outage.reportPauseMs
    this.#log.warn(
      {
        account: this.account,
        outageMs: now - outage.sinceMs,
        failures: outage.failures,
        err: error,
      },
      'storage does not answer; reading resumes when it does',
    )
  }
}

/** A reader whose requests are noted in the health of their account. */
export interface ObservedReader extends BlobReader {
  readonly health: StorageHealth
}

/** Wraps a reader so that the result of each request is noted in `health`. */
export function observedReader(reader: BlobReader, health: StorageHealth): ObservedReader {
  const observed = async <T>(send: () => Promise<T>): Promise<T> => {
    health.began()
    try {
      const answer = await send()
      health.succeeded()
      return answer
    } catch (error) {
      health.failed(error)
      throw error
    } finally {
      health.ended()
    }
  }
  return {
    container: reader.container,
    health,
    read: (blobName, request) => observed(() => reader.read(blobName, request)),
    listPage: (request) => observed(() => reader.listPage(request)),
  }
}

/**
 * Wraps a reader so that failed requests are retried: for commands, which have no tailer to do it. The signal also ends
 * requests that have none of their own.
 */
export function retryingReader(reader: BlobReader, options: RetryOptions): BlobReader {
  const { signal } = options
  return {
    container: reader.container,
    read: (blobName, request) =>
      retry(() => reader.read(blobName, { ...request, signal: request.signal ?? signal }), options),
    listPage: (request) =>
      retry(() => reader.listPage({ ...request, signal: request.signal ?? signal }), options),
  }
}
