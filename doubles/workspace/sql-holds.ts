import { statementCanceled } from './sql-failures.ts'

/** A statement that is kept from its effects. */
export interface Hold {
  /** Resolves when a statement has come that is held. */
  readonly reached: Promise<void>
  /** Releases the held statement, or removes the hold if no statement has arrived. */
  release(): void
}

interface PendingHold {
  readonly pattern: RegExp
  readonly released: Promise<void>
  tellReached(): void
}

/** Keeps statements from their effects until a test lets them go. */
export class StatementHolds {
  readonly #pending = new Set<PendingHold>()

  /** Holds the next statement whose text matches. */
  next(pattern: RegExp): Hold {
    let tellReached = (): void => {}
    let letGo = (): void => {}
    const reached = new Promise<void>((resolve) => {
      tellReached = resolve
    })
    const released = new Promise<void>((resolve) => {
      letGo = resolve
    })
    const hold = { pattern, released, tellReached }
    this.#pending.add(hold)
    return {
      reached,
      release: () => {
        this.#pending.delete(hold)
        letGo()
      },
    }
  }

  /**
   * Waits as long as the statement is held.
   *
   * @throws SqlFailure as soon as the statement is canceled
   */
  async pass(text: string, signal: AbortSignal): Promise<void> {
    throwIfCanceled(signal)
    for (const hold of this.#pending) {
      if (!hold.pattern.test(text)) continue
      this.#pending.delete(hold)
      hold.tellReached()
      await Promise.race([hold.released, aborted(signal)])
      return
    }
  }
}

/** @throws SqlFailure when the statement was canceled */
export function throwIfCanceled(signal: AbortSignal): void {
  if (signal.aborted) throw statementCanceled()
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(statementCanceled()), { once: true })
  })
}
