/**
 * SQL that extracts values which the server writes only in the text of a message.
 *
 * These texts are in English only if `lc_messages` is; other languages yield NULL. Every expression compares the first
 * bytes first, because that is cheap.
 */

/** SQL of the milliseconds in `duration: N ms …`. Only plain numbers count: clients can log NaN or 1e999 there. */
export function durationOf(message: string): string {
  const text = `substring(${message}, 11, instr(${message}, ' ms') - 11)`
  return `CASE WHEN starts_with(${message}, 'duration: ') THEN
    CASE WHEN regexp_full_match(${text}, '\\d{1,15}(?:\\.\\d{1,15})?') THEN TRY_CAST(${text} AS DOUBLE) END END`
}

/** SQL of the part of a message that starts with `statement:`, `execute x:`, `bind x:` or `parse x:`; NULL without one. */
export function statementPart(message: string): string {
  return `CASE
    WHEN starts_with(${message}, 'duration: ') THEN
      CASE WHEN contains(${message}, ' ms  ') THEN substring(${message}, instr(${message}, ' ms  ') + 5) END
    WHEN ${startsAny(message, ['statement: ', 'execute ', 'bind ', 'parse '])} THEN ${message} END`
}

/** SQL of the statement in a column of `statementPart`. */
export function statementOf(part: string): string {
  return `CASE
    WHEN starts_with(${part}, 'statement: ') THEN substring(${part}, 12)
    WHEN ${startsAny(part, ['execute ', 'bind ', 'parse '])} THEN
      CASE WHEN contains(${part}, ': ') THEN substring(${part}, instr(${part}, ': ') + 2) END END`
}

const auditMark = 'AUDIT: '

/**
 * SQL of the fields of a pgaudit message, still quoted, as a list; NULL for other messages.
 *
 * The text is CSV: quotes inside quotes are doubled, and a quoted statement may contain commas and newlines.
 */
export function auditFields(message: string): string {
  const field = `(?s)(?:^|,)("(?:[^"]|"")*"|[^,"]*)`
  return `CASE WHEN starts_with(${message}, '${auditMark}') THEN
    regexp_extract_all(substring(${message}, ${auditMark.length + 1}), '${field}', 1) END`
}

/** 1-based positions of the stored fields of a pgaudit message (format since 1.0; there may be fewer or more fields). */
export const auditPosition = { class: 4, command: 5, objectType: 6, objectName: 7, statement: 8 } as const

/** SQL of one field in a column of `auditFields`, without quotes; '' becomes NULL. */
export function auditField(fields: string, position: number): string {
  const field = `${fields}[${position}]`
  return `CASE WHEN ${fields} IS NOT NULL THEN CASE WHEN len(${fields}) >= ${auditPosition.statement} THEN nullif(
    CASE WHEN starts_with(${field}, '"') THEN replace(substring(${field}, 2, length(${field}) - 2), '""', '"') ELSE ${field} END, '') END END`
}

/** Keys in messages about connections. They mark the end of a value, because some servers write no blank between pairs. */
const connectionKeys = [
  'user',
  'database',
  'application_name',
  'host',
  'port',
  'pid',
  'session time',
  'SSL',
  'identity',
  'method',
]

/** SQL of the value of one key in a message about a connection. */
export function connectionValue(
  message: string,
  key: 'user' | 'database' | 'application_name' | 'host' | 'port',
): string {
  const next = connectionKeys.map((other) => (other === 'SSL' ? 'SSL ' : `${other}=`)).join('|')
  return `CASE WHEN ${startsAny(message, ['connection ', 'disconnection', 'replication connection '])} THEN
    nullif(regexp_extract(${message}, '(?s)${key}=(.*?)\\s*(?:(?:${next})|$)', 1), '') END`
}

function startsAny(text: string, beginnings: readonly string[]): string {
  return `(${beginnings.map((beginning) => `starts_with(${text}, '${beginning}')`).join(' OR ')})`
}
