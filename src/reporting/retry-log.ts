import type { RetryEvent } from '../retry.ts'
import type { Logger } from './logger.ts'

/** Called with the error of each attempt that is repeated. */
type NoteRetry = (error: unknown) => void

const noteOf = new WeakMap<Logger, NoteRetry>()

/** Has each attempt noted that is repeated and logged through `log`: every retry of a pipeline has the pipeline's logger. */
export function noteRetries(log: Logger, note: NoteRetry): void {
  noteOf.set(log, note)
}

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
    noteOf.get(log)?.(error)
    if (isPowerOfTwo(attempt))
      log.warn({ ...fields, err: error, attempt, pauseMs }, `${message}, trying again`)
  }
}
