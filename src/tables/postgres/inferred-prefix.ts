import { once, sqlString } from '../sql.ts'
import { jsonObject } from './expressions/json.ts'
import { anyLevelWord, continuationOf, englishLevelWord, headOf, mayBeUneven, unevenWord } from './levels.ts'
import { type ListedField, listed, sqlstate } from './prefix-list.ts'
import { isQuoted } from './program-line.ts'
import type { PrefixField } from './shapes/shape.ts'

/** An instant as PostgreSQL writes it: `%t`, `%m` and `%s`. */
export const serverInstant =
  '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)? (?:[A-Za-z]+|[+-]\\d+(?::\\d+)*)'

/** Any text of one line before a level. PostgreSQL writes two blanks after it; one may stand in any message. */
const textBefore = (head: string): string =>
  `(?s)^(([^\\n]*?(?:^|[^A-Za-z]))${head}(?:(${sqlstate}): {1,2})?)`
export const anyPrefix = textBefore(headOf(`(${anyLevelWord})`, `(${unevenWord})`))
const englishPrefix = textBefore(`(?:(${englishLevelWord}) ?:  )()`)
/** The groups of `textBefore`. */
const textBeforeGroups = "['all', 'before', 'level', 'uneven', 'code']"

/** An instant of another producer may have no blank before its zone. */
const anyInstant = serverInstant.replace('? (?:', '? ?(?:')
const preciseInstant = anyInstant.replace('(?:\\.\\d+)?', '\\.\\d+')
const wholeInstant = anyInstant.replace('(?:\\.\\d+)?', '')

const keys = {
  pid: 'pid|process|process_id',
  line: 'line|line_num|log_line',
  user: 'user|user_name|username|usr',
  db: 'db|database|dbname|db_name',
  app: 'app|appname|application|application_name',
  client: 'client|client_addr|host|hostname|rhost|remote|remote_host|ip|addr|connection_source',
  port: 'port|client_port|remote_port',
  command: 'cmd|cmdtag|command|command_tag|tag|ps',
  code: 'state|statecode|sqlstate|sql_state|error|sql_error_code',
  transaction: 'txid|xid|tid|trx|trx_id',
  query: 'query_id|queryid|qid',
  virtual: 'vxid|vtid|vtxid',
  backend: 'backend|backend_type|type',
} as const

const keyStart = '(?i)(?:^|[^a-z_])'
const keyed = (key: keyof typeof keys, value: string): string =>
  `${keyStart}(?:${keys[key]})(?:=| = | ?: ?)"?${value}`
const number = '\\[?(\\d+)'
/** In brackets of its own, which may hold a name in brackets. What follows shows that they are no part of the name. */
const inBrackets =
  '\\[([^\\[\\]]*(?:\\[[^\\[\\]]*\\][^\\[\\]]*)*)\\](?:[,;:\\]|>]|\\s*\\w+ ?[=:]|\\s+\\[|\\s*$)'
const plainValue = '(\\[unknown\\]|[^,;\\[\\])\\s("|]*)'
/** The same of a name, at whose end a colon may end the prefix. */
const wholeName = '(\\[unknown\\]|[^,;\\[\\])\\s("|]*?)(?:[,;\\[\\])\\s("|]|:?$)'
const code = `(?:[0-5]\\d[A-Z]\\d\\d|0[ABFLPZ][0-9P]\\d\\d|[23][BDF][0-9P]\\d\\d|(?:XX|HV|F0|P0)[0-9A-Z]\\d\\d)`
/** A part in brackets that is no name: a code, a number, an address, or a user at a database. */
const bracketedPart = '\\[(?:[0-9A-Z]{5}|\\d[0-9a-f./:()-]*|[^\\s\\[\\]]+@[^\\s\\[\\]]+)\\]'
/** A name may have blanks: it ends at the next part, or with the prefix. */
const nameValue = `(\\[unknown\\]|.*?)(?:[,;"|\\t]|\\]| ${bracketedPart}|[ ,;]\\w+=| [A-Z]:|[ :-]*$)`
/** With a letter: `7@3/11` are other parts, and a name of digits and dots behind a user's is the client's address. */
const name = '[^\\s@,=:\\[\\]|/(]*[^\\s@,=:\\[\\]|/(\\d.][^\\s@,=:\\[\\]|/(]*'
const userAtDatabase = `(${name})@(${name})`
const userAtAddress = `(${name})@\\d{1,3}(?:\\.\\d{1,3}){3}`
const ipv6 = '[0-9a-f]*(?::[0-9a-f]+)*::[0-9a-f:.]*|[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}'
const addressAndPort = `(\\[local\\]|${ipv6}|[0-9A-Za-z._-]*[0-9A-Za-z])\\((\\d+)\\)`
const address = `(?:^|[ [{(@])(\\d{1,3}(?:\\.\\d{1,3}){3}|${ipv6})(?:[ \\]}),:/]|$)`
const socket = '(\\[local\\])'
const virtualTransaction = '\\[(\\d+/\\d*)\\]'
/** Types of processes of PostgreSQL 10 to 18. */
const backendName =
  'client backend|parallel worker|(?:standalone|background) [a-z]+|auto(?:vacuum|prewarm) [a-z]+|logical replication [a-z ]+|slotsync worker|wal ?(?:sender|receiver|writer|summarizer)|checkpointer|archiver|startup|postmaster|logger|io worker|stats collector|not initialized'
const backendType = `\\[(${backendName})\\]`
/** Before the process, as in `%b[%p]`. */
const backendAndPid = `(?:^| )(${backendName})\\[\\d+\\]`
const sessionId = '(?:^|[^0-9a-f.])([0-9a-f]{8}\\.[0-9a-f]{1,8})(?:[^0-9a-f.]|$)'
const epoch = '(?:^|[^0-9.])(\\d{10}\\.\\d{3})(?:[^0-9]|$)'
/** A number of 5 digits is a code only behind a process: it may be one itself. */
const endingCode = `\\[ *\\d+(?:-\\d+)?\\].*\\[([0-5]\\d{4})\\][ :>|-]*$`

/** Regular expressions of the parts of any prefix; the first that matches gives the value, in the group of that number. */
const parts: Readonly<Partial<Record<PrefixField, readonly (readonly [pattern: string, group: number])[]>>> =
  {
    time: [
      // The start of the session has no fraction.
      [`(${preciseInstant})`, 1],
      [`(${anyInstant})`, 1],
      [epoch, 1],
    ],
    // Beside %m, a time without a fraction can only be %s.
    session_start: [
      [`${preciseInstant}.*?[^.\\d](${wholeInstant})`, 1],
      [`(${wholeInstant}).*${preciseInstant}`, 1],
    ],
    session_id: [[sessionId, 1]],
    pid: [
      // As in `%p[%l]`.
      ['[ \\t](\\d{1,7})\\[\\d+\\]', 1],
      ['\\[ *([1-9]\\d*)\\]', 1],
      ['\\[(\\d+)-\\d+\\]', 1],
      [keyed('pid', number), 1],
      [`(?:^|${anyInstant}[ |\\t])(\\d{1,7})(?:[ |\\t]|$)`, 1],
    ],
    line_num: [
      // `[4138]: [7-1]` of %p and %l-1, `[4138-7]` of %p-%l, or `[6b0550cb.102a-7]` of %c-%l. In front of the rest, syslog's
      // own number.
      ['\\[\\d+\\].*\\[(\\d+)-1\\]', 1],
      ['[ \\t]\\d{1,7}\\[(\\d+)\\]', 1],
      ['^\\[\\d+-(\\d+)\\][^[]*$', 1],
      ['^[^[]+\\[\\d+-(\\d+)\\]', 1],
      ['[0-9a-f]{8}\\.[0-9a-f]{1,8}-(\\d+)', 1],
      [keyed('line', number), 1],
    ],
    user_name: [
      [keyed('user', inBrackets), 1],
      [keyed('user', wholeName), 1],
      [userAtDatabase, 1],
      [userAtAddress, 1],
    ],
    db_name: [
      [keyed('db', inBrackets), 1],
      [keyed('db', wholeName), 1],
      [userAtDatabase, 2],
    ],
    application_name: [
      [keyed('app', inBrackets), 1],
      [keyed('app', nameValue), 1],
      [`${userAtDatabase}/${nameValue}`, 3],
    ],
    client_addr: [
      [keyed('client', inBrackets), 1],
      [keyed('client', plainValue), 1],
      [addressAndPort, 1],
      [address, 1],
      [socket, 1],
    ],
    client_port: [
      [addressAndPort, 2],
      [keyed('port', number), 1],
    ],
    command_tag: [
      [keyed('command', inBrackets), 1],
      [keyed('command', plainValue), 1],
    ],
    sqlstate: [
      [keyed('code', `\\[?(${sqlstate})`), 1],
      [`[^0-9A-Za-z](${sqlstate})[ :-]*$`, 1],
      [`[ |\\t[](${code}|00000)(?:[ |\\t\\]]|$)`, 1],
      [endingCode, 1],
    ],
    txid: [[keyed('transaction', number), 1]],
    query_id: [[keyed('query', '\\[?(-?\\d+)'), 1]],
    vxid: [
      [virtualTransaction, 1],
      [keyed('virtual', plainValue), 1],
    ],
    backend_type: [
      [backendType, 1],
      [backendAndPid, 1],
      [keyed('backend', inBrackets), 1],
      [keyed('backend', nameValue), 1],
    ],
  }

const anyValue = '(?:"[^"]*"|\\[[^\\[\\]]*(?:\\[[^\\[\\]]*\\][^\\[\\]]*)*\\]|[^,;\\])]*)'

/** The parts of a prefix with a known meaning. Letters and digits outside of them have none. */
const meaningful = [
  `${anyInstant}(?:[ |\\t]\\d{1,7}(?:[ |\\t]|$))?`,
  epoch,
  '^\\d{1,7}[ |\\t]',
  `[\\w.-]+ ?= ?${anyValue}`,
  `\\b(?i:${Object.values(keys).join('|')}) ?: ?${anyValue}`,
  virtualTransaction,
  backendType,
  backendAndPid,
  address,
  sessionId.replace('(?:[^0-9a-f.]|$)', '(?:-\\d+)?(?:[^0-9a-f.]|$)'),
  '\\[ *(?:\\d+(?:-\\d+)?|local)\\]',
  `${userAtDatabase}(?:/[^,;|\\t\\[\\]]*)?`,
  userAtAddress,
  addressAndPort,
  `(?:[^0-9A-Za-z]|\\b[A-Z]+-)${sqlstate}[ :-]*$`,
  `[ |\\t[]${code}(?:[ |\\t\\]]|$)`,
].join('|')

/** Marks where a pair begins; no prefix contains ASCII's record separator. */
const pairMark = '\x1e'
const pairStart = '(^|[^\\w.-])([A-Za-z_][\\w.-]*) ?= ?'
const pairValue =
  '^[^=]*=(?:"([^"]*)"|\\[([^\\[\\]]*)\\]|([^,;|\\])}\\t]*?))(?:[ ,;|:\\])}\\t-]*$| \\[.*$|[,;|\\])}\\t].*$)'
const knownPair = `^(?i:[\\w.-]*[^a-z_])?(?i:${Object.values(keys).join('|')})=`
/** Values that have columns whatever their key is. */
const knownValue = `=["[]?(?:${anyInstant}|[0-9a-f]{8}\\.[0-9a-f]{1,8}|\\d{10}\\.\\d{3})`

/** SQL of a JSON object of a prefix's keys without a column, with their values; NULL without any. */
function otherPairs(head: string): string {
  const pairs = `string_split(regexp_replace(${head}, ${sqlString(pairStart)}, ${sqlString(`${pairMark}\\2=`)}, 'g'), ${sqlString(pairMark)})[2:]`
  const isOther = `NOT regexp_matches(pair, ${sqlString(`${knownPair}|${knownValue}`)})`
  const value = `concat(${[1, 2, 3].map((group) => `regexp_extract(pair, ${sqlString(pairValue)}, ${group})`).join(', ')})`
  const member = `CASE WHEN ${value} NOT IN ('', 'unknown', '[unknown]') THEN to_json(split_part(pair, '=', 1))::VARCHAR || ':' || to_json(${value})::VARCHAR END`
  const members = `list_transform(list_filter(${pairs}, lambda pair: ${isOther}), lambda pair: ${member})`
  return jsonObject(`list_filter(${members}, lambda one: one IS NOT NULL)`)
}

/** SQL of the list of values, each found by the form of its part of the prefix; NULL for a text without a level. */
export function inferred(text: string): string {
  const level = "found['level'] || found['uneven']"
  const textAt = (field: ListedField): string => {
    if (field === 'level') return level
    if (field === 'program') return "''"
    if (field === 'line') return `${continuationOf(level)}`
    if (field === 'unknown') return `CASE WHEN is_unknown THEN '1' END`
    // A part without a key has no name, so the prefix has it whole.
    if (field === 'others') {
      return `CASE WHEN is_unknown THEN '{"log_line_prefix":' || to_json(head)::VARCHAR || '}'
        WHEN has_keys THEN ${otherPairs('head')} END`
    }
    const found = (parts[field] ?? []).map(([pattern, group]) => {
      const isBracketed = pattern.startsWith(keyStart) && pattern.endsWith(inBrackets)
      // `[unknown]` stands for no value, with or without brackets of its own.
      const isGiven = isBracketed ? "part NOT IN ('', 'unknown')" : "part <> ''"
      const extracted = `regexp_extract(head, ${sqlString(pattern)}, ${group})`
      const value = once('part', extracted, `CASE WHEN ${isGiven} THEN part END`)
      if (isBracketed) return `CASE WHEN has_keys AND contains(head, '[') THEN ${value} END`
      return pattern.startsWith(keyStart) ? `CASE WHEN has_keys THEN ${value} END` : value
    })
    if (field === 'sqlstate') found.unshift("CASE WHEN found['code'] <> '' THEN found['code'] END")
    return found.length === 0 ? "''" : `coalesce(${found.join(', ')})`
  }
  // The words of all languages take ten times as long to find as the English ones. These count only if no other word can
  // be a level before them.
  const found = (pattern: string): string =>
    `regexp_extract(${text}, ${sqlString(pattern)}, ${textBeforeGroups})`
  const either = once(
    'english',
    found(englishPrefix),
    `CASE WHEN english['all'] <> '' AND NOT contains(english['before'], ':  ') THEN english ELSE ${found(anyPrefix)} END`,
  )
  const values = listed(textAt, `substring(${text}, length(found['all']) + 1)`)
  const isUnknown = `regexp_matches(regexp_replace(head, ${sqlString(meaningful)}, ' ', 'g'), '[A-Za-z0-9]')`
  const hasKeys = "regexp_matches(head, '[A-Za-z] ?[=:]')"
  const valuesOnce = once('has_keys', hasKeys, once('is_unknown', isUnknown, values))
  // A bracket before the level belongs to the last part; any other character there is the end of the prefix.
  const head = `CASE WHEN regexp_matches(found['before'], '[\\])}]$') THEN found['before'] ELSE left(found['before'], -1) END`
  const ofMatch = `CASE WHEN found['all'] <> '' AND NOT ${isQuoted("found['before']")} THEN ${once('head', head, valuesOnce)} END`
  return `CASE WHEN contains(${text}, ':  ') OR ${mayBeUneven(text)} THEN ${once('found', either, ofMatch)} END`
}
