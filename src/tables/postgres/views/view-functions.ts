import type { ViewDialect, ViewFunction } from '../../views.ts'
import { codeEvent, messageEvent, severityLevel, viewSeverityLevel } from '../events.ts'
import { plannedStatement } from '../expressions/message.ts'
import { continuationOf, viewContinuationOf } from '../levels.ts'

/**
 * Replaces every match of a regular expression that both RE2 and Java read alike. It must have no quote: `\x27` and
 * `\x22` stand for them, because a raw literal of Spark cannot hold its own quote.
 *
 * @param suffix SQL of a text that follows each replacement
 */
function replaceAll(
  dialect: ViewDialect,
  text: string,
  pattern: string,
  replacement: string,
  suffix?: string,
): string {
  const end = suffix === undefined ? '' : ` || ${suffix}`
  return dialect === 'duckdb'
    ? `regexp_replace(${text}, '${pattern}', '${replacement}'${end}, 'g')`
    : `regexp_replace(${text}, r'${pattern}', r'${replacement.replaceAll(/\\(\d)/g, '$$$1')}'${end})`
}

/** Applies replacements in order. */
function replaceEach(
  dialect: ViewDialect,
  text: string,
  replacements: readonly (readonly [pattern: string, replacement: string])[],
): string {
  return replacements.reduce(
    (inner, [pattern, replacement]) => replaceAll(dialect, inner, pattern, replacement),
    text,
  )
}

/**
 * One pass over the tokens of SQL text, so that a quote inside a comment, or a comment inside a string, is read as what
 * it is. Quoted identifiers, and the beginnings of comments, are groups.
 */
function tokens(dialect: ViewDialect): string {
  // Java's matcher calls itself for each repetition of a group, unless it is possessive; a long text would overflow its
  // stack. RE2 has no possessive repetition, and no need of it.
  const repeated = (group: string): string => `(?:${group})*${dialect === 'spark' ? '+' : ''}`
  return [
    String.raw`(\x22[^\x22]*${repeated(String.raw`\x22\x22[^\x22]*`)}\x22)`,
    String.raw`(--)[^\n]*`,
    String.raw`(/\*)[^*]*\*+${repeated(String.raw`[^/*][^*]*\*+`)}/`,
    String.raw`[eE]\x27[^\x27\\]*${repeated(String.raw`(?:\\[\s\S]|\x27\x27)[^\x27\\]*`)}\x27`,
    String.raw`(?:[bBxXnN]|[uU]&)?\x27[^\x27]*${repeated(String.raw`\x27\x27[^\x27]*`)}\x27`,
    String.raw`\$\$[\s\S]*?\$\$`,
    String.raw`\$[A-Za-z_][A-Za-z0-9_]*\$[\s\S]*?\$[A-Za-z_][A-Za-z0-9_]*\$`,
  ].join('|')
}

const operandsBefore = String.raw`[=<>(,\[+*/%|~!-]|\b(?:select|limit|offset|then|else|when|between|and|or|not|like|by|to|returning|return|values|default)`

/** The text between quoted identifiers: lower case, parameters and numbers replaced, white space folded. */
const outsideIdentifiers: readonly (readonly [string, string])[] = [
  [String.raw`\$[0-9]+`, '?'],
  [
    String.raw`(?:\b0x[0-9a-f_]+|\b0o[0-7_]+|\b0b[01_]+|\b[0-9][0-9_]*(?:\.[0-9_]*)?(?:e[+-]?[0-9]+)?|\.[0-9][0-9_]*(?:e[+-]?[0-9]+)?)`,
    '?',
  ],
  [String.raw`(${operandsBefore}) *[-+] *\?`, String.raw`\1 ?`],
  [String.raw`([(\[]) \?`, String.raw`\1?`],
  [String.raw`\s+`, ' '],
  [String.raw`\bin ?\( ?\?[?, ]*\)`, 'in (?)'],
]

const mark = 'chr(1)'

function normalizedSql(dialect: ViewDialect): string {
  const marked = replaceAll(dialect, 's', tokens(dialect), String.raw`\1\2\3`, mark)
  const masked = `replace(replace(replace(replace(${marked}, '"' || ${mark}, '"'), '--' || ${mark}, ' '), '/*' || ${mark}, ' '), ${mark}, '?')`
  const outside = replaceEach(dialect, 'lower(p)', outsideIdentifiers)
  const folded =
    dialect === 'duckdb'
      ? `array_to_string(list_transform(string_split(${masked}, '"'), lambda p, i: CASE WHEN i % 2 = 1 THEN ${outside} ELSE p END), '"')`
      : `array_join(transform(split(${masked}, '"'), (p, i) -> CASE WHEN i % 2 = 0 THEN ${outside} ELSE p END), '"')`
  return replaceAll(dialect, folded, String.raw`^[\s;]+|[\s;]+$`, '')
}

function normalizedMessage(dialect: ViewDialect): string {
  const firstLine = replaceAll(dialect, 's', String.raw`\n[\s\S]*$`, '')
  return replaceEach(dialect, firstLine, [
    [String.raw`\x22[^\x22]*\x22`, '"…"'],
    // Text logs have the position of an error behind its message, and jsonlog has it elsewhere.
    [' at character [0-9]+$', ''],
    ['[0-9]+', 'N'],
  ])
}

/** The statement of a plan, as `plannedStatement` reads it. */
function planStatement(dialect: ViewDialect): string {
  if (dialect === 'duckdb') return plannedStatement('s')
  const inYaml = String.raw`regexp_extract(s, r'^Query Text: ("(?:[^"\\]|\\.)*")', 1)`
  const inXml = `regexp_extract(s, r'(?s)<Query-Text>(.*?)</Query-Text>', 1)`
  const unescaped = `replace(replace(replace(replace(${inXml}, '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&amp;', '&')`
  const inText = String.raw`regexp_extract(s, r'(?s)^\t?Query Text: (.*?)\n\t?(?:Query Parameters: |Query Identifier: |[^\n]*\(cost=[0-9.]+)', 1)`
  return `nullif(CASE WHEN startswith(s, '{') THEN get_json_object(s, "$['Query Text']") WHEN startswith(s, '<') THEN ${unescaped}
    WHEN startswith(s, 'Query Text: "') THEN get_json_object('{"text":' || ${inYaml} || '}', '$.text') ELSE ${inText} END, '')`
}

/** The statement of a message of pgaudit, whose quotes are doubled inside quotes. */
function auditedStatement(): string {
  // Repeated groups contain few repetitions: Java's matcher calls itself for each, and a long text would overflow its stack.
  const field = '(?:"[^"]*(?:""[^"]*)*"|[^,"]*)'
  const text = `regexp_extract(s, '^AUDIT: (?:${field},){7}(${field})', 1)`
  return `CASE WHEN ${text} LIKE '"%' THEN replace(substring(${text}, 2, length(${text}) - 2), '""', '"') ELSE nullif(${text}, '') END`
}

function inBothDialects(of: (dialect: ViewDialect) => string): Readonly<Record<ViewDialect, string>> {
  return { duckdb: of('duckdb'), spark: of('spark') }
}

/** The functions that the views call. */
export const viewFunctions: readonly ViewFunction[] = [
  {
    name: 'normalize_sql',
    comment: 'SQL text in which constants and parameters are ?, in lower case, without comments.',
    body: inBothDialects(normalizedSql),
  },
  {
    name: 'normalize_message',
    comment: 'First line of a message, in which quoted names are "…" and numbers are N.',
    body: inBothDialects(normalizedMessage),
  },
  {
    name: 'severity_level',
    comment:
      'DEBUG, LOG, INFO, NOTICE, WARNING, ERROR, FATAL or PANIC, of a severity in any language of PostgreSQL; NULL for other texts.',
    body: { duckdb: viewSeverityLevel('s'), spark: severityLevel('s') },
  },
  {
    name: 'message_event',
    comment: 'The event that an English message of PostgreSQL reports; NULL for other messages.',
    body: inBothDialects(() => messageEvent('s')),
  },
  {
    name: 'sqlstate_event',
    comment: 'The event that a SQLSTATE states, in every language; NULL for other codes.',
    body: inBothDialects(() => codeEvent('s')),
  },
  {
    name: 'text_part',
    comment:
      'detail, hint, context, statement, query or location, of the word in any language of PostgreSQL that a line of a text log has in place of a severity; NULL for other texts.',
    body: { duckdb: viewContinuationOf('s'), spark: continuationOf('s') },
  },
  {
    name: 'plan_statement',
    comment:
      'The statement that a plan of auto_explain begins with, in each of its formats; NULL without one.',
    body: inBothDialects(planStatement),
  },
  {
    name: 'audit_statement',
    comment: 'The statement in a message of pgaudit; NULL without one.',
    body: inBothDialects(auditedStatement),
  },
  {
    name: 'further_lines',
    comment:
      'Lines in their order, each once and behind a newline; before each text is its place, of 30 digits.',
    parameter: 'ARRAY<STRING>',
    body: {
      duckdb: `coalesce(array_to_string(list_transform(list_sort(list_distinct(s)), lambda p: chr(10) || substring(p, 31)), ''), '')`,
      spark: `coalesce(array_join(transform(array_sort(array_distinct(filter(s, p -> p IS NOT NULL))), p -> chr(10) || substring(p, 31)), ''), '')`,
    },
  },
]
