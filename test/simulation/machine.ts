import { sleepBy } from '../../doubles/sleep-by.ts'
import type { Clock } from '../../src/clock.ts'

/** A call never returns to a process that is gone. */
export function never(): Promise<never> {
  return new Promise(() => {})
}

/** The files of one machine, by path below its root. */
export class MachineFiles {
  readonly nodes = new Map<string, MemoryNode>()
}

export interface MemoryNode {
  readonly kind: 'file' | 'directory'
  bytes: Buffer
  modifiedAtMs: number
}

export type CallOutcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }

/** What a world does at a call of a process: nothing, an error in its place, or the process's end before or behind it. */
export interface CallVerdict {
  readonly error?: Error | undefined
  readonly isLast?: boolean
  /** The call's duration. */
  readonly ms?: number
}

/**
 * One run of a process, from its start until it ends or is killed.
 *
 * A killed one is not unwound: its timers do not fire, its calls do not return, and so nothing of it goes on.
 */
export class Life {
  readonly id: string
  readonly machine: MachineFiles
  readonly clock: Clock
  #isAlive = true
  #onEnd: () => void = () => {}
  readonly ended: Promise<void>

  constructor(id: string, machine: MachineFiles, clock: Clock) {
    this.id = id
    this.machine = machine
    this.ended = new Promise((resolve) => {
      this.#onEnd = resolve
    })
    const after: Clock['after'] = (ms, fire) =>
      clock.after(ms, () => {
        if (this.#isAlive) fire()
      })
    this.clock = { now: () => clock.now(), after, sleep: (ms, signal) => sleepBy(after, ms, signal) }
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  /** Lets go of it: whatever it still does reaches nobody. */
  end(): void {
    this.#isAlive = false
    this.#onEnd()
  }

  /**
   * Makes a call to something outside of the process.
   *
   * @param verdict drawn when the call is made
   * @param effect takes place at once, in the middle of the call's duration
   */
  async call<T>(verdict: CallVerdict, effect: () => T): Promise<T> {
    const { error, isLast = false, ms = 0 } = verdict
    if (!this.#isAlive) return never()
    if (ms > 0) await this.clock.sleep(ms / 2)
    if (error !== undefined) throw error
    const result = effect()
    if (isLast) {
      this.end()
      return never()
    }
    if (ms > 0) await this.clock.sleep(ms / 2)
    return result
  }
}
