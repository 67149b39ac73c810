import type { Clock } from '../clock.ts'

/** An abort gets a quarter of the time that a stop may take, and no more than this, in milliseconds. */
const maxAbortMs = 2_000

/** A quarter of less than this is no time to end anything in order: the stop is then overdue at once. */
const minStopMs = 1_000

export interface StopDeadlineOptions {
  /** How long a stop may take in all, in milliseconds. */
  readonly stopMs: number
  /** Called when there is no time left to land what is complete, just before the signal fires. */
  readonly onLate?: () => void
  /** Called when the abort, too, has not come to its end in time. */
  readonly onOverdue?: () => void
  readonly clock: Clock
}

/** Bounds the time of a stop: first it drains, then it is aborted, and then it is overdue. */
export class StopDeadline {
  readonly #options: StopDeadlineOptions
  readonly #aborting = new AbortController()
  readonly #cancelling = new AbortController()
  #hasBegun = false

  constructor(options: StopDeadlineOptions) {
    this.#options = options
  }

  /** Fires when what is under way has to end at once. */
  get signal(): AbortSignal {
    return this.#aborting.signal
  }

  /** A stop begins, whatever its cause; the time of the first call counts. */
  begin(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    // A rejection says that it was cancelled.
    this.#run().catch(() => {})
  }

  /** All has ended. */
  cancel(): void {
    this.#cancelling.abort()
  }

  async #run(): Promise<void> {
    const { stopMs, onLate, onOverdue, clock } = this.#options
    const abortMs = stopMs < minStopMs ? 0 : Math.min(maxAbortMs, Math.floor(stopMs / 4))
    await clock.sleep(stopMs - abortMs, this.#cancelling.signal)
    onLate?.()
    if (abortMs === 0) onOverdue?.()
    this.#aborting.abort()
    if (abortMs === 0) return
    await clock.sleep(abortMs, this.#cancelling.signal)
    onOverdue?.()
  }
}
