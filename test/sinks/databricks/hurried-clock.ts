import { type Clock, systemClock } from '../../../src/clock.ts'

/** Real time in which pauses take none: what is slept is written down. Limits of time are as long as they are. */
export class HurriedClock implements Clock {
  readonly slept: number[] = []

  now(): number {
    return systemClock.now()
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.slept.push(ms)
    await systemClock.sleep(0, signal)
  }

  after(ms: number, fire: () => void): () => void {
    return systemClock.after(ms, fire)
  }
}
