import type { ColumnType } from '../../../tables/table.ts'
import type { ColumnStatistics, WrittenFile } from '../../encoding/engine.ts'
import type { IndexedColumn } from './schema.ts'

const boundTypes: ReadonlySet<unknown> = new Set(['string', 'long', 'integer', 'double', 'date', 'timestamp'])

/**
 * Formats the statistics of a written file as Delta's JSON text (PROTOCOL.md, "Per-file Statistics", read 2026-08).
 *
 * A bound that could be wrong is omitted, which makes readers read the file. Numbers are copied as text, without
 * rounding.
 */
export function fileStatistics(
  file: Pick<WrittenFile, 'rows' | 'columns'>,
  indexed: readonly IndexedColumn[],
): string {
  const minimums: string[] = []
  const maximums: string[] = []
  const nullCounts: string[] = []
  for (const { name, type } of indexed) {
    const column = file.columns.get(name)
    if (column === undefined) continue
    const key = JSON.stringify(name)
    nullCounts.push(`${key}:${column.nullCount}`)
    const { min, max } = boundsOf(column, type)
    if (min !== undefined) minimums.push(`${key}:${min}`)
    if (max !== undefined) maximums.push(`${key}:${max}`)
  }
  return (
    `{"numRecords":${file.rows},"minValues":{${minimums.join(',')}},` +
    `"maxValues":{${maximums.join(',')}},"nullCount":{${nullCounts.join(',')}}}`
  )
}

/** JSON tokens; a bound is absent when none is certain. */
interface Bounds {
  readonly min?: string | undefined
  readonly max?: string | undefined
}

function boundsOf({ min, max, hasNan }: ColumnStatistics, type: ColumnType): Bounds {
  if (!boundTypes.has(type) || min === undefined || max === undefined) return {}
  switch (type) {
    case 'string':
      return { min: quoted(lowerBound(min)), max: quoted(upperBound(max)) }
    case 'date':
      return { min: quoted(dateText(min)), max: quoted(dateText(max)) }
    case 'timestamp':
      return { min: quoted(millisecondText(min)), max: quoted(millisecondText(max)) }
    case 'double':
      return hasNan ? {} : doubleBounds(min, max)
    default:
      return { min: integerToken(min), max: integerToken(max) }
  }
}

function doubleBounds(min: string, max: string): Bounds {
  // With `inf` or `nan` as one bound, the other is omitted too: it may be right, but the gain is not worth the risk.
  const number = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/
  if (!number.test(min) || !number.test(max)) return {}
  // -0.0 and 0.0 are equal in SQL, but some readers order them: widen the bounds to include both.
  return { min: Number(min) === 0 ? '-0.0' : min, max: Number(max) === 0 ? '0.0' : max }
}

function integerToken(text: string): string | undefined {
  return /^-?\d+$/.test(text) ? text : undefined
}

function dateText(text: string): string | undefined {
  return /^\d{4}-\d\d-\d\d$/.test(text) ? text : undefined
}

/** Truncates to milliseconds, as Delta writers do; readers widen a maximum by one millisecond themselves. */
function millisecondText(text: string): string | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/.exec(text)
  if (match === null) return undefined
  const [, day, time, fraction = ''] = match
  return `${day}T${time}.${fraction.padEnd(3, '0').slice(0, 3)}Z`
}

function quoted(text: string | undefined): string | undefined {
  return text === undefined ? undefined : JSON.stringify(text)
}

/** Length in code points to which Delta writers truncate a text bound. */
const boundCodePoints = 32

/** An upper bound is omitted when it would need more code points than this. */
const maxBoundCodePoints = 64

const highestAscii = 0x7f
const highestCodePoint = 0x10ffff

/** @returns a text less than or equal to `text` in UTF-8 order: its first 32 code points. */
export function lowerBound(text: string): string {
  return fits(text) ? text : firstCodePoints(text, boundCodePoints).join('')
}

/**
 * Finds a text greater than or equal to `text` in UTF-8 order. Up to 32 code points it is `text` itself. Longer texts
 * are cut, and a code point higher than the first dropped one is appended.
 *
 * @returns undefined when no such text fits into 64 code points
 */
export function upperBound(text: string): string | undefined {
  if (fits(text)) return text
  const points = firstCodePoints(text, maxBoundCodePoints + 1)
  if (points.length <= boundCodePoints) return text
  for (let kept = boundCodePoints; kept < maxBoundCodePoints && kept < points.length; kept += 1) {
    const dropped = points[kept]!.codePointAt(0)!
    if (dropped === highestCodePoint) continue
    const tie = dropped < highestAscii ? highestAscii : highestCodePoint
    return points.slice(0, kept).join('') + String.fromCodePoint(tie)
  }
  return points.length <= maxBoundCodePoints ? text : undefined
}

/** Compares by UTF-8 bytes, because JavaScript's own order differs beyond U+FFFF. @returns negative, zero or positive */
export function compareText(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'))
}

function fits(text: string): boolean {
  return text.length <= boundCodePoints
}

function firstCodePoints(text: string, count: number): string[] {
  // A code point has at most two UTF-16 units. Slicing first avoids splitting all of a long text.
  return Array.from(text.slice(0, count * 2)).slice(0, count)
}
