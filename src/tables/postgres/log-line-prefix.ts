import { TailraceError } from '../../errors.ts'
import { joinedTexts, once, sqlString } from '../sql.ts'
import { anyPrefix, inferred, serverInstant } from './inferred-prefix.ts'
import { anyLevelWord, englishLevelWord, headOf, unevenWord } from './levels.ts'
import { type ListedField, listed, order, separator, sqlstate } from './prefix-list.ts'
import { hasProgramHead, programValues } from './program-line.ts'
import type { PrefixField, PrefixValue } from './shapes/shape.ts'

/**
 * Prefixes to try when none is configured: the default of Azure flexible server, common samples, and PostgreSQL's own
 * default. That one comes last, because other prefixes start with it.
 */
export const defaultPrefixes: readonly string[] = [
  '%t-%c-',
  '%m [%p] [user=%u,db=%d,app=%a,host=%h] ',
  '%m [%p] [user=%u,db=%d,app=%a,client=%h] ',
  '%m [%p] [user=%u,db=%d,app=%a] ',
  '%m [%p] user=%u,db=%d,app=%a,client=%h ',
  '%m [%p] user=%u,db=%d,app=%a ',
  '%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ',
  '%t %p %l-1 db-%d,user-%u,app-%a,client-%h ',
  // Amazon RDS and Aurora: the default, with what IBM Guardium asks for, and the longer setting that they offer.
  '%t:%r:%u@%d:[%p]:',
  '%t:%r:%u@%d:[%p]:%a:%e',
  '%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:',
  '%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a',
  // Debian and Ubuntu.
  '%m [%p] %q%u@%d ',
  // Zalando's Spilo.
  '%t [%p]: [%l-1] %c %x %d %u %a %h ',
  '%m [%p] ',
  '%t [%p] ',
  // Neon.
  'PG:%m [%p] ',
]

/** A prefix as a regular expression (RE2), and the field of each of its groups. */
export interface CompiledPrefix {
  /** The setting as it was given. */
  readonly setting: string
  /** Matches the prefix alone. */
  readonly pattern: string
  readonly groups: readonly (PrefixField | 'others')[]
}

/** Escapes of `log_line_prefix` with a column (PostgreSQL 18, section 19.8.3). */
const fieldEscapes: Readonly<Record<string, readonly [PrefixField, string]>> = {
  a: ['application_name', '.*?'],
  u: ['user_name', '.*?'],
  d: ['db_name', '.*?'],
  // A host has no blank, and a port behind it belongs to %r.
  h: ['client_addr', '\\[local\\]|[^\\s(,]*?'],
  b: ['backend_type', '.*?'],
  p: ['pid', '\\d*'],
  t: ['time', serverInstant],
  m: ['time', serverInstant],
  n: ['time', '\\d+\\.\\d+'],
  s: ['session_start', serverInstant],
  i: ['command_tag', '.*?'],
  e: ['sqlstate', '[0-9A-Z]{5}'],
  c: ['session_id', '[0-9a-f]+\\.[0-9a-f]+'],
  l: ['line_num', '\\d*'],
  x: ['txid', '\\d*'],
  v: ['vxid', '[0-9/]*'],
  Q: ['query_id', '-?\\d*'],
  P: ['leader_pid', '\\d*'],
}

/** The address of the server, which has no column (PostgreSQL 18). */
const localAddress = '[^\\s"\\\\]*'

/**
 * Compiles a `log_line_prefix` setting. A repeated escape is stored once.
 *
 * Most settings end with a blank, which an environment variable loses, as does whoever copies one. So blanks may follow.
 *
 * @throws CONFIG_INVALID for an escape that PostgreSQL does not have
 */
export function compilePrefix(prefix: string): CompiledPrefix {
  const { pattern, ...compiled } = compileExactPrefix(prefix)
  return { ...compiled, pattern: prefix.endsWith(' ') ? pattern : `${pattern} *` }
}

/** Every pattern begins with it. */
const start = '(?s)^'

function compileExactPrefix(prefix: string): CompiledPrefix {
  const groups: (PrefixField | 'others')[] = []
  let pattern = ''
  let optional = 0
  const group = (field: PrefixField | 'others', expression: string): string => {
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
      // Up to the last colon before the port, because an address of IPv6 has colons.
      pattern += `${group('client_addr', '\\[local\\]|[^ (]*')}(?:\\(${group('client_port', '\\d+')}\\))?`
    } else if (fieldEscapes[code] !== undefined) pattern += padded(group(...fieldEscapes[code]))
    else if (code === 'L') pattern += group('others', localAddress)
    else throw invalidPrefix(prefix, piece)
  }
  pattern += ')?'.repeat(optional)
  return { setting: prefix, pattern: `${start}${pattern}`, groups }
}

const anyName = '(.*?)'
const nameWithoutKey = '([^=]*?)'
const nameInLine = '(\\S*?)'
/** A name with blanks, each before a word: other parts of a prefix begin with other characters, or are a key's. */
const plainName = '(\\[unknown\\]|(?:[^\\s/=(|:[][^\\s/=(|:]*?)?|[A-Za-z_]\\w*(?: [A-Za-z_][^\\s/=(|:]*)+?)'

/** The same of a database. Digits in front may be a client's address, as in `%u@%h`. */
const plainDatabase = plainName.replace('(?:[^', '(?:[^\\d')

const names = [anyName, plainName, plainDatabase, nameWithoutKey]

/** Compiles one of the settings to try, which must not take another part of a longer prefix for a name. */
export function compileDefaultPrefix(prefix: string): CompiledPrefix {
  const { pattern, ...compiled } = compileExactPrefix(prefix)
  const plain = pattern.replace(`${anyName}@${anyName}`, `${plainName}@${plainDatabase}`)
  return { ...compiled, pattern: plain.replaceAll(anyName, nameWithoutKey) }
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

/**
 * A level. Only English words: with those of all languages, each expression that has it would take a multiple of the
 * time.
 */
const level = `(${englishLevelWord}):  `

/**
 * SQL of a list of the values in a text's prefix, in the order of `order`. A value that the prefix lacks is NULL. The list
 * itself is NULL for a text that has neither a prefix nor a level.
 *
 * A setting counts only if a level follows directly, so that a short one does not match a longer one's beginning. Where
 * none does, the text before the level is read by the form of its parts. Only a text without a level matches a setting
 * alone: single server and Citus leave the level out.
 *
 * Up to nine groups are rewritten by one replacement, which needs one pass of the regular expression. Extracting groups
 * needs one pass for each.
 *
 * @param hasPrograms SQL of whether the text may be a line of a program other than the server
 */
export function prefixValues(text: string, prefixes: readonly CompiledPrefix[], hasPrograms: string): string {
  const leveled = leveledOf(prefixes)
  const branch = (prefix: Leveled): string => {
    const sorted =
      prefix.groups.length <= maxRewrittenGroups ? rewritten(text, prefix) : extracted(text, prefix)
    return `WHEN regexp_matches(${text}, ${sqlString(prefix.pattern)}) THEN ${sorted}`
  }
  const choose = (prefixes: readonly Leveled[]): string => `CASE ${prefixes.map(branch).join('\n')} END`
  // A part of COALESCE is evaluated only for the rows for which the parts before it are NULL.
  const values = [
    choose(leveled),
    `CASE WHEN ${hasPrograms} AND ${hasProgramHead(text)} THEN NULL ELSE ${inferred(text)} END`,
    `CASE WHEN ${hasPrograms} THEN ${programValues(text)} END`,
    choose(prefixes.map(withoutLevel)),
  ]
  return `list_transform(string_split(coalesce(${values.join(',\n')}), ${sqlString(separator)}), lambda value:
    CASE WHEN value <> '' THEN value END)`
}

function leveledOf(prefixes: readonly CompiledPrefix[]): readonly Leveled[] {
  // Settings without names are tried first: where one of them matches, no other setting would match up to the same level.
  // Names are slow, because the end of a name is searched in all of the text.
  const named = (prefix: CompiledPrefix): number =>
    names.some((name) => prefix.pattern.includes(name)) ? 1 : 0
  const sorted = prefixes.toSorted((one, other) => named(one) - named(other))
  return sorted.map(({ setting, pattern, groups }) => {
    const statesCode = groups.includes('sqlstate')
    return {
      setting,
      pattern: `${pattern}${level}(?:${statesCode ? sqlstate : `(${sqlstate})`}: {1,2})?`,
      groups: [...groups, 'level', ...(statesCode ? [] : (['sqlstate'] as const))],
    }
  })
}

/** SQL of the setting by which `prefixValues` reads a text; '' when it goes by the form of the parts, NULL when it reads none. */
export function prefixSetting(text: string, prefixes: readonly CompiledPrefix[]): string {
  const branches = (all: readonly Leveled[]): string =>
    all
      .map(
        ({ setting, pattern }) =>
          `WHEN regexp_matches(${text}, ${sqlString(pattern)}) THEN ${sqlString(setting)}`,
      )
      .join('\n')
  return `CASE ${branches(leveledOf(prefixes))} WHEN regexp_matches(${text}, ${sqlString(anyPrefix)}) THEN ''
    ${branches(prefixes.map(withoutLevel))} END`
}

/** SQL of a text's part before its level; '' for a text without a level. */
export function prefixText(text: string): string {
  return `regexp_extract(${text}, ${sqlString(`^([^\\n]*?(?:^|[^A-Za-z]))${headOf(`(?:${anyLevelWord})`, `(?:${unevenWord})`)}`)}, 1)`
}

/** Without a level behind it, a name before an @ could begin anywhere in the text: it must have no blank. */
function withoutLevel(prefix: CompiledPrefix): CompiledPrefix {
  return prefix.pattern.includes('@')
    ? {
        ...prefix,
        pattern: names.reduce((pattern, name) => pattern.replaceAll(name, nameInLine), prefix.pattern),
      }
    : prefix
}

interface Leveled extends Pick<CompiledPrefix, 'setting'> {
  readonly pattern: string
  readonly groups: readonly ListedField[]
}

// RE2 supports only \0 to \9 in replacement texts.
const maxRewrittenGroups = 9

function rewritten(text: string, { pattern, groups }: Leveled): string {
  const values = order.map((field) => {
    if (!groups.includes(field)) return ''
    const value = `\\${groups.indexOf(field) + 1}`
    return field === 'others' ? `${othersBegin}${value}${othersEnd}` : value
  })
  return `regexp_replace(${text}, ${sqlString(pattern)}, ${sqlString([...values, ''].join(separator))})`
}

function extracted(text: string, { pattern, groups }: Leveled): string {
  // Groups above 9 can only be extracted by name.
  const whole = sqlString(`${pattern.replace(start, `${start}(`)})`)
  const all = `regexp_extract(${text}, ${whole}, [${['all', ...groups].map(sqlString).join(', ')}])`
  const values = listed((field) => {
    if (!groups.includes(field)) return "''"
    const value = `found['${field}']`
    return field === 'others' ? `${sqlString(othersBegin)}, ${value}, ${sqlString(othersEnd)}` : value
  }, `substring(${text}, length(found['all']) + 1)`)
  return once('found', all, values)
}

/** Around the one part of a setting without a column. */
const othersBegin = '{"local_addr":"'
const othersEnd = '"}'

/**
 * A prefix consists of a few names of at most 63 bytes. Only the beginning of a text is searched for it: the text after
 * the prefix can have megabytes, and the engine keeps every copy of it until the row is written.
 */
const maxHeadChars = 4_096

/** Names of the columns that a prefix is read from. */
export interface PrefixColumns {
  /** The text that may start with a prefix. */
  readonly whole: string
  /** The part of it that is searched for a prefix. */
  readonly head: string
  /** The list from `prefixValues`; NULL without a prefix. */
  readonly values: string
  /** The text after the prefix; NULL without a prefix. */
  readonly rest: string
}

/** SQL of the part of a text that is searched for a prefix. A further line of a message, behind a tab, has none. */
export function prefixHead(text: string): string {
  return `CASE WHEN starts_with(${text}, ${sqlString('\t')}) THEN '' WHEN strlen(${text}) > ${maxHeadChars} THEN left(${text}, ${maxHeadChars}) ELSE ${text} END`
}

/** SQL of the text after the prefix. */
export function prefixRest({ whole, values }: PrefixColumns): string {
  const last = order.length + 1
  // The message may contain the separator, so all remaining elements belong to it.
  const parts = `list_transform(${values}[${last}:], lambda value: coalesce(value, ''))`
  const restOfHead = `CASE WHEN len(${values}) > ${last} THEN ${joinedTexts(parts, separator)} ELSE coalesce(${values}[${last}], '') END`
  const headChars = `least(length(${whole}), ${maxHeadChars})`
  return `CASE WHEN ${values} IS NULL THEN NULL
    WHEN strlen(${whole}) > ${maxHeadChars} THEN substring(${whole}, ${headChars} - length(${restOfHead}) + 1)
    ELSE ${restOfHead} END`
}

/** @returns a function that gives SQL of a value of the prefix, or of a part of the text */
export function prefixValueOf(columns: PrefixColumns): PrefixValue {
  return (name) =>
    name === 'whole' || name === 'head' || name === 'rest'
      ? columns[name]
      : `${columns.values}[${order.indexOf(name) + 1}]`
}
