import { escapeText } from '../../../reporting/escape-text.ts'
import type { ReportUnit } from '../../api-report.ts'
import { clockMarkText, lengthText, unitText, utcText } from '../../value-text.ts'
import { offsetMs, offsetText, timeZone, utc } from './time-zone.ts'

export { bytesText, countText, lengthText, noValue } from '../../value-text.ts'

const integers = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const shortNumbers = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })

const dayMs = 86_400_000

/** @returns a count in little space, such as `1.24M` */
export function shortCount(value: number): string {
  return Math.abs(value) < 10_000 ? integers.format(value) : shortNumbers.format(value)
}

/** @returns how long ago, such as `12 s ago` */
export function agoText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  return seconds === 0 ? 'just now' : `${lengthText(seconds * 1_000)} ago`
}

/** @returns what clocks of the zone show, such as `2026-11-24 09:10:49.732` */
function clockText(ms: number): string {
  return utcText(ms + offsetMs(ms))
}

/** @returns the zone of an instant: `UTC`, or the offset, by which the two times of a repeated hour differ */
function zoneText(ms: number): string {
  return timeZone.value === utc ? utc : offsetText(offsetMs(ms))
}

/** @returns an instant such as `2026-11-24 09:10:49.732 UTC` or `2026-11-24 10:10:49.732 +01:00` */
export function instantText(ms: number): string {
  return `${clockText(ms)} ${zoneText(ms)}`
}

/** @returns an instant without fractions of a second */
export function secondText(ms: number): string {
  return `${clockText(ms).slice(0, 19)} ${zoneText(ms)}`
}

/**
 * @returns an instant of a range: without fractions of a second if the range is longer than a day, else without the date;
 * with its offset only where the clocks change near it
 */
export function timeText(ms: number, rangeMs: number): string {
  const text = clockText(ms)
  const isChanging = offsetMs(ms - Math.min(rangeMs, dayMs)) !== offsetMs(ms + Math.min(rangeMs, dayMs))
  const zone = isChanging ? ` ${zoneText(ms)}` : ''
  return `${rangeMs > dayMs ? text.slice(0, 19) : text.slice(11)}${zone}`
}

/** @returns an instant as a mark of an axis, as `clockMarkText` writes it */
export function markText(ms: number, stepMs: number, isFirst: boolean): string {
  return clockMarkText(ms + offsetMs(ms), stepMs, isFirst)
}

/** @returns a range of time, with the date and the zone once if they are the same */
export function rangeText(fromMs: number, toMs: number): string {
  const cut = toMs - fromMs < 60_000 ? 23 : 19
  const from = clockText(fromMs).slice(0, cut)
  const to = clockText(toMs).slice(0, cut)
  const [fromZone, toZone] = [zoneText(fromMs), zoneText(toMs)]
  const start = fromZone === toZone ? from : `${from} ${fromZone}`
  return `${start} – ${from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to} ${toZone}`
}

/** @returns a value of a report in its unit; characters of a text are shown as `shownText` does */
export function reportValueText(value: string | number | null, unit: ReportUnit): string {
  return typeof value === 'string' ? shownText(value) : unitText(value, unit, instantText)
}

/** @returns a text of a log with the characters visible that a browser would hide, reorder or leave out */
export function shownText(text: string): string {
  return escapeText(text)
}

/** @returns a text of a log on one line */
export function lineText(text: string): string {
  return escapeText(text.slice(0, 2_000)).replaceAll('\n', ' ↵ ').replaceAll('\t', ' ')
}
