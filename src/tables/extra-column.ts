import { inCalendar, instant } from './expressions/instant.ts'
import type { ColumnType } from './table.ts'

/** A column of your own, read from a key of the record. */
export interface ExtraColumn {
  readonly name: string
  readonly type: ColumnType
  /** Key of the record's JSON object; dots lead into nested objects, as in `labels.region`. */
  readonly from: string
  readonly comment?: string
}

/** SQL of an extra column's value; NULL where the text does not fit the type. */
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

/** DuckDB rounds 1.5 and reads 1e3 and 0x1f; only an integer's own digits count here. */
function exactly(text: string, type: 'BIGINT' | 'INTEGER'): string {
  return `CASE WHEN TRY_CAST(${text} AS ${type})::VARCHAR = ${text} THEN TRY_CAST(${text} AS ${type}) END`
}
