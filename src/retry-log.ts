import type { Logger } from './logger.ts'
import type { RetryEvent } from './retry.ts'

/**
 * Logs retries at their 1st, 2nd, 4th, 8th… attempt: an outage of hours must not flood the log.
 *
 * @param message what failed
 */
export function retryLog(log: Logger, message: string, fields: Readonly<Record<string, unknown>> = {}) {
  return ({ error, attempt, pauseMs }: RetryEvent): void => {
    if ((attempt & (attempt - 1)) === 0)
      log.warn({ ...fields, err: error, attempt, pauseMs }, `${message}, trying again`)
  }
}
