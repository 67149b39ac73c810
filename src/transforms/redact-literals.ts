import { isJsonObject, type JsonValue } from '../json.ts'
import type { RecordTransform } from '../streams/record-transform.ts'
import { isAuditPlaceholder, redactAudit } from './redact-audit.ts'

export interface RedactLiteralsOptions {
  /** What replaces a literal. Default `?`. */
  readonly replacement?: string
}

/** Keys whose whole text is SQL, in any producer's records. */
const statementKeys = new Set(['statement', 'internal_query', 'query'])

/** Keys that hold nothing but values. */
const valueKeys = new Set(['parameter'])

/** Keys whose text is the server's, with SQL or values inside. */
const messageKeys = new Set(['message', 'detail', 'hint', 'context', 'log', 'textPayload'])

// Quoted identifiers come first, so that a name is never taken for a value. Then comments, whose apostrophes must not
// begin a string; dollar quotes; string constants of every kind; and numbers. What a statement cut short leaves open
// reaches to its end.
const literal =
  /("(?:[^"]|"")*")|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\$([A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$[\s\S]*?(?:\$\2\$|$)|\b[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$)|(?:\b(?:[bBxXnN]|[uU]&))?'(?:[^']|'')*(?:'|$)|(?<![\w$.])(?:0[xXoObB][\da-fA-F_]+|\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?(?![\w.])/g

// Where SQL begins in a message: https://www.postgresql.org/docs/current/runtime-config-logging.html
const beforeSql =
  /(?:^|ms {2}|:\s+)(?:statement|(?:parse|bind|execute) [^:]{1,200}): |SQL statement "|AUDIT: |\bProcess \d+: |Query Text"?: "?|at or near "/

// The server's own wordings before values, and what ends them: unique, exclusion and check violations, bad input,
// and lines of COPY. The last end counts, because a value may hold any text.
const values: readonly (readonly [before: RegExp, end: string])[] = [
  [/\)=\(/, ')'],
  [/Failing row contains \(/, ')'],
  [/invalid input [^:"]{0,200}: "/, '"'],
  [/\bline \d+(?:, column [^:"]{1,200})?: "/, '"'],
  [/(?:\bvalue|out of range:|numeric field|parameter "[^"]{1,200}":) "/, '"'],
]
const quoted = /'(?:[^']|'')*'/g

/**
 * Replaces the values in statements, in their parameters and in the server's messages about them, so that customer
 * data and passwords do not reach the rows of records that passed it. The column `raw` then holds the redacted record.
 *
 * A rejected line (no JSON, malformed or too long, or a transform failed on it) never leaves a transform: its row
 * keeps the text as it was, values included.
 */
export function redactLiterals({ replacement = '?' }: RedactLiteralsOptions = {}): RecordTransform {
  const inSql = (sql: string): string =>
    sql.replace(literal, (_match, identifier: string | undefined) => identifier ?? replacement)

  // Searched from both sides: one expression for both would try every end for every beginning.
  const withoutValue = (text: string, [before, end]: (typeof values)[number]): string => {
    const found = before.exec(text)
    const start = found === null ? text.length : found.index + found[0].length
    const stop = text.lastIndexOf(end)
    return stop < start ? text : text.slice(0, start) + replacement + text.slice(stop)
  }

  const inMessage = (text: string): string => {
    const marker = beforeSql.exec(text)
    const sqlStart = marker === null ? text.length : marker.index + marker[0].length
    const words = values.reduce(withoutValue, text.slice(0, sqlStart))
    const sql = text.slice(sqlStart)
    const audit = marker?.[0] === 'AUDIT: ' ? redactAudit(sql, inSql, replacement) : undefined
    return words.replace(quoted, () => `'${replacement}'`) + (audit ?? inSql(sql))
  }

  const redacted = (path: string, value: JsonValue): JsonValue => {
    if (Array.isArray(value)) return value.map((element) => redacted(path, element))
    // Flattened records write `audit.statement` where others nest.
    const key = path.slice(path.lastIndexOf('.') + 1)
    if (valueKeys.has(key)) {
      const isEmpty = value === null || (typeof value === 'string' && isAuditPlaceholder(value))
      return isEmpty ? value : replacement
    }
    if (typeof value === 'string') {
      if (statementKeys.has(key)) return inSql(value)
      return messageKeys.has(key) ? inMessage(value) : value
    }
    return isJsonObject(value)
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, redacted(name, inner)]))
      : value
  }

  return (record) =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [name, redacted(name, value)]))
}
