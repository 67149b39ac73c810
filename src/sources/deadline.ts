/** An abort signal that fires when nothing happened for a while, or when the caller's own signal fires. */
export class Deadline {
  #controller = new AbortController()
  #timer: NodeJS.Timeout
  #outer: AbortSignal | undefined
  #forward = (): void => this.#controller.abort(this.#outer?.reason)

  constructor(ms: number, outer?: AbortSignal) {
    this.#outer = outer
    this.#timer = this.#start(ms)
    if (outer?.aborted) this.#forward()
    else outer?.addEventListener('abort', this.#forward, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Something happened: the time begins anew. */
  extend(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = this.#start(ms)
  }

  /** Ends the watch and lets go of the caller's signal. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this.#forward)
  }

  #start(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#controller.abort(new Error(`no answer for ${ms} ms`)), ms).unref()
  }
}
