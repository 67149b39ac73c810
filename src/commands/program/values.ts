import { systemClock } from '../../clock.ts'
import { parseDuration } from '../../config/duration.ts'
import { TailraceError } from '../../errors.ts'

/** Node.js timers cannot be longer. */
const maxTimerMs = 2 ** 31 - 1

/**
 * @param flag the option's name in the error
 * @returns a reader of durations such as `90s`, `10m` or `2h`
 * @throws USAGE naming the flag
 */
export function durationMs(flag: string): (text: string) => number {
  return (text) => {
    const value = parseDuration(text)
    if (value !== undefined && value > 0 && value <= maxTimerMs) return value
    throw wrongValue(flag, text, 'a duration up to 24d, such as 90s, 10m or 2h')
  }
}

/** @returns a reader of whole numbers of at least `min`, and at most `max` */
export function wholeNumber(flag: string, min = 0, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (Number.isSafeInteger(value) && value >= min && value <= max && text.trim() !== '') return value
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
    throw wrongValue(flag, text, `a whole number ${range}`)
  }
}

/** @returns a reader of times. It requires a UTC offset: without one, a text means another time on another machine. */
export function instantMs(flag: string): (text: string) => number {
  return (text) => {
    const value = /T.*(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN
    if (!Number.isNaN(value)) return value
    throw wrongValue(flag, text, 'a time with a UTC offset, such as 2026-11-24T00:00:00Z')
  }
}

/** @returns a reader of times, given as such or as the time that has passed since, such as `2h` */
export function pastInstantMs(flag: string): (text: string) => number {
  return (text) =>
    /^\d+[a-z]+$/.test(text) ? systemClock.now() - durationMs(flag)(text) : instantMs(flag)(text)
}

/** @throws USAGE */
function wrongValue(flag: string, found: string, expected: string): TailraceError {
  return new TailraceError('USAGE', `${flag}: found ${found}, expected ${expected}.`)
}
