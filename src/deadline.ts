import type { Clock } from './clock.ts'

/** Ends a request when nothing happens for a while, or when its caller gives up. */
export class Deadline {
  #controller = new AbortController()
  #clock: Clock
  #outer: AbortSignal | undefined
  #cancel: () => void = () => {}
  #expired: Error | undefined
  #what = ''
  #limitMs = 0
  #lastMs = 0

  /**
   * @param what what has to happen in time, as in `no head of an answer for 30000 ms`
   * @param outer the caller's own signal, which may live on long after this request
   */
  constructor(clock: Clock, what: string, limitMs: number, outer?: AbortSignal) {
    this.#clock = clock
    this.#outer = outer
    if (outer?.aborted === true) this.#forward()
    else outer?.addEventListener('abort', this.#forward, { once: true })
    this.next(what, limitMs)
  }

  /** Fires once, with the reason. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** What did not happen in time; undefined while there is time left, and when it was the caller who gave up. */
  get expired(): Error | undefined {
    return this.#expired
  }

  /** Begins another step, with a time of its own. */
  next(what: string, limitMs: number): void {
    this.#what = what
    this.#limitMs = limitMs
    this.#lastMs = this.#clock.now()
    this.#arm(limitMs)
  }

  /** Stops the time until the next step begins. */
  pause(): void {
    this.#cancel()
  }

  /** Something happened: the time begins anew. Costs no timer, so that it can be told of every piece of a body. */
  touch(): void {
    this.#lastMs = this.#clock.now()
  }

  /**
   * Waits for `work`, and no longer than there is time: not everything below heeds a signal.
   *
   * @param discard gets a result that came too late, to release what it holds
   */
  async race<T>(work: Promise<T>, discard: (late: T) => void = () => {}): Promise<T> {
    let stop: () => void = () => {}
    const over = new Promise<never>((_resolve, reject) => {
      stop = () => reject(this.signal.reason)
    })
    if (this.signal.aborted) stop()
    this.signal.addEventListener('abort', stop, { once: true })
    try {
      return await Promise.race([work, over])
    } catch (error) {
      work.then(discard, () => {})
      throw error
    } finally {
      this.signal.removeEventListener('abort', stop)
      over.catch(() => {})
    }
  }

  /** Ends the watch and lets go of the caller's signal. */
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
    if (!this.signal.aborted) this.#cancel = this.#clock.after(ms, () => this.#look())
  }

  #look(): void {
    const leftMs = this.#lastMs + this.#limitMs - this.#clock.now()
    // A clock that was set back would otherwise make the wait as long as it was set back by.
    if (leftMs > 0) {
      this.#arm(Math.min(leftMs, this.#limitMs))
    } else {
      this.#expired = new Error(`no ${this.#what} for ${this.#limitMs} ms`)
      this.#expired.name = 'TimeoutError'
      this.#controller.abort(this.#expired)
    }
  }
}
