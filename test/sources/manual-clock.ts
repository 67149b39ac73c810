import type { Clock } from '../../src/clock.ts'

/** A clock that moves only when the test says so, and then fires what is due, in order. */
export class ManualClock implements Clock {
  /** How many timers were ever started. */
  started = 0
  #nowMs: number
  #timers = new Set<{ readonly atMs: number; readonly fire: () => void }>()

  constructor(nowMs = Date.UTC(2026, 10, 24)) {
    this.#nowMs = nowMs
  }

  /** How many timers are waiting. */
  get waiting(): number {
    return this.#timers.size
  }

  now(): number {
    return this.#nowMs
  }

  after(ms: number, fire: () => void): () => void {
    this.started += 1
    const timer = { atMs: this.#nowMs + ms, fire }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  async sleep(ms: number): Promise<void> {
    this.advance(ms)
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms
    for (;;) {
      const [next] = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)
      if (next === undefined) break
      this.#timers.delete(next)
      this.#nowMs = next.atMs
      next.fire()
    }
    this.#nowMs = endMs
  }
}
