import type { Clock } from '../../clock.ts'
import { isTailraceError } from '../../errors.ts'
import type { Logger } from '../../reporting/logger.ts'
import { type RetryOptions, retry } from '../../retry.ts'
import type { BlobReader } from '../blob-reader.ts'

/** How long nothing may succeed before the log tells of an outage, in milliseconds. */
const outageMs = 10_000
/** The longest silence of the log in an outage, in milliseconds. */
const maxTellMs = 600_000

export interface StorageHealthOptions {
  /** The account for the log; no secret. */
  readonly account: string
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Whether a storage account answers at all, told by the outcomes of all requests to it.
 *
 * It tells "this blob fails" from "storage fails", and tells the log of an outage without flooding it: after 10 s
 * without a success, then after twice as long each time, at the latest every 10 min, and once when it is over.
 */
export class StorageHealth {
  readonly account: string
  #clock: Clock
  #log: Logger
  #succeededAtMs = Number.NEGATIVE_INFINITY
  /** The first failure since the last success. */
  #failingSinceMs: number | undefined
  #failures = 0
  #tellAfterMs = outageMs
  #tellAtMs = 0
  #told = false

  constructor({ account, clock, logger }: StorageHealthOptions) {
    this.account = account
    this.#clock = clock
    this.#log = logger
  }

  /** @returns whether any request of this account was answered at or after an instant */
  succeededSince(instantMs: number): boolean {
    return this.#succeededAtMs >= instantMs
  }

  /** A request was answered. */
  succeeded(): void {
    const now = this.#clock.now()
    this.#succeededAtMs = now
    if (this.#failingSinceMs === undefined) return
    if (this.#told) {
      const fields = { account: this.account, outageMs: now - this.#failingSinceMs, failures: this.#failures }
      this.#log.info(fields, 'storage answers again')
    }
    this.#failingSinceMs = undefined
    this.#failures = 0
    this.#told = false
  }

  /** A request ended in an error. One with a status is an answer too, unless it says that storage is unavailable. */
  failed(error: unknown): void {
    if (!isTailraceError(error)) return
    if (error.code !== 'SOURCE_UNAVAILABLE') {
      if (error.context.status !== undefined) this.succeeded()
      return
    }
    const now = this.#clock.now()
    if (this.#failingSinceMs === undefined) {
      this.#failingSinceMs = now
      this.#tellAfterMs = outageMs
      this.#tellAtMs = now + outageMs
    }
    this.#failures += 1
    if (now < this.#tellAtMs) return
    this.#told = true
    this.#tellAfterMs = Math.min(this.#tellAfterMs * 2, maxTellMs)
    this.#tellAtMs = now + this.#tellAfterMs
    this.#log.warn(
      {
        account: this.account,
        outageMs: now - this.#failingSinceMs,
        failures: this.#failures,
        err: error,
      },
      'storage does not answer; reading goes on when it does',
    )
  }
}

/** A reader whose requests tell the health of their account. */
export interface ObservedReader extends BlobReader {
  readonly health: StorageHealth
}

/** Tells `health` how each request of a reader ends. */
export function observedReader(reader: BlobReader, health: StorageHealth): ObservedReader {
  const observed = async <T>(request: Promise<T>): Promise<T> => {
    try {
      const answer = await request
      health.succeeded()
      return answer
    } catch (error) {
      health.failed(error)
      throw error
    }
  }
  return {
    container: reader.container,
    health,
    read: (blobName, request) => observed(reader.read(blobName, request)),
    listPage: (request) => observed(reader.listPage(request)),
  }
}

/** A reader that repeats reads which failed for now: for a command, which has no tailer to do it. */
export function retryingReader(reader: BlobReader, options: RetryOptions): BlobReader {
  return {
    container: reader.container,
    read: (blobName, request) => retry(() => reader.read(blobName, request), options),
    listPage: (request) => retry(() => reader.listPage(request), options),
  }
}
