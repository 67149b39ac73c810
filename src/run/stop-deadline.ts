import type { Clock } from '../clock.ts'

/** An abort gets the last quarter of the time of a stop, but no more than this, in milliseconds. */
const maxAbortMs = 2_000

/** In less time than this, in milliseconds, an abort has no quarter to end in order: it is overdue at once. */
const minStopMs = 1_000

export interface StopDeadlineOptions {
  /** Limit of the whole stop, in milliseconds. */
  readonly stopMs: number
  /** Called when the time to land complete lines is over, just before the signal fires. */
  readonly onLate?: (() => void) | undefined
  /** Called when the time for the abort is over, too. */
  readonly onOverdue?: (() => void) | undefined
  readonly clock: Clock
}

/** Limits the time of a stop: first the pipelines drain, then they are aborted, then the stop is overdue. */
export class StopDeadline {
  readonly #options: StopDeadlineOptions
  readonly #aborting = new AbortController()
  readonly #cancelling = new AbortController()
  #begunAtMs: number | undefined
  #overdueSinceMs: number | undefined

  constructor(options: StopDeadlineOptions) {
    this.#options = options
  }

  /** Fires when the pipelines are to be aborted. */
  get signal(): AbortSignal {
    return this.#aborting.signal
  }

  /** Since when the stop should have ended, in milliseconds since the epoch; undefined while there is time. */
  get overdueSinceMs(): number | undefined {
    return this.#overdueSinceMs
  }

  get hasBegun(): boolean {
    return this.#begunAtMs !== undefined
  }

  /** The time of a stop that is left before an abort, in milliseconds; all of it before the stop begins. */
  get leftMs(): number {
    const drainMs = this.#options.stopMs - this.#abortMs
    return this.#begunAtMs === undefined
      ? drainMs
      : Math.max(0, this.#begunAtMs + drainMs - this.#options.clock.now())
  }

  /** Starts the time of a stop; only the first call counts. */
  begin(): void {
    if (this.#begunAtMs !== undefined) return
    this.#begunAtMs = this.#options.clock.now()
    // It rejects only when it is cancelled.
    this.#run().catch(() => {})
  }

  /** Ends the time: all pipelines have ended. */
  cancel(): void {
    this.#cancelling.abort()
  }

  get #abortMs(): number {
    const { stopMs } = this.#options
    return stopMs < minStopMs ? 0 : Math.min(maxAbortMs, Math.floor(stopMs / 4))
  }

  async #run(): Promise<void> {
    const { stopMs, onLate, clock } = this.#options
    const abortMs = this.#abortMs
    await clock.sleep(stopMs - abortMs, this.#cancelling.signal)
    onLate?.()
    if (abortMs === 0) this.#overdue()
    this.#aborting.abort()
    if (abortMs === 0) return
    await clock.sleep(abortMs, this.#cancelling.signal)
    this.#overdue()
  }

  #overdue(): void {
    this.#overdueSinceMs = this.#options.clock.now()
    this.#options.onOverdue?.()
  }
}
