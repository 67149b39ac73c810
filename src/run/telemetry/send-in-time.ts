import { type Clock, Deadline } from '../../clock.ts'
import type { TailraceError } from '../../errors.ts'
import { retry } from '../../retry.ts'

export interface SendInTimeOptions {
  /** Completes the message `no … for 10000 ms`. */
  readonly awaited: string
  /** Limit of one attempt, in milliseconds. */
  readonly attemptMs: number
  /** No attempt begins later than this after the first one, in milliseconds. */
  readonly totalMs: number
  /** @returns the failure of an attempt whose time was over */
  readonly late: (expired: Error) => TailraceError
  readonly signal: AbortSignal
  readonly clock: Clock
}

/**
 * Sends telemetry, and repeats that while it may help.
 *
 * @param attempt sends once, within the time of the deadline
 * @throws the error of the last attempt, or the signal's reason
 */
export function sendInTime<Answer>(
  attempt: (deadline: Deadline) => Promise<Answer>,
  { awaited, attemptMs, totalMs, late, signal, clock }: SendInTimeOptions,
): Promise<Answer> {
  const once = async (): Promise<Answer> => {
    const deadline = new Deadline(clock, awaited, attemptMs, signal)
    try {
      return await attempt(deadline)
    } catch (error) {
      throw deadline.expired === undefined ? error : late(deadline.expired)
    } finally {
      deadline.clear()
    }
  }
  return retry(once, { policy: { baseMs: 1_000, capMs: 5_000, maxTotalMs: totalMs }, signal, clock })
}
