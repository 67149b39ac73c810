import type { SqlResult } from '../../api.ts'
import { countText, noValue, shownText } from '../state/format.ts'

const numericTypes = /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|DOUBLE|FLOAT|REAL|DECIMAL.*)$/i
const timeTypes = /^(?:TIMESTAMP.*|DATE)$/i

type ResultColumn = SqlResult['columns'][number]

export function isNumeric({ type }: ResultColumn): boolean {
  return numericTypes.test(type)
}

export function isTime({ type }: ResultColumn): boolean {
  return timeTypes.test(type)
}

/** @returns the value as a number; 64-bit integers come as text. Undefined for any other value */
export function numberOf(value: unknown): number | undefined {
  if (value === null || value === undefined || value === '') return undefined
  const number = Number(value)
  return Number.isFinite(number) ? number : undefined
}

/** @returns milliseconds of an instant as the engine writes it, such as `2026-11-24 10:00:00.5+00`; undefined for others */
export function millisecondsOf(value: unknown): number | undefined {
  const text = String(value ?? '').replace(' ', 'T')
  const hasTime = text.includes('T')
  const hasZone = /(?:Z|[+-]\d\d(?::?\d\d)?)$/.test(text)
  const zoned = hasZone ? text.replace(/([+-]\d\d)$/, '$1:00') : `${text}Z`
  const ms = Date.parse(hasTime ? zoned : text)
  return Number.isNaN(ms) ? undefined : ms
}

/** @returns a value of a result whole, with what a browser would hide made visible */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return noValue
  return shownText(typeof value === 'string' ? value : JSON.stringify(value))
}

/** @returns a value on one line; numbers have their thousands apart */
export function cellText(value: unknown, column: ResultColumn): string {
  if (typeof value === 'number' && isNumeric(column))
    return Number.isInteger(value)
      ? countText(value)
      : value.toLocaleString('en-US', { maximumFractionDigits: 6 })
  if (typeof value === 'string' && isNumeric(column) && /^-?\d+$/.test(value))
    return BigInt(value).toLocaleString('en-US')
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return shownText(text.slice(0, 500)).replaceAll('\n', ' ↵ ').replaceAll('\t', ' ')
}
