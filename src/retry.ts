import { type Clock, systemClock } from './clock.ts'
import { isTailraceError } from './errors.ts'

/** The pauses and the number of attempts of a retry. */
export interface RetryPolicy {
  /** Upper bound of the first pause, in milliseconds. Default 200. */
  readonly baseMs: number
  /** Upper bound of any pause, in milliseconds. Default 30,000. */
  readonly capMs: number
  /** Maximum number of attempts, the first included. Default Infinity: an outage of any length is waited out. */
  readonly maxAttempts: number
  /** No attempt begins later than this after the first one, in milliseconds. Default Infinity. */
  readonly maxTotalMs: number
}

/** The default policy. */
const defaultRetryPolicy: RetryPolicy = {
  baseMs: 200,
  capMs: 30_000,
  maxAttempts: Number.POSITIVE_INFINITY,
  maxTotalMs: Number.POSITIVE_INFINITY,
}

/**
 * For requests whose answer a person waits for: a command reports an outage instead of waiting it out. The slowest request,
 * a page of a listing, has 60 s, so a command ends within 90 s of storage's last answer.
 */
export const interactiveRetry: Partial<RetryPolicy> = { maxAttempts: 5, maxTotalMs: 30_000 }

/** For requests of a reader that repeats them itself, within its own limits. */
export const singleAttempt: Partial<RetryPolicy> = { maxAttempts: 1 }

/** One failed attempt that will be retried. */
export interface RetryEvent {
  readonly error: unknown
  /** 1 for the first failure. */
  readonly attempt: number
  /** The pause before the next attempt, in milliseconds. */
  readonly pauseMs: number
  /** Time of the first failure, in milliseconds since the epoch. */
  readonly failingSinceMs: number
}

export interface RetryOptions {
  readonly policy?: Partial<RetryPolicy> | undefined
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock | undefined
  /** Returns numbers uniform in [0, 1). Default Math.random. */
  readonly random?: (() => number) | undefined
  readonly onRetry?: ((event: RetryEvent) => void) | undefined
  /** Called before each retry; returning true throws the error instead of retrying. */
  readonly giveUp?: ((event: RetryEvent) => boolean) | undefined
}

/**
 * Runs `operation` until it succeeds, fails with an error that is not retried, or is aborted. There is no other retry loop.
 *
 * Only errors with the disposition `retry` are retried. Pauses grow exponentially with full jitter, and are never shorter
 * than the service requested (`context.retryAfterMs`).
 *
 * @throws the last error after the last attempt, and any error that is not retried
 */
export async function retry<T>(
  operation: (attempt: number) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { signal, clock = systemClock, random = Math.random, onRetry, giveUp } = options
  const policy = { ...defaultRetryPolicy, ...options.policy }
  const startedMs = clock.now()
  let failingSinceMs: number | undefined
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted()
    try {
      return await operation(attempt)
    } catch (error) {
      if (!isTailraceError(error) || error.disposition !== 'retry') throw error
      if (attempt >= policy.maxAttempts || signal?.aborted) throw error
      const pauseMs = pauseBefore(attempt, error.context.retryAfterMs, policy, random)
      if (clock.now() + pauseMs - startedMs > policy.maxTotalMs) throw error
      failingSinceMs ??= clock.now()
      const event = { error, attempt, pauseMs, failingSinceMs }
      if (giveUp?.(event) === true) throw error
      onRetry?.(event)
      await clock.sleep(pauseMs, signal)
    }
  }
}

function pauseBefore(attempt: number, asked: unknown, policy: RetryPolicy, random: () => number): number {
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30))
  const jittered = Math.ceil(random() * ceiling)
  return typeof asked === 'number' ? Math.max(asked, jittered) : jittered
}

/** Pauses between restarts of a failed pipeline or blob. They come on top of the retries of single requests. */
export interface GrowingPauses {
  /** The first pause, in milliseconds; each later one is twice as long. */
  readonly minPauseMs: number
  /** Upper limit of a pause, in milliseconds. */
  readonly maxPauseMs: number
}

/** @param failures consecutive failures, at least 1 @returns the next pause, in milliseconds */
export function growingPauseMs(failures: number, { minPauseMs, maxPauseMs }: GrowingPauses): number {
  return Math.min(maxPauseMs, minPauseMs * 2 ** Math.min(failures - 1, 30))
}

/** The growth of the pause between polls that find nothing new. */
const idleFactor = 1.5

/** @returns the pause that follows a poll that found nothing new, in milliseconds */
export function longerPause(pauseMs: number, maxPauseMs: number): number {
  return Math.min(maxPauseMs, pauseMs * idleFactor)
}

/**
 * The longest pause that a service can request, in milliseconds. Services request seconds; a longer pause comes from a
 * proxy's maintenance page or a wrong clock, and must not hold a stream for a day.
 */
export const maxRetryAfterMs = 300_000

/**
 * Reads a `Retry-After` header: seconds or an HTTP date (https://www.rfc-editor.org/rfc/rfc9110#name-retry-after).
 *
 * @returns the requested pause in milliseconds, at most `maxRetryAfterMs`; undefined without a usable value
 */
export function retryAfterMs(header: string | null | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? ''
  const asked = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isFinite(asked) ? Math.min(Math.max(asked, 0), maxRetryAfterMs) : undefined
}
