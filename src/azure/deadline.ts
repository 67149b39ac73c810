import type { Clock } from '../clock.ts'

/** An abort signal that fires when nothing happened for a while, or when the caller's own signal fires. */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #clock: Clock
  readonly #outer: AbortSignal | undefined
  readonly #forward = (): void => this.#controller.abort(this.#outer?.reason)
  #cancel: () => void

  /**
   * @param ms how long nothing may happen, in milliseconds
   * @param outer the caller's signal
   */
  constructor(ms: number, clock: Clock, outer?: AbortSignal) {
    this.#clock = clock
    this.#outer = outer
    this.#cancel = this.#start(ms)
    if (outer?.aborted) this.#forward()
    else outer?.addEventListener('abort', this.#forward, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Something happened: the time begins anew. */
  extend(ms: number): void {
    this.#cancel()
    this.#cancel = this.#start(ms)
  }

  /** Ends the watch and lets go of the caller's signal. */
  clear(): void {
    this.#cancel()
    this.#outer?.removeEventListener('abort', this.#forward)
  }

  #start(ms: number): () => void {
    return this.#clock.after(ms, () => this.#controller.abort(new Error(`no answer for ${ms} ms`)))
  }
}
