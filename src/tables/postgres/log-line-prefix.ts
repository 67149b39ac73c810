import { TailraceError } from '../../errors.ts'
import { sqlString } from '../sql.ts'
import { type PrefixField, type PrefixValue, prefixFields } from './shapes/shape.ts'

/**
 * Prefixes that are tried when none is configured: Azure flexible server's default, common samples, and
 * PostgreSQL's own default, which is the start of others and therefore last.
 */
export const defaultPrefixes: readonly string[] = [
  '%t-%c-',
  '%m [%p] [user=%u,db=%d,app=%a] ',
  '%m [%p] user=%u,db=%d,app=%a,client=%h ',
  '%m [%p] user=%u,db=%d,app=%a ',
  '%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ',
  '%t %p %l-1 db-%d,user-%u,app-%a,client-%h ',
  '%m [%p] ',
  '%t [%p] ',
]

/** A prefix as a regular expression (RE2) and what its groups hold, in order. */
export interface CompiledPrefix {
  readonly pattern: string
  readonly groups: readonly (PrefixField | 'level')[]
}

const instant = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)? (?:[A-Za-z]+|[+-]\\d+(?::\\d+)*)'

/** The escapes of `log_line_prefix` that fill a column (PostgreSQL 18, section 19.8.3). */
const fieldEscapes: Readonly<Record<string, readonly [PrefixField, string]>> = {
  a: ['application_name', '.*?'],
  u: ['user_name', '.*?'],
  d: ['db_name', '.*?'],
  h: ['client_addr', '.*?'],
  b: ['backend_type', '.*?'],
  p: ['pid', '\\d*'],
  t: ['time', instant],
  m: ['time', instant],
  n: ['time', '\\d+\\.\\d+'],
  s: ['session_start', instant],
  i: ['command_tag', '.*?'],
  e: ['sqlstate', '[0-9A-Z]{5}'],
  c: ['session_id', '[0-9a-f]+\\.[0-9a-f]+'],
  l: ['line_num', '\\d*'],
  x: ['txid', '\\d*'],
  Q: ['query_id', '-?\\d*'],
}

/** Escapes that are matched and not kept. */
const otherEscapes: Readonly<Record<string, string>> = {
  P: '\\d*',
  v: '[0-9/]*',
  L: '\\S*',
}

/**
 * Compiles a `log_line_prefix` setting.
 *
 * @throws CONFIG_INVALID for an escape that PostgreSQL does not have, or for one that is given twice
 */
export function compilePrefix(prefix: string): CompiledPrefix {
  const groups: CompiledPrefix['groups'][number][] = []
  let pattern = ''
  let optional = 0
  const group = (field: PrefixField, expression: string): string => {
    if (groups.includes(field)) return `(?:${expression})`
    groups.push(field)
    return `(${expression})`
  }
  for (const [piece, code] of prefix.matchAll(/%-?\d*([a-zA-Z%])|[^%]+|%/g)) {
    // A width, as in %-8p, fills up with blanks.
    const padded = (expression: string): string => (/\d/.test(piece) ? ` *${expression} *` : expression)
    if (piece === '%') throw invalidPrefix(prefix, piece)
    if (code === undefined) pattern += quoted(piece)
    else if (code === '%') pattern += '%'
    else if (code === 'q') {
      // Background processes stop here.
      pattern += '(?:'
      optional += 1
    } else if (code === 'r') {
      pattern += `${group('client_addr', '\\[local\\]|[^ (]*?')}(?:\\(${group('client_port', '\\d+')}\\))?`
    } else if (fieldEscapes[code] !== undefined) pattern += padded(group(...fieldEscapes[code]))
    else if (otherEscapes[code] !== undefined) pattern += otherEscapes[code]
    else throw invalidPrefix(prefix, piece)
  }
  pattern += ')?'.repeat(optional)
  groups.push('level')
  return { pattern: `(?s)^${pattern}(?:([A-Z]+[1-5]?):\\s+)?`, groups }
}

function invalidPrefix(prefix: string, piece: string): TailraceError {
  return new TailraceError(
    'CONFIG_INVALID',
    `${JSON.stringify(prefix)} is not a log_line_prefix: ${piece} is no escape`,
  )
}

function quoted(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

// No prefix holds it.
const separator = '\x1f'
const order = [...prefixFields, 'level'] as const

/**
 * SQL of what the first matching prefix tells, as a list that is NULL when none matches.
 *
 * One replacement puts all groups into a fixed order, which costs one pass of the regular expression, whereas
 * extracting them costs one each.
 */
export function prefixValues(text: string, prefixes: readonly CompiledPrefix[]): string {
  const branches = prefixes.map((prefix) => {
    const pattern = sqlString(prefix.pattern)
    const sorted =
      prefix.groups.length <= mostRewrittenGroups ? rewritten(text, prefix) : extracted(text, prefix)
    return `WHEN regexp_matches(${text}, ${pattern}) THEN ${sorted}`
  })
  return `string_split(CASE ${branches.join('\n')} END, ${sqlString(separator)})`
}

// RE2's replacement texts know \0 to \9.
const mostRewrittenGroups = 9

function rewritten(text: string, { pattern, groups }: CompiledPrefix): string {
  const values = order.map((field) => (groups.includes(field) ? `\\${groups.indexOf(field) + 1}` : ''))
  return `regexp_replace(${text}, ${sqlString(pattern)}, ${sqlString([...values, ''].join(separator))})`
}

function extracted(text: string, { pattern, groups }: CompiledPrefix): string {
  // Groups above 9 can be had by name only.
  const all = `regexp_extract(${text}, ${sqlString(pattern)}, [${groups.map(sqlString).join(', ')}])`
  const values = order.map((field) => (groups.includes(field) ? `${all}."${field}"` : "''"))
  const rest = `substring(${text}, length(regexp_extract(${text}, ${sqlString(pattern)}, 0)) + 1)`
  return [...values, rest].join(` || ${sqlString(separator)} || `)
}

/** Reads a column that `prefixValues` filled. */
export function prefixValueOf(column: string): PrefixValue {
  return (name) => {
    const rest = order.length + 1
    // A message may hold the separator too.
    if (name === 'rest')
      return `CASE WHEN len(${column}) > ${rest} THEN array_to_string(${column}[${rest}:], ${sqlString(separator)}) ELSE ${column}[${rest}] END`
    return `nullif(${column}[${order.indexOf(name) + 1}], '')`
  }
}
