import type { Clock } from '../../../clock.ts'

/** Longest wait for a turn, in milliseconds: an attempt may take much longer when the warehouse does not answer. */
const maxWaitMs = 60_000

/**
 * The transactions of one process on one offsets table, one attempt after the other, because two at once would conflict.
 * Pauses between the attempts of one transaction belong to the others. An attempt that has waited for long is made beside
 * the one before it: at worst it conflicts, and is sent again.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Makes an attempt in its turn. */
  async take(attempt: () => Promise<void>, clock: Clock): Promise<void> {
    const turn = this.#attemptAfter(this.#last, attempt, clock)
    this.#last = turn.catch(() => {})
    await turn
  }

  async #attemptAfter(before: Promise<unknown>, attempt: () => Promise<void>, clock: Clock): Promise<void> {
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(maxWaitMs, resolve)
    })
    await Promise.race([before, late])
    cancel()
    await attempt()
  }
}
