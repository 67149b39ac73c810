import type { RetryEvent } from '../retry.ts'
import type { Logger } from './logger.ts'

/** Whether the n-th time in a row is told: the 1st, 2nd, 4th, 8th… What fails for days must not flood the log. */
export function isWorthTelling(count: number): boolean {
  return (count & (count - 1)) === 0
}

/**
 * Logs retries at their 1st, 2nd, 4th, 8th… attempt: an outage of hours must not flood the log.
 *
 * @param message what failed
 */
export function retryLog(log: Logger, message: string, fields: Readonly<Record<string, unknown>> = {}) {
  return ({ error, attempt, pauseMs }: RetryEvent): void => {
    if (isWorthTelling(attempt))
      log.warn({ ...fields, err: error, attempt, pauseMs }, `${message}, trying again`)
  }
}
