import type { ReportUnit } from './api-report.ts'

const integers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const threeDigits = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 })

/** The text for a missing value. */
export const noValue = '–'

export function countText(value: number): string {
  return integers.format(value)
}

function threeDigitText(value: number): string {
  return Math.abs(value) >= 1_000 ? integers.format(value) : threeDigits.format(value)
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** @returns a number of bytes such as `37.9 MiB`, in powers of 1,024 as PostgreSQL counts them */
export function bytesText(bytes: number): string {
  let value = bytes
  let step = 0
  while (Math.abs(value) >= 1_023.5 && step < byteUnits.length - 1) {
    value /= 1_024
    step += 1
  }
  return `${threeDigitText(value)} ${byteUnits[step]}`
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

/** @returns an instant in UTC such as `2026-11-24 09:10:49.732` */
export function utcText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 23).replace('T', ' ')
}

const dayMs = 86_400_000

/**
 * @param clockMs what clocks show, as milliseconds of UTC
 * @param stepMs the distance between two marks of an axis
 * @param isFirst whether the date stands before the time, too
 * @returns a mark of an axis of time
 */
export function clockMarkText(clockMs: number, stepMs: number, isFirst: boolean): string {
  const date = new Date(clockMs).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'short',
    timeZone: 'UTC',
  })
  if (stepMs >= dayMs || (clockMs % dayMs === 0 && !isFirst)) return date
  const time = new Date(clockMs).toISOString().slice(11, stepMs >= 60_000 ? 16 : stepMs >= 1_000 ? 19 : 23)
  return isFirst ? `${date} ${time}` : time
}

/**
 * @param instantText writes an instant. Default: in UTC
 * @returns a value of a report in its unit; a text is returned as it is
 */
export function unitText(
  value: string | number | null,
  unit: ReportUnit,
  instantText: (ms: number) => string = utcText,
): string {
  if (value === null) return noValue
  if (typeof value === 'string') return value
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
      // PostgreSQL's kB are 1,024 bytes: https://www.postgresql.org/docs/17/config-setting.html
      return bytesText(value * 1_024)
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
