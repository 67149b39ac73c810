import { sqlString } from '../../sql.ts'

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

/** The text before a statement contains at most two names of 63 bytes. */
const maxStatementHeadChars = 1_024

/**
 * SQL of the first characters of a message from `statement:`, `execute x:`, `bind x:` or `parse x:` on; NULL without
 * one. Not of all of them: a statement can have megabytes, and the engine keeps every copy until the row is written.
 */
export function statementHead(message: string): string {
  return `CASE
    WHEN starts_with(${message}, 'duration: ') THEN
      CASE WHEN contains(${message}, ' ms  ') THEN substring(${message}, instr(${message}, ' ms  ') + 5, ${maxStatementHeadChars}) END
    WHEN ${isStatementHead(message)} THEN left(${message}, ${maxStatementHeadChars}) END`
}

/**
 * SQL of the phase of a statement's execution that a duration is of; NULL without one.
 *
 * @param text SQL of the text behind the milliseconds, or of its first 16 characters
 */
export function phaseOf(text: string): string {
  const phases = ['statement:', 'execute', 'bind', 'parse', 'fastpath']
  return `CASE ${phases.map((phase) => `WHEN starts_with(${text}, '${phase} ') THEN '${phase.replace(':', '')}'`).join(' ')} END`
}

/** SQL of whether a text begins with the words that the server writes before a statement. */
export function isStatementHead(text: string): string {
  return startsAny(text, ['statement: ', 'execute ', 'bind ', 'parse '])
}

/** SQL of the statement in a message; `head` is a column of `statementHead`. */
export function statementOf(message: string, head: string): string {
  const start = `CASE WHEN starts_with(${message}, 'duration: ') THEN instr(${message}, ' ms  ') + 5 ELSE 1 END`
  return `CASE
    WHEN starts_with(${head}, 'statement: ') THEN substring(${message}, ${start} + 11)
    WHEN starts_with(${head}, '${planMark}') THEN ${plannedStatement(`substring(${message}, instr(${message}, ' ms  ') + ${planMark.length + 6})`)}
    WHEN ${startsAny(head, ['execute ', 'bind ', 'parse '])} THEN
      CASE WHEN contains(${head}, ': ') THEN substring(${message}, ${start} + instr(${head}, ': ') + 1) END END`
}

/** Stands where other messages of a duration have the words before a statement. */
export const planMark = 'plan:'

/**
 * SQL of the statement in a plan of auto_explain, in each of its formats. In text format it ends at the line of the
 * first plan node, or of what the server logs between them.
 */
export function plannedStatement(plan: string): string {
  const inText = `regexp_extract(${plan}, '(?s)^\\t?Query Text: (.*?)\\n\\t?(?:Query Parameters: |Query Identifier: |[^\\n]*\\(cost=[0-9.]+)', 1)`
  const inXml = `regexp_extract(${plan}, '(?s)<Query-Text>(.*?)</Query-Text>', 1)`
  const entities = [
    ['&lt;', '<'],
    ['&gt;', '>'],
    ['&quot;', '"'],
    ['&amp;', '&'],
  ]
  const unescaped = entities.reduce(
    (inner, [entity, character]) => `replace(${inner}, '${entity}', '${character}')`,
    inXml,
  )
  const inYaml = `regexp_extract(${plan}, '^Query Text: ("(?:[^"\\\\]|\\\\.)*")', 1)`
  return `nullif(CASE
      WHEN starts_with(${plan}, '{') THEN CASE WHEN json_valid(${plan}) THEN json_extract_string(${plan}, '$."Query Text"') END
      WHEN starts_with(${plan}, '<') THEN ${unescaped}
      WHEN starts_with(${plan}, 'Query Text: "') AND json_valid(${inYaml}) THEN json_extract_string(${inYaml}, '$')
      ELSE ${inText} END, '')`
}

const auditMark = 'AUDIT: '

// CSV: quotes inside quotes are doubled, and a quoted statement may contain commas and newlines.
const auditText = `(?:"(?:[^"]|"")*"|[^,"]*)`

/** 1-based positions of the stored fields before the statement of a pgaudit message (format since 1.0). */
export const auditPosition = {
  type: 1,
  statementId: 2,
  substatementId: 3,
  class: 4,
  command: 5,
  objectType: 6,
  objectName: 7,
} as const

/** The fields before the statement are numbers, keywords and a name of two parts. */
const maxAuditHeadChars = 4_096

/** SQL of the fields of a pgaudit message before its statement, with their commas; NULL for other messages. */
export function auditHead(message: string): string {
  return `CASE WHEN starts_with(${message}, '${auditMark}') THEN
    nullif(regexp_extract(left(${message}, ${maxAuditHeadChars}), '(?s)^${auditMark}(?:${auditText},){7}'), '') END`
}

/** SQL of these fields, still quoted, as a list. */
export function auditFields(head: string): string {
  return `CASE WHEN ${head} IS NOT NULL THEN
    regexp_extract_all(substring(${head}, ${auditMark.length + 1}), '(?s)(${auditText}),', 1) END`
}

/** SQL of one field in a column of `auditFields`, without quotes; '' becomes NULL. */
export function auditField(fields: string, position: number): string {
  const field = `${fields}[${position}]`
  return `nullif(CASE WHEN starts_with(${field}, '"') THEN replace(substring(${field}, 2, length(${field}) - 2), '""', '"') ELSE ${field} END, '')`
}

/** SQL of the statement at the beginning of the text after the head, with doubled inner quotes; '' without one. */
export function auditStatement(tail: string): string {
  return `CASE WHEN starts_with(${tail}, '"') THEN regexp_extract(${tail}, '(?s)^"((?:[^"]|"")*)"', 1)
    ELSE regexp_extract(${tail}, '^[^,"]*') END`
}

/**
 * SQL of a field after the statement, as it is written; NULL without one.
 *
 * @param tail SQL of the text from the statement on
 * @param position 1 for the parameters, 2 for the number of rows
 */
export function auditTailField(tail: string, position: 1 | 2): string {
  const pattern = sqlString(`^${auditText},(${auditText})(?:,([0-9]+))?\\s*$`)
  return `nullif(regexp_extract(${tail}, ${pattern}, ${position}), '')`
}

/** SQL of a column without the doubling of quotes; '' becomes NULL. */
export function unquoted(text: string): string {
  return `CASE WHEN contains(${text}, '""') THEN replace(${text}, '""', '"') WHEN ${text} <> '' THEN ${text} END`
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

/** Messages about connections have some hundred characters. */
const maxConnectionChars = 4_096

/** SQL of the value of one key in a message about a connection. */
export function connectionValue(
  message: string,
  key: 'user' | 'database' | 'application_name' | 'host' | 'port',
): string {
  const next = connectionKeys.map((other) => (other === 'SSL' ? 'SSL ' : `${other}=`)).join('|')
  const beginning = `left(${message}, ${maxConnectionChars})`
  // A login that fails names them in quotes.
  const refused = ['user', 'database', 'host'].includes(key)
    ? `WHEN ${startsAny(message, ['no pg_hba.conf entry for ', 'pg_hba.conf rejects '])} THEN
        nullif(regexp_extract(${beginning}, '\\b${key} "(.*?)"(?:,|$)', 1), '')`
    : ''
  const unauthenticated =
    key === 'user'
      ? `WHEN contains(${beginning}, ' authentication failed for user "') THEN
        nullif(regexp_extract(${beginning}, '^[^"\\n]* authentication failed for user "(.*)"$', 1), '')
      WHEN starts_with(${message}, 'connection authenticated: identity="') THEN
        nullif(regexp_extract(${beginning}, '^connection authenticated: identity="(.*)" method=', 1), '')`
      : ''
  return `CASE ${refused} ${unauthenticated} WHEN ${startsAny(message, ['connection ', 'disconnection', 'replication connection '])} THEN
    nullif(regexp_extract(${beginning}, '(?s)${key}=(.*?)\\s*(?:(?:${next})|$)', 1), '') END`
}

function startsAny(text: string, beginnings: readonly string[]): string {
  return `(${beginnings.map((beginning) => `starts_with(${text}, '${beginning}')`).join(' OR ')})`
}
