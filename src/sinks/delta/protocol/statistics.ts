import { isJsonObject, type JsonValue } from '../../../json.ts'
import type { ColumnType } from '../../../tables/table.ts'
import type { ColumnStatistics, WrittenFile } from '../../encoding/engine.ts'
import type { MetaDataAction } from './actions.ts'
import { fieldsOf, schemaFields } from './schema.ts'

/** A column whose statistics go into the log. */
export interface IndexedColumn {
  readonly name: string
  readonly type: ColumnType
}

/** Delta's default for `delta.dataSkippingNumIndexedCols`. */
const defaultIndexedColumns = 32

const boundTypes: ReadonlySet<unknown> = new Set(['string', 'long', 'integer', 'double', 'date', 'timestamp'])
const types: ReadonlySet<unknown> = new Set([...boundTypes, 'boolean'])

/**
 * The table's columns that readers expect statistics of: the first 32 leaves, or what its properties say;
 * partition columns are in the log anyway.
 */
export function indexedColumns(metaData: MetaDataAction): IndexedColumn[] {
  const { configuration = {}, partitionColumns } = metaData
  const named = configuration['delta.dataSkippingStatsColumns']
    ?.split(',')
    .map((name) => name.trim().replaceAll('`', ''))
  const limit = Number(configuration['delta.dataSkippingNumIndexedCols'] ?? defaultIndexedColumns)
  const indexed: IndexedColumn[] = []
  let leaves = 0
  for (const { name, type } of schemaFields(metaData)) {
    if (partitionColumns.includes(name)) continue
    const included = named ? named.includes(name) : limit === -1 || leaves < limit
    leaves += leafCount(type)
    if (included && types.has(type)) indexed.push({ name, type: type as ColumnType })
  }
  return indexed
}

/**
 * The statistics of a written file as Delta's JSON text.
 *
 * Bounds that cannot be stated truly are left out: readers then read the file. Numbers are copied digit by
 * digit. The rules are those of the protocol's "Per-file Statistics" (read 2026-08).
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

/** JSON tokens; absent where there is no true bound. */
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
  // Text such as `inf` or `nan` is no number; a bound beside it would be right and is not worth the risk.
  const number = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/
  if (!number.test(min) || !number.test(max)) return {}
  // The two zeros are equal to SQL and ordered to some readers: widen to both.
  return { min: Number(min) === 0 ? '-0.0' : min, max: Number(max) === 0 ? '0.0' : max }
}

function integerToken(text: string): string | undefined {
  return /^-?\d+$/.test(text) ? text : undefined
}

function dateText(text: string): string | undefined {
  return /^\d{4}-\d\d-\d\d$/.test(text) ? text : undefined
}

/** Cuts to milliseconds toward the past; readers add the missing one to a maximum themselves. */
function millisecondText(text: string): string | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/.exec(text)
  if (match === null) return undefined
  const [, day, time, fraction = ''] = match
  return `${day}T${time}.${fraction.padEnd(3, '0').slice(0, 3)}Z`
}

function quoted(text: string | undefined): string | undefined {
  return text === undefined ? undefined : JSON.stringify(text)
}

function leafCount(type: JsonValue): number {
  const fields = isJsonObject(type) ? fieldsOf(type) : undefined
  return fields === undefined ? 1 : fields.reduce((sum, field) => sum + leafCount(field.type), 0)
}

/** Code points of a bound that Delta writers keep. */
const boundCodePoints = 32

/** An upper bound that cannot be closed within this many code points is left out. */
const maxBoundCodePoints = 64

const highestAscii = 0x7f
const highestCodePoint = 0x10ffff

/** @returns a text that is at most `text` in UTF-8 order: its first 32 code points. */
export function lowerBound(text: string): string {
  return fits(text) ? text : firstCodePoints(text, boundCodePoints).join('')
}

/**
 * A text that is at least `text` in UTF-8 order: itself up to 32 code points, else its beginning and one code
 * point that is higher than the first one dropped.
 *
 * @returns undefined when there is no such text of 64 code points
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

/** @returns negative, zero or positive, by UTF-8 bytes: JavaScript's own order differs beyond U+FFFF. */
export function compareText(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'))
}

function fits(text: string): boolean {
  return text.length <= boundCodePoints
}

function firstCodePoints(text: string, count: number): string[] {
  // Two UTF-16 units per code point at most; without the cut a long text would be spread whole.
  return Array.from(text.slice(0, count * 2)).slice(0, count)
}
