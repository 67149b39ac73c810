/** Lets a few things be under way at the same time; who comes later waits, in order. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  /** @param count how many may be under way */
  constructor(count: number) {
    this.#free = count
  }

  /** Waits for a slot. @returns what gives it back; to be called once */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return () => {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free += 1
      else next()
    }
  }
}
