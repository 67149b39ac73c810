import { escapeText } from '../../../reporting/escape-text.ts'
import type { ReportUnit } from '../../api-report.ts'

const integers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const threeDigits = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 })
const shortNumbers = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })

/** The text for a missing value. */
export const noValue = '–'

export function countText(value: number): string {
  return integers.format(value)
}

/** @returns a count in little space, such as `1.24M` */
export function shortCount(value: number): string {
  return Math.abs(value) < 10_000 ? integers.format(value) : shortNumbers.format(value)
}

function threeDigitText(value: number): string {
  return Math.abs(value) >= 1_000 ? integers.format(value) : threeDigits.format(value)
}

/** @returns a number of bytes such as `39.8 MB` */
export function bytesText(bytes: number): string {
  const steps = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let step = 0
  while (Math.abs(value) >= 999.5 && step < steps.length - 1) {
    value /= 1_000
    step += 1
  }
  return `${threeDigitText(value)} ${steps[step]}`
}

/** @returns a length of time such as `12.3 ms` or `4 min 10 s` */
export function lengthText(ms: number): string {
  const size = Math.abs(ms)
  if (size < 999.5) return `${threeDigitText(ms)} ms`
  if (size < 59_950) return `${threeDigitText(ms / 1_000)} s`
  const steps = [
    [86_400_000, 'd', 3_600_000, 'h'],
    [3_600_000, 'h', 60_000, 'min'],
    [60_000, 'min', 1_000, 's'],
  ] as const
  const [unitMs, unit, nextMs, next] = steps.find(([one]) => size >= one) ?? steps[2]
  const whole = Math.floor(size / unitMs)
  const rest = Math.floor((size - whole * unitMs) / nextMs)
  return `${ms < 0 ? '−' : ''}${whole} ${unit}${rest === 0 ? '' : ` ${rest} ${next}`}`
}

/** @returns how long ago, such as `12 s ago` */
export function agoText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  return seconds === 0 ? 'just now' : `${lengthText(seconds * 1_000)} ago`
}

/** @returns an instant in UTC such as `2026-11-24 09:10:49.732` */
export function instantText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 23).replace('T', ' ')
}

/** @returns an instant of a range: without fractions of a second if the range is longer than a day, else without the date */
export function timeText(ms: number, rangeMs: number): string {
  const text = instantText(ms)
  return rangeMs > 86_400_000 ? text.slice(0, 19) : text.slice(11)
}

/**
 * @param stepMs the distance between two marks of an axis
 * @param isFirst whether the date stands before the time, too
 * @returns an instant as a mark of an axis
 */
export function markText(ms: number, stepMs: number, isFirst: boolean): string {
  const date = new Date(ms).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
  if (stepMs >= 86_400_000 || (ms % 86_400_000 === 0 && !isFirst)) return date
  const time = new Date(ms).toISOString().slice(11, stepMs >= 60_000 ? 16 : stepMs >= 1_000 ? 19 : 23)
  return isFirst ? `${date} ${time}` : time
}

/** @returns a range of time in UTC, with the date once if it is the same */
export function rangeText(fromMs: number, toMs: number): string {
  const cut = toMs - fromMs < 60_000 ? 23 : 19
  const from = instantText(fromMs).slice(0, cut)
  const to = instantText(toMs).slice(0, cut)
  return from.slice(0, 10) === to.slice(0, 10) ? `${from} – ${to.slice(11)}` : `${from} – ${to}`
}

/** @returns a value of a report in its unit */
export function unitText(value: string | number | null, unit: ReportUnit): string {
  if (value === null) return noValue
  if (typeof value === 'string') return shownText(value)
  switch (unit) {
    case 'count':
    case 'pages':
      return Number.isInteger(value) ? countText(value) : threeDigitText(value)
    case 'ms':
      return lengthText(value)
    case 's':
      return lengthText(value * 1_000)
    case 'bytes':
      return bytesText(value)
    case 'kB':
      return bytesText(value * 1_000)
    case 'MB/s':
      return `${threeDigitText(value)} MB/s`
    case 'percent':
      return `${threeDigitText(value)} %`
    case 'instant':
      return instantText(value)
    default:
      return String(value)
  }
}

/** @returns a text of a log with the characters visible that a browser would hide, reorder or leave out */
export function shownText(text: string): string {
  return escapeText(text)
}

/** @returns a text of a log on one line */
export function lineText(text: string): string {
  return escapeText(text.slice(0, 2_000)).replaceAll('\n', ' ↵ ').replaceAll('\t', ' ')
}
