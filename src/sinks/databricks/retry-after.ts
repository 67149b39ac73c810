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
