import { TailraceError } from '../../errors.ts'
import { sqlString } from '../sql.ts'
import { anyLevelWord, continuationOf, englishLevelWord } from './levels.ts'
import { type PrefixField, type PrefixValue, prefixFields } from './shapes/shape.ts'

/**
 * Prefixes to try when none is configured: the default of Azure flexible server, common samples, and PostgreSQL's own
 * default. That one comes last, because other prefixes start with it.
 */
export const defaultPrefixes: readonly string[] = [
  '%t-%c-',
  '%m [%p] [user=%u,db=%d,app=%a,host=%h] ',
  '%m [%p] [user=%u,db=%d,app=%a] ',
  '%m [%p] user=%u,db=%d,app=%a,client=%h ',
  '%m [%p] user=%u,db=%d,app=%a ',
  '%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ',
  '%t %p %l-1 db-%d,user-%u,app-%a,client-%h ',
  // Amazon RDS and Aurora; the second with what IBM Guardium asks for.
  '%t:%r:%u@%d:[%p]:',
  '%t:%r:%u@%d:[%p]:%a:%e',
  // Debian and Ubuntu.
  '%m [%p] %q%u@%d ',
  // Zalando's Spilo.
  '%t [%p]: [%l-1] %c %x %d %u %a %h ',
  '%m [%p] ',
  '%t [%p] ',
]

/** A prefix as a regular expression (RE2), and the field of each of its groups. */
export interface CompiledPrefix {
  /** The setting as it was given. */
  readonly setting: string
  /** Matches the prefix alone. */
  readonly pattern: string
  readonly groups: readonly PrefixField[]
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
  v: ['vxid', '[0-9/]*'],
  Q: ['query_id', '-?\\d*'],
}

/** Escapes that are matched but not stored. */
const otherEscapes: Readonly<Record<string, string>> = {
  P: '\\d*',
  L: '\\S*',
}

/**
 * Compiles a `log_line_prefix` setting. A repeated escape is stored once.
 *
 * @throws CONFIG_INVALID for an escape that PostgreSQL does not have
 */
export function compilePrefix(prefix: string): CompiledPrefix {
  const groups: PrefixField[] = []
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
      // Up to the last colon before the port, because an address of IPv6 has colons.
      pattern += `${group('client_addr', '\\[local\\]|[^ (]*')}(?:\\(${group('client_port', '\\d+')}\\))?`
    } else if (fieldEscapes[code] !== undefined) pattern += padded(group(...fieldEscapes[code]))
    else if (otherEscapes[code] !== undefined) pattern += otherEscapes[code]
    else throw invalidPrefix(prefix, piece)
  }
  pattern += ')?'.repeat(optional)
  return { setting: prefix, pattern: `(?s)^${pattern}`, groups }
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

/**
 * The values of a prefix in the order of the list. `line` is the field that the text holds where the word is no level but
 * DETAIL or the like in another language; `unknown` is 1 where a part has no known meaning.
 */
const order = [...prefixFields, 'level', 'line', 'unknown'] as const
type ListedField = (typeof order)[number]

/**
 * A SQLSTATE, which follows the level with `log_error_verbosity = verbose`. It has a digit among its first three
 * characters (PostgreSQL 18, appendix A).
 */
const sqlstate = '(?:\\d[0-9A-Z]{4}|[A-Z]\\d[0-9A-Z]{3}|[A-Z]{2}\\d[0-9A-Z]{2})'

/**
 * A level. Only English words: with those of all languages, each expression that has it would take a multiple of the
 * time.
 */
const level = `(${englishLevelWord}):  `

/**
 * SQL of the values of a text's prefix, as a list in a fixed order; NULL for a text without prefix and level.
 *
 * A setting counts only if a level follows directly, so that a short one does not match a longer one's beginning. Where
 * none does, the text before the level is read by the form of its parts. Only a text without a level matches a setting
 * alone: single server and Citus leave the level out.
 *
 * Up to nine groups are rewritten by one replacement, which needs one pass of the regular expression. Extracting groups
 * needs one pass for each.
 */
export function prefixValues(text: string, prefixes: readonly CompiledPrefix[]): string {
  const leveled = leveledOf(prefixes)
  const branch = (prefix: Leveled): string => {
    const sorted =
      prefix.groups.length <= maxRewrittenGroups ? rewritten(text, prefix) : extracted(text, prefix)
    return `WHEN regexp_matches(${text}, ${sqlString(prefix.pattern)}) THEN ${sorted}`
  }
  const choose = (prefixes: readonly Leveled[]): string => `CASE ${prefixes.map(branch).join('\n')} END`
  // A part of COALESCE is evaluated only for the rows for which the parts before it are NULL.
  const values = [choose(leveled), inferred(text), choose(prefixes.map(withoutLevel))]
  return `string_split(coalesce(${values.join(',\n')}), ${sqlString(separator)})`
}

function leveledOf(prefixes: readonly CompiledPrefix[]): readonly Leveled[] {
  // Settings without names are tried first: where one of them matches, no other setting would match up to the same level.
  // Names are slow, because the end of a name is searched in all of the text.
  const named = (prefix: CompiledPrefix): number => (prefix.pattern.includes('.*?') ? 1 : 0)
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
  return `regexp_extract(${text}, ${sqlString(`^([^\\n]*?(?:^|[^A-Za-z]))(?:${anyLevelWord}) ?:  `)}, 1)`
}

/** Without a level behind it, a name before an @ could begin anywhere in the text: it must have no blank. */
function withoutLevel(prefix: CompiledPrefix): CompiledPrefix {
  return prefix.pattern.includes('@')
    ? { ...prefix, pattern: prefix.pattern.replaceAll('(.*?)', '(\\S*?)') }
    : prefix
}

interface Leveled extends Pick<CompiledPrefix, 'setting'> {
  readonly pattern: string
  readonly groups: readonly ListedField[]
}

// RE2 supports only \0 to \9 in replacement texts.
const maxRewrittenGroups = 9

function rewritten(text: string, { pattern, groups }: Leveled): string {
  const values = order.map((field) => (groups.includes(field) ? `\\${groups.indexOf(field) + 1}` : ''))
  return `regexp_replace(${text}, ${sqlString(pattern)}, ${sqlString([...values, ''].join(separator))})`
}

function extracted(text: string, { pattern, groups }: Leveled): string {
  // Groups above 9 can only be extracted by name.
  const all = `regexp_extract(${text}, ${sqlString(pattern)}, [${groups.map(sqlString).join(', ')}])`
  return listed((field) => (groups.includes(field) ? `${all}."${field}"` : "''"), rest(text, pattern))
}

/** SQL of the texts of a list, with separators, and the rest after it. */
function listed(textAt: (field: ListedField) => string, after: string): string {
  return [...order.map(textAt), after].join(` || ${sqlString(separator)} || `)
}

function rest(text: string, pattern: string): string {
  return `substring(${text}, length(regexp_extract(${text}, ${sqlString(pattern)}, 0)) + 1)`
}

/** Any text of one line before a level. PostgreSQL writes two blanks after it; one may stand in any message. */
const textBefore = (words: string): string =>
  `(?s)^(([^\\n]*?)(?:^|[^A-Za-z])(${words}) ?:  (?:(${sqlstate}): {1,2})?)`
const anyPrefix = textBefore(anyLevelWord)
/** The groups of `textBefore`. */
const textBeforeGroups = "['all', 'head', 'level', 'code']"

/** An instant of another producer may have no blank before its zone. */
const anyInstant = instant.replace('? (?:', '? ?(?:')
const keyStart = '(?i)(?:^|[^a-z_])'
const keyed = (keys: string, value: string): string => `${keyStart}(?:${keys}) ?= ?"?${value}`
const plainValue = '([^,;\\])\\s("]*)'
/** A name may have blanks: it ends at the next key, or with the prefix. */
const nameValue = '(.*?)(?:[,;"]|\\]|[ ,;]\\w+=|[ :-]*$)'
const userAtDatabase = '([^\\s@,=:\\[\\]]+)@([^\\s@,=:\\[\\]]+)'
const addressAndPort = '(\\[local\\]|[0-9A-Za-z.:_-]*[0-9A-Za-z])\\((\\d+)\\)'
const address = '(?:^|[ [])(\\d{1,3}(?:\\.\\d{1,3}){3}|[0-9a-f]*(?::[0-9a-f]+)*::[0-9a-f:.]*)(?:[ \\]]|$)'
const virtualTransaction = '\\[(\\d+/\\d*)\\]'
/** Types of processes of PostgreSQL 10 to 18. */
const backendType =
  '\\[(client backend|parallel worker|(?:standalone|background) [a-z]+|auto(?:vacuum|prewarm) [a-z]+|logical replication [a-z ]+|slotsync worker|wal ?(?:sender|receiver|writer|summarizer)|checkpointer|archiver|startup|postmaster|logger|io worker|stats collector|not initialized)\\]'
const sessionId = '(?:^|[^0-9a-f.])([0-9a-f]{8}\\.[0-9a-f]{1,8})(?:[^0-9a-f.]|$)'
const epoch = '(?:^|[^0-9.])(\\d{10}\\.\\d{3})(?:[^0-9]|$)'

/** Regular expressions of the parts of any prefix; the first that matches gives the value, in the group of that number. */
const parts: Readonly<Partial<Record<PrefixField, readonly (readonly [pattern: string, group: number])[]>>> =
  {
    time: [
      [`(${anyInstant})`, 1],
      [epoch, 1],
    ],
    session_id: [[sessionId, 1]],
    pid: [
      ['\\[ *(\\d+)\\]', 1],
      ['\\[(\\d+)-\\d+\\]', 1],
      [keyed('pid|process|process_id', '(\\d+)'), 1],
    ],
    line_num: [
      // `[4138]: [7-1]` of %p and %l-1, or `[4138-7]` of %p-%l. In front of the rest, syslog's own number.
      ['\\[\\d+\\].*\\[(\\d+)-1\\]', 1],
      ['^\\[\\d+-(\\d+)\\][^[]*$', 1],
      [keyed('line|line_num|log_line', '(\\d+)'), 1],
    ],
    user_name: [
      [keyed('user|user_name|username|usr', plainValue), 1],
      [userAtDatabase, 1],
    ],
    db_name: [
      [keyed('db|database|dbname|db_name', plainValue), 1],
      [userAtDatabase, 2],
    ],
    application_name: [[keyed('app|appname|application|application_name', nameValue), 1]],
    client_addr: [
      [
        keyed(
          'client|client_addr|host|hostname|rhost|remote|remote_host|ip|addr|connection_source',
          plainValue,
        ),
        1,
      ],
      [addressAndPort, 1],
      [address, 1],
    ],
    client_port: [
      [addressAndPort, 2],
      [keyed('port|client_port|remote_port', '(\\d+)'), 1],
    ],
    command_tag: [[keyed('cmd|cmdtag|command|command_tag|tag|ps', plainValue), 1]],
    sqlstate: [
      [keyed('state|statecode|sqlstate|sql_state|error|sql_error_code', `(${sqlstate})`), 1],
      [`[^0-9A-Za-z](${sqlstate})[ :-]*$`, 1],
    ],
    txid: [[keyed('txid|xid|tid', '(\\d+)'), 1]],
    query_id: [[keyed('query_id|queryid|qid', '(-?\\d+)'), 1]],
    vxid: [
      [virtualTransaction, 1],
      [keyed('vxid|vtid|vtxid', plainValue), 1],
    ],
    backend_type: [
      [backendType, 1],
      [keyed('backend|backend_type|type', nameValue), 1],
    ],
  }

/** The parts of a prefix with a known meaning. Letters and digits outside of them have none. */
const meaningful = [
  anyInstant,
  epoch,
  '\\w+ ?= ?(?:"[^"]*"|[^,;\\])]*)',
  virtualTransaction,
  backendType,
  address,
  sessionId,
  '\\[ *(?:\\d+(?:-\\d+)?|local)\\]',
  userAtDatabase,
  addressAndPort,
  `[^0-9A-Za-z]${sqlstate}[ :-]*$`,
].join('|')

/** SQL of the list of values, each found by the form of its part of the prefix; NULL for a text without a level. */
function inferred(text: string): string {
  const textAt = (field: ListedField): string => {
    if (field === 'level') return "found['level']"
    if (field === 'line') return `coalesce(${continuationOf("found['level']")}, '')`
    if (field === 'unknown') {
      return `CASE WHEN regexp_matches(regexp_replace(found['head'], ${sqlString(meaningful)}, ' ', 'g'), '[A-Za-z0-9]') THEN '1' ELSE '' END`
    }
    const found = (parts[field] ?? []).map(([pattern, group]) => {
      const value = `nullif(regexp_extract(found['head'], ${sqlString(pattern)}, ${group}), '')`
      return pattern.startsWith(keyStart) ? `CASE WHEN contains(found['head'], '=') THEN ${value} END` : value
    })
    if (field === 'sqlstate') found.unshift("nullif(found['code'], '')")
    return found.length === 0 ? "''" : `coalesce(${found.join(', ')}, '')`
  }
  // The words of all languages take ten times as long to find as the English ones. These count only if no other word can
  // be a level before them.
  const found = (pattern: string): string =>
    `regexp_extract(${text}, ${sqlString(pattern)}, ${textBeforeGroups})`
  const either = `list_transform([${found(textBefore(englishLevelWord))}], lambda english:
    CASE WHEN english['all'] <> '' AND NOT contains(english['head'], ':  ') THEN english ELSE ${found(anyPrefix)} END)[1]`
  const values = listed(textAt, `substring(${text}, length(found['all']) + 1)`)
  // The lambda evaluates the match once for all values.
  return `CASE WHEN contains(${text}, ':  ') THEN
    list_transform([${either}], lambda found: CASE WHEN found['all'] <> '' THEN ${values} END)[1] END`
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
  const restOfHead = `CASE WHEN len(${values}) > ${last} THEN array_to_string(${values}[${last}:], ${sqlString(separator)}) ELSE ${values}[${last}] END`
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
      : `nullif(${columns.values}[${order.indexOf(name) + 1}], '')`
}
