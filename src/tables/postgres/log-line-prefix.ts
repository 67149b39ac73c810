import { TailraceError } from '../../errors.ts'
import { sqlString } from '../sql.ts'
import { type PrefixField, type PrefixValue, prefixFields } from './shapes/shape.ts'

/**
 * Prefixes to try when none is configured: the default of Azure flexible server, common samples, and PostgreSQL's own
 * default. That one comes last, because other prefixes start with it.
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

/** A prefix as a regular expression (RE2), and the field of each of its groups. */
export interface CompiledPrefix {
  readonly pattern: string
  readonly groups: readonly (PrefixField | 'level')[]
}

const instant = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)? (?:[A-Za-z]+|[+-]\\d+(?::\\d+)*)'

/** Escapes of `log_line_prefix` with a column (PostgreSQL 18, section 19.8.3). */
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

/** Escapes that are matched but not stored. */
const otherEscapes: Readonly<Record<string, string>> = {
  P: '\\d*',
  v: '[0-9/]*',
  L: '\\S*',
}

/**
 * Compiles a `log_line_prefix` setting. A repeated escape is stored once.
 *
 * @throws CONFIG_INVALID for an escape that PostgreSQL does not have
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
    // With a width, as in %-8p, values are padded with blanks.
    const padded = (expression: string): string => (/\d/.test(piece) ? ` *${expression} *` : expression)
    if (piece === '%') throw invalidPrefix(prefix, piece)
    if (code === undefined) pattern += quoted(piece)
    else if (code === '%') pattern += '%'
    else if (code === 'q') {
      // Background processes write no prefix after %q.
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
    `${JSON.stringify(prefix)} is not a log_line_prefix: unknown escape ${piece}`,
  )
}

function quoted(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

// ASCII's unit separator, which no prefix contains.
const separator = '\x1f'
const order = [...prefixFields, 'level'] as const

/**
 * SQL of the values of the first matching prefix, as a list in a fixed order; NULL when none matches.
 *
 * Up to nine groups are rewritten by one replacement, which needs one pass of the regular expression. Extracting groups
 * needs one pass for each.
 */
export function prefixValues(text: string, prefixes: readonly CompiledPrefix[]): string {
  const branches = prefixes.map((prefix) => {
    const pattern = sqlString(prefix.pattern)
    const sorted =
      prefix.groups.length <= maxRewrittenGroups ? rewritten(text, prefix) : extracted(text, prefix)
    return `WHEN regexp_matches(${text}, ${pattern}) THEN ${sorted}`
  })
  return `string_split(CASE ${branches.join('\n')} END, ${sqlString(separator)})`
}

// RE2 supports only \0 to \9 in replacement texts.
const maxRewrittenGroups = 9

function rewritten(text: string, { pattern, groups }: CompiledPrefix): string {
  const values = order.map((field) => (groups.includes(field) ? `\\${groups.indexOf(field) + 1}` : ''))
  return `regexp_replace(${text}, ${sqlString(pattern)}, ${sqlString([...values, ''].join(separator))})`
}

function extracted(text: string, { pattern, groups }: CompiledPrefix): string {
  // Groups above 9 can only be extracted by name.
  const all = `regexp_extract(${text}, ${sqlString(pattern)}, [${groups.map(sqlString).join(', ')}])`
  const values = order.map((field) => (groups.includes(field) ? `${all}."${field}"` : "''"))
  const rest = `substring(${text}, length(regexp_extract(${text}, ${sqlString(pattern)}, 0)) + 1)`
  return [...values, rest].join(` || ${sqlString(separator)} || `)
}

/**
 * A prefix consists of a few names of at most 63 bytes. Only the beginning of a text is searched for it: the text after
 * the prefix can have megabytes, and the engine keeps every copy of it until the row is written.
 */
const maxHeadChars = 4_096

/** Names of the columns that a prefix is read from. */
export interface PrefixColumns {
  /** The text that may start with a prefix. */
  readonly whole: string
  /** The list from `prefixValues`; NULL without a prefix. */
  readonly values: string
}

/** SQL of the part of a text that is searched for a prefix. */
export function prefixHead({ whole }: PrefixColumns): string {
  return `CASE WHEN strlen(${whole}) > ${maxHeadChars} THEN left(${whole}, ${maxHeadChars}) ELSE ${whole} END`
}

/** SQL of the text after the prefix; NULL without a prefix. */
function prefixRest({ whole, values }: PrefixColumns): string {
  const rest = order.length + 1
  // The message may contain the separator, so all remaining elements belong to it.
  const restOfHead = `CASE WHEN len(${values}) > ${rest} THEN array_to_string(${values}[${rest}:], ${sqlString(separator)}) ELSE ${values}[${rest}] END`
  const headChars = `least(length(${whole}), ${maxHeadChars})`
  return `CASE WHEN ${values} IS NULL THEN NULL
    WHEN strlen(${whole}) > ${maxHeadChars} THEN substring(${whole}, ${headChars} - length(${restOfHead}) + 1)
    ELSE ${restOfHead} END`
}

/** @returns a function that gives SQL of a value of the prefix, or of a part of the text */
export function prefixValueOf(columns: PrefixColumns): PrefixValue {
  return (name) => {
    if (name === 'whole') return columns.whole
    if (name === 'head') return prefixHead(columns)
    if (name === 'rest') return prefixRest(columns)
    return `nullif(${columns.values}[${order.indexOf(name) + 1}], '')`
  }
}
