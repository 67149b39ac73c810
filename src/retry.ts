import { type Clock, systemClock } from './clock.ts'
import { isTailraceError } from './errors.ts'

/** How long and how often to try again. */
export interface RetryPolicy {
  /** Upper bound of the first pause, in milliseconds. Default 200. */
  readonly baseMs: number
  /** Upper bound of any pause, in milliseconds. Default 30,000. */
  readonly capMs: number
  /** Attempts in all; Infinity outlasts any outage. Default Infinity. */
  readonly maxAttempts: number
}

/** The default policy: an outage of storage is waited out. */
export const defaultRetryPolicy: RetryPolicy = {
  baseMs: 200,
  capMs: 30_000,
  maxAttempts: Number.POSITIVE_INFINITY,
}

/** One failed attempt that will be repeated. */
export interface RetryEvent {
  readonly error: unknown
  /** 1 for the first failure. */
  readonly attempt: number
  readonly pauseMs: number
  /** When the first of the attempts failed, in milliseconds since the epoch. */
  readonly failingSinceMs: number
}

export interface RetryOptions {
  readonly policy?: Partial<RetryPolicy>
  readonly signal?: AbortSignal
  readonly clock?: Clock
  /** Uniform in [0, 1). */
  readonly random?: () => number
  readonly onRetry?: (event: RetryEvent) => void
  /** Asked after each failure that would be repeated: true gives up, with the error. */
  readonly giveUp?: (event: RetryEvent) => boolean
}

/**
 * Runs `operation` until it succeeds, fails for good, or is aborted: the one retry loop.
 *
 * Only errors whose disposition is `retry` are repeated. Pauses are exponential with full jitter, never
 * shorter than what the service asked for (`context.retryAfterMs`).
 *
 * @throws the last error when the attempts are used up, and any error that is not to be retried
 */
export async function retry<T>(
  operation: (attempt: number) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const { signal, clock = systemClock, random = Math.random, onRetry, giveUp } = options
  const policy = { ...defaultRetryPolicy, ...options.policy }
  let failingSinceMs: number | undefined
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted()
    try {
      return await operation(attempt)
    } catch (error) {
      if (!isTailraceError(error) || error.disposition !== 'retry') throw error
      if (attempt >= policy.maxAttempts || signal?.aborted) throw error
      const pauseMs = pauseBefore(attempt, error.context.retryAfterMs, policy, random)
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

/** Pauses of something that failed and is taken up again on its own, apart from the retries of single requests. */
export interface GrowingPauses {
  /** The first pause, in milliseconds; each further one is twice as long. */
  readonly minPauseMs: number
  /** The longest pause, in milliseconds. */
  readonly maxPauseMs: number
}

/** @returns the pause after so many failures in a row, at least one, in milliseconds */
export function growingPauseMs(failures: number, { minPauseMs, maxPauseMs }: GrowingPauses): number {
  return Math.min(maxPauseMs, minPauseMs * 2 ** Math.min(failures - 1, 30))
}

/** How much longer each pause gets while nothing new is found. */
const idleFactor = 1.5

/** @returns the pause that follows one after which nothing new was found, in milliseconds */
export function longerPause(pauseMs: number, mostMs: number): number {
  return Math.min(mostMs, pauseMs * idleFactor)
}

/** The longest pause that a service may ask for, in milliseconds: five minutes. */
export const longestPauseMs = 300_000

/**
 * Reads a `Retry-After` header: seconds, or a date of HTTP.
 *
 * @returns how long to wait from now on, in milliseconds and at most `longestPauseMs`; undefined without a usable value
 */
export function retryAfterMs(header: string | null | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? ''
  if (text === '') return undefined
  const asked = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isFinite(asked) ? Math.min(Math.max(asked, 0), longestPauseMs) : undefined
}
