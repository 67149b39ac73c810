import { redactSecrets } from '../../reporting/redact.ts'

/** What Databricks says when it fails something, taken apart. */
export interface FailureText {
  /** Such as `PATH_NOT_FOUND`, or `DELTA_CONCURRENT_APPEND.ROW_LEVEL_CHANGES`. */
  readonly errorClass: string | undefined
  /** Five characters, such as `42K03`. */
  readonly sqlState: string | undefined
  /** One line that may be logged: no secret, no value of a record, no text of a statement. */
  readonly told: string
}

const longestTold = 300

/**
 * Takes a failure's text apart.
 *
 * A class stands in brackets before the message, often behind names of Java exceptions; services in front of the
 * warehouse write `ErrorClass=…` or `CLASS: message` instead.
 */
export function failureText(text: string): FailureText {
  const bracketed = /(?:^|[\s:])\[([A-Z][A-Z0-9_]{3,}(?:\.[A-Z0-9_]+)*)\]/.exec(text)
  const errorClass =
    bracketed?.[1] ??
    /\bErrorClass=([A-Z][A-Z0-9_.]+)/.exec(text)?.[1] ??
    /(?:^|\s)([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+): /.exec(text)?.[1]
  return {
    errorClass,
    sqlState: /\bSQLSTATE:? ?([0-9A-Z]{5})\b/.exec(text)?.[1],
    told: loggable(bracketed === null ? text : text.slice(text.indexOf(`[${errorClass}]`))),
  }
}

function loggable(text: string): string {
  const line = (text.split(/\n|== SQL/, 1)[0] ?? '').replace(/\s*SQLSTATE:? ?[0-9A-Z]{5}\b.*$/, '')
  // Messages quote what they are about, and that may be a value out of a record.
  const bare = redactSecrets(line)
    .replace(/'[^']*'/g, "'…'")
    .replace(/"[^"]*"/g, '"…"')
    .trim()
  return bare.length > longestTold ? `${bare.slice(0, longestTold)}…` : bare
}
