import type { Clock } from '../../src/clock.ts'

/** A clock that the test owns: a sleep takes no time at all and moves the clock on. */
export class VirtualClock implements Clock {
  /** Every pause that was asked for, in milliseconds. */
  readonly pauses: number[] = []
  #nowMs: number
  #onSleep: (pause: number) => void | Promise<void>

  /** @param onSleep what happens in the world during the n-th pause, counted from 1 */
  constructor(onSleep: (pause: number) => void | Promise<void> = () => {}, nowMs = 1_795_510_020_000) {
    this.#onSleep = onSleep
    this.#nowMs = nowMs
  }

  now(): number {
    return this.#nowMs
  }

  advance(ms: number): void {
    this.#nowMs += ms
  }

  /** Deadlines of real requests never pass here: only sleeps move the time. */
  after(): () => void {
    return () => {}
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.pauses.push(ms)
    if (this.pauses.length > 100_000) throw new Error('The test sleeps without end.')
    // A turn of the event loop, so that a loop of sleeps lets everything else run.
    await new Promise((resolve) => setImmediate(resolve))
    await this.#onSleep(this.pauses.length)
    this.#nowMs += ms
    signal?.throwIfAborted()
  }
}
