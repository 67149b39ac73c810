interface Waiter {
  readonly bytes: number
  readonly granted: () => void
}

/**
 * Bounds the bytes of all ranges that the lanes of a pipeline have requested, or read and not yet handed on.
 *
 * A range larger than the whole budget is granted once nothing else is held; otherwise its lane would wait forever.
 */
export class ByteBudget {
  readonly limitBytes: number
  #held = 0
  #urgent: Waiter[] = []
  #waiting: Waiter[] = []

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get heldBytes(): number {
    return this.#held
  }

  /** Takes bytes if they are free and no other lane waits. */
  tryTake(bytes: number): boolean {
    if (this.#urgent.length + this.#waiting.length > 0 || !this.#fits(bytes)) return false
    this.#held += bytes
    return true
  }

  /**
   * Waits until bytes are free, in order of arrival, and takes them.
   *
   * @param urgent goes before all that are not urgent: a lane at its blob's live end must not wait behind a backlog
   * @throws the signal's reason when it fires first
   */
  async take(bytes: number, urgent: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const queue = urgent ? this.#urgent : this.#waiting
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        granted: () => {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
      }
      const leave = (): void => {
        queue.splice(queue.indexOf(waiter), 1)
        reject(signal?.reason)
        this.#grant()
      }
      signal?.addEventListener('abort', leave, { once: true })
      queue.push(waiter)
      this.#grant()
    })
  }

  give(bytes: number): void {
    this.#held -= bytes
    this.#grant()
  }

  #fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.limitBytes
  }

  #grant(): void {
    for (;;) {
      const queue = this.#urgent.length > 0 ? this.#urgent : this.#waiting
      const [next] = queue
      if (next === undefined || !this.#fits(next.bytes)) return
      queue.shift()
      this.#held += next.bytes
      next.granted()
    }
  }
}
