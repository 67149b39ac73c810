import { sleepBy } from '../../../doubles/sleep-by.ts'
import type { Clock } from '../../../src/clock.ts'

/** Time that passes when it is told to, for servers whose clients are real. */
export class ManualClock implements Clock {
  #nowMs = Date.UTC(2026, 10, 24)
  readonly #due = new Map<() => void, number>()

  now(): number {
    return this.#nowMs
  }

  after(ms: number, fire: () => void): () => void {
    // A function of its own, so that one function can be due twice.
    const once = (): void => fire()
    this.#due.set(once, this.#nowMs + ms)
    return () => void this.#due.delete(once)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy((later, fire) => this.after(later, fire), ms, signal)
  }

  /** Lets the time pass, and fires what is due by then, the earliest first. */
  advance(ms: number): void {
    this.#nowMs += ms
    const due = [...this.#due]
      .filter(([, atMs]) => atMs <= this.#nowMs)
      .sort(([, one], [, other]) => one - other)
    for (const [fire] of due) {
      if (this.#due.delete(fire)) fire()
    }
  }
}
