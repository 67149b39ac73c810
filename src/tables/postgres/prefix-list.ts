import { sqlString } from '../sql.ts'
import { prefixFields } from './shapes/shape.ts'

// ASCII's unit separator, which no prefix contains.
export const separator = '\x1f'

/**
 * The values of a prefix in the order of the list. `line` is the field that the text holds where the word is no level but
 * DETAIL or the like in another language; `unknown` is 1 where a part has no known meaning; `others` is a JSON object of the
 * parts without a column; `program` is the kind of a program other than the server.
 */
export const order = [...prefixFields, 'level', 'line', 'unknown', 'others', 'program'] as const
export type ListedField = (typeof order)[number]

/**
 * A SQLSTATE, which follows the level with `log_error_verbosity = verbose`. It has a digit among its first three
 * characters (PostgreSQL 18, appendix A).
 */
export const sqlstate = '(?:\\d[0-9A-Z]{4}|[A-Z]\\d[0-9A-Z]{3}|[A-Z]{2}\\d[0-9A-Z]{2})'

/** SQL of the texts of a list, with separators, and the rest after it. NULL and '' are the same. */
export function listed(textAt: (field: ListedField) => string, after: string): string {
  const parts: string[] = []
  let separators = ''
  for (const text of order.map(textAt)) {
    if (text !== "''") {
      if (separators !== '') parts.push(sqlString(separators))
      parts.push(text)
      separators = ''
    }
    separators += separator
  }
  return `concat(${[...parts, sqlString(separators), after].join(', ')})`
}
