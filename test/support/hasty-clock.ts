import { setImmediate as turn } from 'node:timers/promises'
import { type Clock, systemClock } from '../../src/clock.ts'

export interface HastyClockOptions {
  /** Pauses up to this length are the machine's, in milliseconds. Default 0. */
  readonly shortPauseMs?: number
  /** Hears of each pause that takes no time, before it ends. */
  readonly onPause?: (ms: number) => void
}

/** The machine's clock, but that long pauses take no time: each moves it on by its length instead. */
export class HastyClock implements Clock {
  readonly #options: HastyClockOptions
  #aheadMs = 0

  constructor(options: HastyClockOptions = {}) {
    this.#options = options
  }

  now(): number {
    return systemClock.now() + this.#aheadMs
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { shortPauseMs = 0, onPause } = this.#options
    if (ms <= shortPauseMs) return systemClock.sleep(ms, signal)
    await turn(undefined, signal === undefined ? {} : { signal })
    onPause?.(ms)
    this.#aheadMs += ms
  }

  /** Limits of time are the machine's: nothing expires because somebody else paused. */
  after(ms: number, fire: () => void): () => void {
    return systemClock.after(ms, fire)
  }
}
