import { once, sqlString } from '../sql.ts'
import { jsonObject } from './expressions/json.ts'
import { englishLevelWord } from './levels.ts'
import { type ListedField, listed } from './prefix-list.ts'
import { poolerFields } from './shapes/pooler.ts'

/**
 * Lines that the programs beside a server write to a container's log: Patroni, repmgr, pgBackRest, WAL-G, Barman,
 * PgBouncer, Pgpool-II and others. All of them write a time, a process or the program's part, and a level in front.
 */
const stamp = '\\d{4}[-/]\\d\\d[-/]\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d'
/** The abbreviations of zones in upper case. No level is one of them. */
const zoneWord = '[A-Z]{2}T|[A-Z]{2,3}[SD]T|UTC|MSK|MSD|WIB|WITA'
// Python, with its comma, writes no zone.
const time = `${stamp}(?:,\\d+|(?:\\.\\d+)?(?: ?(?:Z|[+-]\\d\\d(?::?\\d\\d)?|${zoneWord}))?)`
/** Seconds since the epoch, as zap writes them by default. */
const epoch = '\\d\\.\\d+e\\+09'
/** A process, its number of lines, pgBackRest's process, or the time of the day. */
const numberPart = '\\[ ?\\d+(?:-\\d+)?\\]:?|\\d+:?|P\\d\\d+|\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?'
const name = '[A-Za-z][\\w./-]*'
const part = `(?:${numberPart}|-|${name}:?)[ \\t]+`
const level = 'TRACE|DEBUG|NOISE|DETAIL|HINT|INFO|LOG|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL|PANIC'
const dated = `\\[?(${time}|${epoch})\\]?[ \\t:,-]{1,3}`
const line = `^((?:${dated})?((?:${part}){0,6}?)(\\[?)(${level})\\]?( ?:| +==>| -)?(?:[ \\t]+|$)(?:(${stamp}(?:\\.\\d+)?) )?)`
const lineGroups = "['all', 'time', 'parts', 'bracket', 'level', 'mark', 'late_time']"

/** Odyssey: process, time, level, the two sides of a connection, and the part of the program. */
const odyssey = `^((\\d+) (${time}) ([a-z]+) \\[\\S+ \\S+\\] (?:\\([^()]*\\) )?)`
const odysseyGroups = "['all', 'pid', 'time', 'level']"

/**
 * Pgpool-II, by its default `%m: %a pid %p: `. The name of an application may be any text; a time of the server has a zone
 * in front of the colon.
 */
const pgpool = `^((${stamp}(?:\\.\\d+)?): [^\\n]{0,80}?pid (\\d+): (${englishLevelWord}) ?:[ \\t]+)`
const pgpoolGroups = "['all', 'time', 'pid', 'level']"

/** Rust's env_logger: time, level and the part of the program in brackets. */
const rust = `^(\\[(${stamp}\\S*) (ERROR|WARN|INFO|DEBUG|TRACE) +([\\w:]+)\\] )`
const rustGroups = "['all', 'time', 'level', 'part']"

/** klog of Kubernetes: level, day, time, process, and place in its source. */
export const klogLine = '^(([IWEF])(\\d{4} \\d\\d:\\d\\d:\\d\\d\\.\\d{6}) +(\\d+) [^ \\]:]+:\\d+\\] )'
const klogGroups = "['all', 'level', 'time', 'pid']"

/** logrus on a terminal: four letters of the level, and the seconds since the start. */
const logrus = '^(TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI)\\[\\d{4,}\\] +'

/** Elixir's logger, in which Supavisor is written: the time of the day, pairs, and the level. */
const elixir =
  '^\\d\\d:\\d\\d:\\d\\d\\.\\d{3} (?:\\w+=\\S* )*\\[(debug|info|notice|warning|warn|error|critical|alert|emergency)\\] '

/** PostgreSQL's own clients, some with the place in a script, and the level that they write in lower case. */
const client =
  '(?:psql|pg_(?:amcheck|archivecleanup|basebackup|checksums|combinebackup|createsubscriber|ctl|dump|dumpall|isready|receivewal|recvlogical|repack|resetwal|restore|rewind|upgrade|verifybackup|waldump|walsummary)|pgbench|vacuumdb|reindexdb|clusterdb|(?:create|drop)(?:db|user)|initdb|oid2name|vacuumlo)(?::[^ \\n]+:\\d+)?:'
const clientLine = `^(${client} (?:(fatal|error|warning|info|debug): )?)`
const clientGroups = "['all', 'level']"

/** Of a longer line, only the beginning is searched: the text after its head must remain the end of that beginning. */
const maxWholeBytes = 4_000
/** Pairs of keys and values, as libraries of Go write them. */
const pairs = '^(?:time|ts|level)=\\S'

/**
 * Regular expression, for RE2 and JavaScript, of a program's line that shows by its time that it is no part of another
 * text.
 */
export const datedProgramLine = `^(?:${dated}(?:${part}){0,6}?\\[?(?:${level})\\]?(?: ?:|[ \\t])|\\d+ ${time} [a-z]+ \\[|(?:time|ts)="?${stamp})`

/** The same for a line without a time of its own, behind the head that a container runtime writes. */
export const undatedProgramLine = `${klogLine}|${logrus}|${elixir}|^(?:${client} |(?:${part}){0,6}?\\[?(?:${level})\\]?(?: ?:| +==>)[ \\t]|\\d\\d:\\d\\d:\\d\\d\\S* \\d+ (?:${level}) |level=[a-z]+ )`

const poolers = 'pgbouncer|pgpool|pgcat|pgdog|pgagroal|odyssey|supavisor'

/** SQL of whether a program of that name is a pooler. */
export function isPoolerName(name: string): string {
  return `regexp_matches(lower(${name}), '${poolers}')`
}

/** A part behind which a level of the server, with its two blanks, cannot be the next part. */
const quotingPart = `(?:(?:${numberPart}|-|${name})[ \\t]+|${name}: )`
const oneBlank = `\\[?(?:${level})\\]?(?: ?:| -) [^ ]`
/**
 * Lines that the server cannot have written, whatever follows their level: it writes two blanks behind a level, no comma
 * in a time, and a zone behind it. Behind a zone, a name may be one that a client of the server has chosen.
 */
const ownForms = [
  `\\[?${stamp},\\d+\\]?[ \\t:,-]{1,3}(?:${quotingPart}){0,6}?${oneBlank}`,
  `\\[?${stamp}(?:\\.\\d+)?\\]?[ \\t]{1,3}(?:(?:${numberPart})[ \\t]+(?:${quotingPart}){0,5}?)?${oneBlank}`,
  `${dated}(?:(?:${numberPart})[ \\t]+){0,6}?${oneBlank}`,
  `\\[${stamp}\\] \\[(?:${level})\\] `,
  `(?:${level}): \\d{4}/\\d\\d/\\d\\d `,
  '(?:level=\\w+ )?(?:time|ts)="?\\d{4}-\\d\\d-\\d\\dT',
]

/**
 * SQL of whether the form of a text's head shows that a program wrote it. Its message may quote a line of the server, as
 * libpq returns it.
 */
export function hasProgramHead(text: string): string {
  return `regexp_matches(${text}, ${sqlString(`${pgpool}|^(?:${ownForms.join('|')})`)})`
}

/**
 * SQL of whether a program quotes a line of a server, as libpq returns it: PostgreSQL's own clients do, and libraries in
 * the texts of their exceptions. What the server itself writes of its connection to another has a level before it.
 *
 * @param head SQL of the text before the level
 */
export function isQuoted(head: string): string {
  return `(ends_with(${head}, ' failed: ') OR ends_with(${head}, 'could not connect to server: ') OR regexp_matches(${head}, ${sqlString(`^${client}`)}))`
}

/**
 * SQL of the list of a program's values, as that of a prefix; NULL for other texts. `program` is `pooler`, `operator`, or
 * `pgbackrest`, of which a part of the head has no column, so that its message is the whole text.
 *
 * @param text SQL of the whole text, or of the beginning of one with more than `maxWholeBytes`
 */
export function programValues(text: string): string {
  const colorless = `CASE WHEN contains(${text}, chr(27)) AND strlen(${text}) < ${maxWholeBytes} THEN regexp_replace(${text}, '\\x1b\\[[0-9;]*m', '', 'g') ELSE ${text} END`
  const found = (pattern: string, groups: string, values: string): string =>
    once(
      'found',
      `regexp_extract(plain, ${sqlString(pattern)}, ${groups})`,
      `CASE WHEN found['level'] <> '' THEN ${values} END`,
    )
  const byForm = `coalesce(CASE WHEN regexp_matches(plain, '${pairs}') AND strlen(plain) < ${maxWholeBytes} THEN ${pairValues()} END,
    ${found(pgpool, pgpoolGroups, poolerValues())}, ${found(rust, rustGroups, rustValues())}, ${found(line, lineGroups, lineValues())}, ${found(odyssey, odysseyGroups, poolerValues())})`
  const quoting = `regexp_extract(plain, ${sqlString(`^([^\\n]*? )(?:${englishLevelWord}):  `)}, ['head'])['head']`
  const others = `coalesce(${byForm}, ${found(klogLine, klogGroups, klogValues())},
    CASE WHEN regexp_matches(plain, ${sqlString(logrus)}) THEN ${logrusValues()} END,
    CASE WHEN regexp_matches(plain, ${sqlString(elixir)}) THEN ${elixirValues()} END,
    CASE WHEN regexp_matches(plain, ${sqlString(clientLine)}) THEN ${clientValues()}
      WHEN contains(plain, ':  ') AND ${isQuoted(quoting)} THEN ${valuesOf({ program: "'operator'" }, 'plain')} END)`
  return once('plain', colorless, others)
}

const group = (name: string): string => `found['${name}']`

function valuesOf(values: Readonly<Partial<Record<ListedField, string>>>, after: string): string {
  return listed((field) => values[field] ?? "''", after)
}

function lineValues(): string {
  const [parts, mark, stamped] = [group('parts'), group('mark'), group('time')]
  const isNamed = `regexp_matches(${parts}, '[A-Za-z]{2}')`
  // Behind other words, `error` or `log` may be part of a sentence. There, a level needs a mark, such as a colon, behind it
  // and a time in front of the line.
  const isLine = `CASE WHEN ${isNamed} THEN ${mark} <> '' AND (${stamped} <> '' OR ${mark} LIKE '%==>')
    ELSE ${mark} <> '' OR ${group('bracket')} <> '' OR ${stamped} <> '' OR ${parts} <> '' END`
  const isPgbouncer = `${mark} = '' AND ${group('bracket')} = '' AND ${stamped} <> '' AND regexp_full_match(${parts}, '\\[?\\d+\\]?[ \\t]+')
    AND ${group('level')} IN ('FATAL', 'ERROR', 'WARNING', 'LOG', 'DEBUG', 'NOISE')`
  // Go's logger writes its time behind the level. Behind one in front, it is the beginning of the message.
  const late = group('late_time')
  const behind = `substring(plain, length(found['all']) + 1 - CASE WHEN ${stamped} <> '' AND ${late} <> '' THEN length(${late}) + 1 ELSE 0 END)`
  const isBackup = `regexp_matches(${parts}, '^P\\d')`
  const common = {
    time: `CASE WHEN contains(${stamped}, 'e+') THEN ${epochSeconds(stamped)}
      ELSE replace(CASE WHEN ${stamped} <> '' THEN ${stamped} ELSE ${late} END, '/', '-') END`,
    pid: `regexp_extract(${parts}, '(?:^|[ \\t\\[])(\\d+)(?:[\\] \\t-]|: )', 1)`,
    level: group('level'),
  }
  const { message: behindSocket, ...socket } = poolerFields('message')
  const program = `CASE WHEN ${isBackup} THEN 'pgbackrest' WHEN ${isPoolerName(parts)} OR ${isPoolerName(`regexp_extract(message, '^(?:ThreadId\\(\\d+\\) |[\\w-]+[.]c:\\d+ )?[\\w:]+: ')`)} THEN 'pooler' ELSE 'operator' END`
  const values = `CASE WHEN ${isPgbouncer} THEN ${valuesOf({ ...common, ...socket, program: "'pooler'" }, behindSocket)}
    WHEN ${isLine} THEN ${valuesOf({ ...common, program }, `CASE WHEN ${isBackup} THEN plain ELSE message END`)} END`
  return once('message', behind, values)
}

/** SQL of a number of seconds without its exponent, which is that of ten digits. */
function epochSeconds(scientific: string): string {
  const digits = `replace(split_part(${scientific}, 'e', 1), '.', '')`
  return `rpad(${digits}, 10, '0') || '.' || substring(${digits}, 11) || '0'`
}

/** The day has no year, so the time is completed from the envelope; the place in the source has columns of its own. */
function klogValues(): string {
  const level = `CASE ${group('level')} WHEN 'I' THEN 'INFO' WHEN 'W' THEN 'WARNING' WHEN 'E' THEN 'ERROR' ELSE 'FATAL' END`
  return valuesOf(
    { time: group('time'), pid: group('pid'), level, program: "'klog'" },
    `substring(plain, length(found['all']) + 1)`,
  )
}

/** The whole line is the message, because the seconds since the program's start have no column. */
function logrusValues(): string {
  const level = `CASE left(plain, 4) WHEN 'TRAC' THEN 'TRACE' WHEN 'DEBU' THEN 'DEBUG' WHEN 'WARN' THEN 'WARNING'
    WHEN 'ERRO' THEN 'ERROR' WHEN 'FATA' THEN 'FATAL' WHEN 'PANI' THEN 'PANIC' ELSE 'INFO' END`
  return valuesOf({ level, program: "'operator'" }, 'plain')
}

/** The whole line is the message, because the time of the day has no column. */
function elixirValues(): string {
  return valuesOf({ level: `regexp_extract(plain, ${sqlString(elixir)}, 1)`, program: "'operator'" }, 'plain')
}

/** Behind a level of its own, a client's name needs no place in the message. */
function clientValues(): string {
  const values = valuesOf(
    { level: group('level'), program: "'operator'" },
    `CASE WHEN ${group('level')} <> '' THEN substring(plain, length(found['all']) + 1) ELSE plain END`,
  )
  return once('found', `regexp_extract(plain, ${sqlString(clientLine)}, ${clientGroups})`, values)
}

function rustValues(): string {
  const program = `CASE WHEN ${isPoolerName(group('part'))} THEN 'pooler' ELSE 'operator' END`
  return valuesOf(
    { time: group('time'), level: group('level'), program },
    `substring(plain, length(found['all']) + 1)`,
  )
}

function poolerValues(): string {
  return valuesOf(
    { time: group('time'), pid: group('pid'), level: group('level'), program: "'pooler'" },
    `substring(plain, length(found['all']) + 1)`,
  )
}

const quotedOrWord = '(?:"(?:[^"\\\\]|\\\\.)*"|[^" ]*)'

/**
 * Keys of the extension logfmt, which writes the server's own records (https://pgxn.org/dist/logfmt/, read 2026-12). It has
 * the server's words for levels, in capitals, and `message`, where programs in Go have `msg`.
 */
const serverKeys = {
  user_name: 'user|user_name|username',
  db_name: 'database|dbname|db|datname',
  application_name: 'application_name|app',
  client_addr: 'remote_host|client_addr|host',
  client_port: 'remote_port|client_port',
  backend_type: 'backend_type|backend',
  pid: 'pid',
  session_id: 'session_id',
  line_num: 'line_num|line',
  sqlstate: 'sqlstate|state_code',
  query_id: 'query_id|queryid',
  txid: 'txid|xid',
  vxid: 'vxid',
  command_tag: 'command_tag|ps',
  leader_pid: 'leader_pid',
} as const

function pairValues(): string {
  const value = (keys: string, pattern: string): string =>
    `regexp_extract(plain, ${sqlString(`(?:^| )(?:${keys})=${pattern}`)}, 1)`
  const text = (keys: string): string => {
    const quoted = value(keys, '("(?:[^"\\\\]|\\\\.)*")')
    const unquoted = once(
      'quoted',
      quoted,
      "CASE WHEN json_valid(quoted) THEN json_extract_string(quoted, '$') END",
    )
    return `coalesce(${unquoted}, ${value(keys, '([^" ]*)')})`
  }
  const message = text('msg|message')
  const stated = value('level', '"?([A-Za-z]+\\d?)')
  const values = {
    time: value('time|ts', '"?([^"\\s]+(?: [\\d:.,]+)?)'),
    level: stated,
  }
  const read = `(?:^| )(?:(?:time|ts)=[^" ]+(?: [\\d:.,]+)?|(?:time|ts|level|msg|message)=${quotedOrWord})`
  // The other pairs have no columns.
  const whole = `CASE WHEN regexp_matches(regexp_replace(plain, ${sqlString(read)}, '', 'g'), '\\S') THEN plain ELSE ${message} END`
  const ofServer = {
    ...values,
    ...Object.fromEntries(Object.entries(serverKeys).map(([field, keys]) => [field, text(keys)])),
    others: otherPairs(['time', 'ts', 'level', 'message', ...Object.values(serverKeys)].join('|')),
  }
  const isServer = `regexp_matches(plain, '(?:^| )level=(?:DEBUG[1-5]|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC) ') AND regexp_matches(plain, '(?:^| )message=')`
  return `CASE WHEN ${stated} <> '' AND ${message} <> '' THEN
    CASE WHEN ${isServer} THEN ${valuesOf(ofServer, message)} ELSE ${valuesOf({ ...values, program: "'operator'" }, whole)} END END`
}

/** SQL of a JSON object of the pairs with other keys; NULL without any. */
function otherPairs(known: string): string {
  const pairs = `regexp_extract_all(plain, ${sqlString(`(?:^| )([\\w.]+=${quotedOrWord})`)}, 1)`
  const stated = `substring(pair, instr(pair, '=') + 1)`
  const member = `to_json(split_part(pair, '=', 1))::VARCHAR || ':' || CASE WHEN starts_with(${stated}, '"') AND json_valid(${stated}) THEN ${stated} ELSE to_json(${stated})::VARCHAR END`
  const others = `list_filter(${pairs}, lambda pair: NOT regexp_matches(pair, ${sqlString(`^(?:${known})=`)}))`
  return jsonObject(`list_transform(${others}, lambda pair: ${member})`)
}
