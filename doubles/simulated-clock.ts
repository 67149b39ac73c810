import type { Clock } from '../src/clock.ts'
import { sleepBy } from './sleep-by.ts'

interface Due {
  readonly atMs: number
  /** Events of one instant happen in the order in which they were asked for. */
  readonly order: number
  readonly fire: () => void
}

/** Turns of the event loop in which nothing was asked of the clock before it takes everything as waiting for it. */
const quietTurns = 3
/** A simulation that takes more steps than this goes in a circle. */
const mostEvents = 1_000_000

/**
 * Virtual time: it stands still while anything can run, then jumps to the next event that is due.
 *
 * Nothing in a simulation may wait for anything but this clock (no socket, no file, no timer of the machine): only
 * then does a quiet event loop mean that all are waiting for the time to pass.
 */
export class SimulatedClock implements Clock {
  #nowMs: number
  /** A binary heap, the next event first. */
  #queue: Due[] = []
  #cancelled = new Set<number>()
  #asked = 0

  constructor(nowMs = 1_795_510_020_000) {
    this.#nowMs = nowMs
  }

  now(): number {
    return this.#nowMs
  }

  after(ms: number, fire: () => void): () => void {
    const order = this.#asked++
    let open = true
    const due = (): void => {
      open = false
      fire()
    }
    this.#push({ atMs: this.#nowMs + Math.max(0, ms), order, fire: due })
    return () => {
      if (open) this.#cancelled.add(order)
      open = false
    }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy((later, fire) => this.after(later, fire), ms, signal)
  }

  /**
   * Lets the time pass until `work` has settled.
   *
   * @throws what `work` throws; an error when it waits for something that no event will bring
   */
  async run<T>(work: Promise<T>): Promise<T> {
    let settled = false
    const done = (): void => {
      settled = true
    }
    work.then(done, done)
    for (let events = 0; ; events += 1) {
      await this.#quiet(() => settled)
      if (settled) return work
      const due = this.#pop()
      if (due === undefined) {
        throw new Error(
          `Nothing will ever happen: the work is unfinished at ${new Date(this.#nowMs).toISOString()}, and no sleep and no timer is due.`,
        )
      }
      if (events > mostEvents) throw new Error(`The simulation goes on after ${mostEvents} events.`)
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      due.fire()
    }
  }

  async #quiet(settled: () => boolean): Promise<void> {
    for (let turns = 0, asked = this.#asked; turns < quietTurns && !settled(); turns += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      if (asked !== this.#asked) turns = 0
      asked = this.#asked
    }
  }

  #push(due: Due): void {
    const queue = this.#queue
    let at = queue.push(due) - 1
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (!isBefore(due, queue[parent]!)) break
      queue[at] = queue[parent]!
      at = parent
    }
    queue[at] = due
  }

  #pop(): Due | undefined {
    for (;;) {
      const first = this.#popAny()
      if (first === undefined || !this.#cancelled.delete(first.order)) return first
    }
  }

  #popAny(): Due | undefined {
    const queue = this.#queue
    const first = queue[0]
    const last = queue.pop()
    if (first === undefined || last === undefined || queue.length === 0) return first
    for (let at = 0; ; ) {
      let child = 2 * at + 1
      if (child >= queue.length) {
        queue[at] = last
        return first
      }
      if (child + 1 < queue.length && isBefore(queue[child + 1]!, queue[child]!)) child += 1
      if (!isBefore(queue[child]!, last)) {
        queue[at] = last
        return first
      }
      queue[at] = queue[child]!
      at = child
    }
  }
}

function isBefore(one: Due, other: Due): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}
