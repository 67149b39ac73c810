import { isJsonObject, type JsonValue } from '../json.ts'
import type { RecordTransform } from '../streams/record-transform.ts'

export interface RedactLiteralsOptions {
  /** What replaces a literal. Default `?`. */
  readonly replacement?: string
}

/** Keys whose whole text is SQL, in any producer's records. */
const statementKeys = new Set(['statement', 'internal_query', 'query'])

/** Keys whose text is the server's, with SQL or values inside. */
const messageKeys = new Set(['message', 'detail', 'hint', 'context', 'log', 'textPayload'])

// Quoted identifiers come first, so that a name is never taken for a value. Then dollar quotes, string
// constants of every kind (an unterminated one, of a statement cut short, to its end), and numbers.
const literal =
  /("(?:[^"]|"")*")|\$([A-Za-z_][A-Za-z_0-9]*)?\$[\s\S]*?(?:\$\2\$|$)|\b[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|(?:\b(?:[bBxXnN]|[uU]&))?'(?:[^']|'')*(?:'|$)|(?<![\w$.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])/g

// Where SQL begins in a message: https://www.postgresql.org/docs/current/runtime-config-logging.html
const beforeSql = /(?:^|ms {2}|:\s+)(?:statement|(?:parse|bind|execute) [^:]+): |SQL statement "|AUDIT: /

// The server's own wordings around values: unique violations, check violations, bad input, and string constants.
const values: readonly RegExp[] = [
  /(\)=\()[^\n]*(\) )/g,
  /(Failing row contains \()[\s\S]*(\)\.)/g,
  /(invalid input [^:"]*: ")[\s\S]*(")/g,
  /((?:value|date\/time field value:?|numeric field) ")[^"]*(")/g,
  /(')(?:[^']|'')*(')/g,
]

/**
 * Replaces the values in statements and in the server's messages about them, so that customer data and
 * passwords do not reach the table. The column `raw` then holds the redacted record.
 */
export function redactLiterals({ replacement = '?' }: RedactLiteralsOptions = {}): RecordTransform {
  const inSql = (sql: string): string =>
    sql.replace(literal, (_match, identifier: string | undefined) => identifier ?? replacement)

  const inMessage = (text: string): string => {
    const marker = beforeSql.exec(text)
    const sqlStart = marker === null ? text.length : marker.index + marker[0].length
    let words = text.slice(0, sqlStart)
    for (const value of values)
      words = words.replace(value, (_match, open: string, close: string) => open + replacement + close)
    return words + inSql(text.slice(sqlStart))
  }

  const redacted = (key: string, value: JsonValue): JsonValue => {
    if (typeof value === 'string') {
      if (statementKeys.has(key)) return inSql(value)
      return messageKeys.has(key) ? inMessage(value) : value
    }
    if (Array.isArray(value)) return value.map((element) => redacted(key, element))
    return isJsonObject(value)
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, redacted(name, inner)]))
      : value
  }

  return (record) =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [name, redacted(name, value)]))
}
