import { sqlString } from '../sql.ts'
import type { ColumnType } from '../table.ts'
import { inCalendar, instant } from './expressions/instant.ts'
import { jsonPath } from './expressions/json.ts'

/** An additional column, read from a key of the record. */
export interface ExtraColumn {
  readonly name: string
  readonly type: ColumnType
  /**
   * Key of the record's JSON object. Dots lead into nested objects, as in `labels.region`. Keys may also contain dots:
   * `labels.k8s.pod` is found in `{"labels":{"k8s.pod":…}}`, too. The longest matching key takes precedence.
   */
  readonly from: string
  readonly comment?: string | undefined
}

/** SQL that reads the texts of extra columns. */
export interface ExtraTexts {
  /** SQL of a list of JSON paths. */
  readonly paths: string
  /** SQL of each column's text, from a list column `extra` with the values at the paths. */
  readonly texts: readonly string[]
}

export function extraTexts(extraColumns: readonly ExtraColumn[]): ExtraTexts {
  const paths: string[] = []
  const texts = extraColumns.map(({ from }) => {
    const places = keysOf(from).map((keys) => `extra[${paths.push(sqlString(jsonPath(keys)))}]`)
    return places.length === 1 ? places.join() : `coalesce(${places.join(', ')})`
  })
  return { paths: `[${paths.join(', ')}]`, texts }
}

/** @returns the ways to split a name into keys: all of it as one key, then the first part and the rest, and so on */
function keysOf(from: string): readonly (readonly string[])[] {
  const parts = from.split('.')
  return parts.map((_, index) => [...parts.slice(0, index), parts.slice(index).join('.')])
}

/** SQL of an extra column's value; NULL when the text does not fit the type. */
export function extraValue(extra: ExtraColumn, text: string, timezone: string | undefined): string {
  switch (extra.type) {
    case 'string':
      return `nullif(${text}, '')`
    case 'long':
      return exactly(text, 'BIGINT')
    case 'integer':
      return exactly(text, 'INTEGER')
    case 'double':
      return `CASE WHEN isfinite(TRY_CAST(${text} AS DOUBLE)) THEN TRY_CAST(${text} AS DOUBLE) END`
    case 'boolean':
      return `CASE ${text} WHEN 'true' THEN true WHEN 'false' THEN false END`
    case 'date':
      return `CASE WHEN regexp_full_match(${text}, '\\d{4}-\\d\\d-\\d\\d') THEN TRY_CAST(${text} AS DATE) END`
    case 'timestamp':
      return inCalendar(`(${instant(text, { timezone })})`)
  }
}

/** Accepts only plain integers: DuckDB's cast would round 1.5 and also read 1e3 and 0x1f. */
function exactly(text: string, type: 'BIGINT' | 'INTEGER'): string {
  return `CASE WHEN TRY_CAST(${text} AS ${type})::VARCHAR = ${text} THEN TRY_CAST(${text} AS ${type}) END`
}
