import { redactSecrets } from '../../../reporting/redact.ts'

/** The parts of an error text of Databricks. */
export interface FailureText {
  /** Such as `PATH_NOT_FOUND`, or `DELTA_CONCURRENT_APPEND.ROW_LEVEL_CHANGES`. */
  readonly errorClass: string | undefined
  /** Five characters, such as `42K03`. */
  readonly sqlState: string | undefined
  /** One line that is safe to log: without secrets, values of records and statement texts. */
  readonly summary: string
}

const maxSummaryCharacters = 300

/**
 * Parses an error text of Databricks.
 *
 * The error class is in brackets before the message, often after names of Java exceptions. Services in front of the
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
    summary: loggable(bracketed === null ? text : text.slice(text.indexOf(`[${errorClass}]`))),
  }
}

const objectsOfRights =
  /(\bdoes not have [A-Z_ ,]{3,80} on (?:Catalog|Schema|Table|View|Volume|External Location) )'([^']{1,800})'/gi

function loggable(text: string): string {
  // The missing right stands on the line after this one.
  const joined = text.replace(/(Insufficient privileges:)\s*\n\s*/, '$1 ')
  const line = (joined.split(/\n|== SQL/, 1)[0] ?? '').replace(/\s*SQLSTATE:? ?[0-9A-Z]{5}\b.*$/, '')
  // Quoted text in a message may be a value of a record; the object of a missing right is none.
  const bare = redactSecrets(line)
    .replace(objectsOfRights, '$1`$2`')
    .replace(/'[^']*'/g, "'…'")
    .replace(/"[^"]*"/g, '"…"')
    .trim()
  return bare.length > maxSummaryCharacters ? `${bare.slice(0, maxSummaryCharacters)}…` : bare
}
