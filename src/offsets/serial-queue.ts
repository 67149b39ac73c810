/** Runs asynchronous work one piece at a time, in the order of the calls. A failed piece does not stop the next one. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve()

  /** @returns the result of `work`, which starts when all earlier work has ended */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }

  /** Resolves when all work added so far has ended. Never rejects: `run` reports failures to its caller. */
  async idle(): Promise<void> {
    await this.#last
  }
}
