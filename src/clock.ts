import { setTimeout as delay } from 'node:timers/promises'

/** The source of time. Code that waits or takes timestamps gets one as an argument, so that tests control time. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Resolves after `ms` milliseconds. Rejects with an AbortError when the signal fires first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls `fire` once after `ms` milliseconds; the returned function cancels that. The timer keeps no process alive. */
  after(ms: number, fire: () => void): () => void
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal ? { signal } : undefined)
  },
  after: (ms, fire) => {
    const timer = setTimeout(fire, ms).unref()
    return () => clearTimeout(timer)
  },
}

/**
 * Whether a pause since an instant is over. It is over, too, when the clock was set back to before that instant: the pause
 * would last until the clock is there again.
 */
export function isPauseOver(sinceMs: number, pauseMs: number, nowMs: number): boolean {
  return nowMs < sinceMs || nowMs - sinceMs >= pauseMs
}

/** Sleeps for `ms`, or until the signal fires: the caller then checks the signal. */
export async function sleepUnlessAborted(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/**
 * Aborts a request that makes no progress for a time limit, or whose caller aborts it.
 *
 * A request has steps (credential, answer, body), each with its own limit.
 */
export class Deadline {
  #controller = new AbortController()
  #clock: Clock
  #outer: AbortSignal | undefined
  #cancel: () => void = () => {}
  #expired: Error | undefined
  #awaited = ''
  #limitMs = 0
  #lastMs = 0

  /**
   * @param awaited completes the message `no … for 30000 ms`
   * @param outer the caller's signal; it may outlive this request, so `clear` removes the listener
   */
  constructor(clock: Clock, awaited: string, limitMs: number, outer?: AbortSignal) {
    this.#clock = clock
    this.#outer = outer
    if (outer?.aborted === true) this.#forward()
    else outer?.addEventListener('abort', this.#forward, { once: true })
    this.next(awaited, limitMs)
  }

  /** Aborts once: with `expired` as its reason, or with the reason of the caller's signal. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** A TimeoutError that names the step; undefined while time is left, and after an abort by the caller. */
  get expired(): Error | undefined {
    return this.#expired
  }

  /** Begins the next step, with its own limit. */
  next(awaited: string, limitMs: number): void {
    this.#awaited = awaited
    this.#limitMs = limitMs
    this.#lastMs = this.#clock.now()
    this.#arm(limitMs)
  }

  /** Suspends the limit until the next step begins. */
  pause(): void {
    this.#cancel()
  }

  /** Restarts the limit after progress. Sets no timer: it is called for every piece of a body. */
  touch(): void {
    this.#lastMs = this.#clock.now()
  }

  /**
   * Waits for `work` until the signal aborts, for work that does not end by itself when its signal aborts.
   *
   * @param discard releases a result that arrives after the abort
   * @throws the signal's reason, or the error of `work`
   */
  async race<T>(work: Promise<T>, discard: (late: T) => void = () => {}): Promise<T> {
    let stop: () => void = () => {}
    const aborted = new Promise<never>((_resolve, reject) => {
      stop = () => reject(this.signal.reason)
    })
    if (this.signal.aborted) stop()
    this.signal.addEventListener('abort', stop, { once: true })
    try {
      return await Promise.race([work, aborted])
    } catch (error) {
      work.then(discard, () => {})
      throw error
    } finally {
      this.signal.removeEventListener('abort', stop)
      aborted.catch(() => {})
    }
  }

  /** Cancels the timer and removes the listener from the caller's signal. */
  clear(): void {
    this.#cancel()
    this.#outer?.removeEventListener('abort', this.#forward)
  }

  #forward = (): void => {
    this.#cancel()
    this.#controller.abort(this.#outer?.reason)
  }

  #arm(ms: number): void {
    this.#cancel()
    if (!this.signal.aborted) this.#cancel = this.#clock.after(ms, () => this.#check())
  }

  #check(): void {
    const leftMs = this.#lastMs + this.#limitMs - this.#clock.now()
    // Without the minimum, a clock that was set back by an hour would lengthen the wait by an hour.
    if (leftMs > 0) {
      this.#arm(Math.min(leftMs, this.#limitMs))
    } else {
      this.#expired = new Error(`no ${this.#awaited} for ${this.#limitMs} ms`)
      this.#expired.name = 'TimeoutError'
      this.#controller.abort(this.#expired)
    }
  }
}
