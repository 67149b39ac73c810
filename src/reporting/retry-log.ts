import type { RetryEvent } from '../retry.ts'
import type { Logger } from './logger.ts'

/** Selects the failures in a row to log: the 1st, 2nd, 4th, 8th…, so that days of failures do not flood the log. */
export function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0
}

/**
 * @param message names the operation that failed
 * @returns a callback for `RetryOptions.onRetry` that logs the 1st, 2nd, 4th, 8th… failed attempt
 */
export function retryLog(log: Logger, message: string, fields: Readonly<Record<string, unknown>> = {}) {
  return ({ error, attempt, pauseMs }: RetryEvent): void => {
    if (isPowerOfTwo(attempt))
      log.warn({ ...fields, err: error, attempt, pauseMs }, `${message}, trying again`)
  }
}
