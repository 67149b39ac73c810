import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../../src/clock.ts'
import type { DeltaStorage, PutOutcome } from '../../../src/sinks/delta/storage/delta-storage.ts'

/** Time that passes only when nothing else is left to do: each wait ends in its turn, without waiting. */
export class SimulatedClock implements Clock {
  #nowMs = Date.UTC(2026, 0, 1)
  #waits: { readonly atMs: number; readonly wake: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  sleep(ms: number): Promise<void> {
    return new Promise((wake) => {
      const wait = { atMs: this.#nowMs + ms, wake }
      const index = this.#waits.findIndex(({ atMs }) => atMs > wait.atMs)
      this.#waits.splice(index < 0 ? this.#waits.length : index, 0, wait)
    })
  }

  after(): () => void {
    throw new Error('not simulated')
  }

  /** Lets time pass until `work` is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const done = work.finally(() => {
      isDone = true
    })
    done.catch(() => {})
    for (;;) {
      await turn()
      if (isDone) return done
      const wait = this.#waits.shift()
      if (wait === undefined) throw new Error('Nothing is left that could end the work.')
      this.#nowMs = wait.atMs
      wait.wake()
    }
  }
}

export interface Latencies {
  readonly putMs: number
  readonly readMs: number
}

/** A log in memory whose requests take the clock's time, each taking effect in the middle of it. */
export class SimulatedStorage implements Pick<DeltaStorage, 'location' | 'putIfAbsent' | 'read'> {
  readonly location = 'simulated'
  readonly #objects = new Map<string, Buffer>()
  readonly #clock: Clock
  readonly #latencies: Latencies
  requests = 0

  constructor(clock: Clock, latencies: Latencies) {
    this.#clock = clock
    this.#latencies = latencies
  }

  async putIfAbsent(path: string, bytes: Buffer): Promise<PutOutcome> {
    return this.#taking(this.#latencies.putMs, () => {
      if (this.#objects.has(path)) return 'exists'
      this.#objects.set(path, bytes)
      return 'created'
    })
  }

  async read(path: string): Promise<Buffer | undefined> {
    return this.#taking(this.#latencies.readMs, () => this.#objects.get(path))
  }

  async #taking<T>(ms: number, effect: () => T): Promise<T> {
    this.requests += 1
    await this.#clock.sleep(ms / 2)
    const result = effect()
    await this.#clock.sleep(ms / 2)
    return result
  }
}
