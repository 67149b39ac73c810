import type { Clock } from '../../clock.ts'
import { SerialQueue } from '../../offsets/serial-queue.ts'
import { RequestFailure } from './failures.ts'

/** A wrong token takes this time, in which no other one is judged. */
const wrongTokenMs = 500

/** Tokens that may wait for those before them; more are refused without a verdict. */
const maxWaiting = 16

/**
 * Slows down guesses: every token that a request gives is judged here, one after the other, the right ones too. A right one
 * that did not wait would let somebody give up each guess that is not answered at once.
 */
export class TokenGate {
  readonly #clock: Clock
  readonly #queue = new SerialQueue()
  #waiting = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * @param judge the verdict: undefined or false for a wrong token
   * @throws RequestFailure BUSY
   */
  async pass<Verdict>(judge: () => Verdict): Promise<Verdict> {
    if (this.#waiting > maxWaiting)
      throw new RequestFailure('BUSY', 'Too many wrong tokens: try again in a moment.')
    this.#waiting += 1
    try {
      return await this.#queue.run(async () => {
        const verdict = judge()
        // Whether or not its client still waits for it.
        if (verdict === undefined || verdict === false) await this.#clock.sleep(wrongTokenMs)
        return verdict
      })
    } finally {
      this.#waiting -= 1
    }
  }
}
