import { sqlString } from '../sql.ts'
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
/** A process, its number of lines, pgBackRest's process, or the time of the day. */
const numberPart = '\\[ ?\\d+(?:-\\d+)?\\]:?|\\d+:?|P\\d\\d+|\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?'
const name = '[A-Za-z][\\w./-]*'
const part = `(?:${numberPart}|-|${name}:?)[ \\t]+`
const level = 'TRACE|DEBUG|NOISE|DETAIL|HINT|INFO|LOG|NOTICE|WARNING|WARN|ERROR|CRITICAL|FATAL|PANIC'
const dated = `\\[?(${time})\\]?[ \\t:,-]{1,3}`
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

/** Of a longer line, only the beginning is searched: the text after its head must remain the end of that beginning. */
const maxWholeBytes = 4_000
/** Pairs of keys and values, as libraries of Go write them. */
const pairs = '^(?:time|ts|level)=\\S'

/**
 * Regular expression, for RE2 and JavaScript, of a program's line that shows by its time that it is no part of another
 * text.
 */
export const datedProgramLine = `^(?:${dated}(?:${part}){0,6}?\\[?(?:${level})\\]?(?: ?:|[ \\t])|\\d+ ${stamp}\\S* [a-z]+ \\[|(?:time|ts)="?${stamp})`

/** The same for a line without a time of its own, behind the head that a container runtime writes. */
export const undatedProgramLine = `^(?:(?:${part}){0,6}?\\[?(?:${level})\\]?(?: ?:| +==>)[ \\t]|\\d\\d:\\d\\d:\\d\\d\\S* \\d+ (?:${level}) |level=[a-z]+ )`

const poolers = 'pgbouncer|pgpool|pgcat|pgdog|odyssey|supavisor'

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
 * SQL of the list of a program's values, as that of a prefix; NULL for other texts. `program` is `pooler`, `operator`, or
 * `pgbackrest`, of which a part of the head has no column, so that its message is the whole text.
 *
 * @param text SQL of the whole text, or of the beginning of one with more than `maxWholeBytes`
 */
export function programValues(text: string): string {
  const colorless = `CASE WHEN contains(${text}, chr(27)) AND strlen(${text}) < ${maxWholeBytes} THEN regexp_replace(${text}, '\\x1b\\[[0-9;]*m', '', 'g') ELSE ${text} END`
  const found = (pattern: string, groups: string, values: string): string =>
    `list_transform([regexp_extract(plain, ${sqlString(pattern)}, ${groups})], lambda found:
      CASE WHEN found['level'] <> '' THEN ${values} END)[1]`
  const byForm = `coalesce(CASE WHEN regexp_matches(plain, '${pairs}') AND strlen(plain) < ${maxWholeBytes} THEN ${pairValues()} END,
    ${found(pgpool, pgpoolGroups, poolerValues())}, ${found(line, lineGroups, lineValues())}, ${found(odyssey, odysseyGroups, poolerValues())})`
  // The lambda evaluates the text once.
  return `list_transform([${colorless}], lambda plain: ${byForm})[1]`
}

const group = (name: string): string => `found['${name}']`

function valuesOf(values: Readonly<Partial<Record<ListedField, string>>>, after: string): string {
  return listed((field) => (values[field] === undefined ? "''" : `coalesce(${values[field]}, '')`), after)
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
  const message = `substring(plain, length(found['all']) + 1 - CASE WHEN ${stamped} <> '' AND ${late} <> '' THEN length(${late}) + 1 ELSE 0 END)`
  const isBackup = `regexp_matches(${parts}, '^P\\d')`
  const common = {
    time: `replace(CASE WHEN ${stamped} <> '' THEN ${stamped} ELSE ${late} END, '/', '-')`,
    pid: `regexp_extract(${parts}, '(?:^|[ \\t\\[])(\\d+)(?:[\\] \\t-]|: )', 1)`,
    level: group('level'),
  }
  const { message: behindSocket, ...socket } = poolerFields(message)
  const program = `CASE WHEN ${isBackup} THEN 'pgbackrest' WHEN ${isPoolerName(parts)} THEN 'pooler' ELSE 'operator' END`
  return `CASE WHEN ${isPgbouncer} THEN ${valuesOf({ ...common, ...socket, program: "'pooler'" }, behindSocket)}
    WHEN ${isLine} THEN ${valuesOf({ ...common, program }, `CASE WHEN ${isBackup} THEN plain ELSE ${message} END`)} END`
}

function poolerValues(): string {
  return valuesOf(
    { time: group('time'), pid: group('pid'), level: group('level'), program: "'pooler'" },
    `substring(plain, length(found['all']) + 1)`,
  )
}

function pairValues(): string {
  const value = (keys: string, pattern: string): string =>
    `regexp_extract(plain, ${sqlString(`(?:^| )(?:${keys})=${pattern}`)}, 1)`
  const quoted = value('msg|message', '("(?:[^"\\\\]|\\\\.)*")')
  const message = `coalesce(CASE WHEN json_valid(${quoted}) THEN json_extract_string(${quoted}, '$') END, ${value('msg|message', '([^" ]*)')})`
  const stated = value('level', '"?([A-Za-z]+)')
  const values = {
    time: value('time|ts', '"?([^"\\s]+(?: [\\d:.,]+)?)'),
    level: stated,
    program: "'operator'",
  }
  const read =
    '(?:^| )(?:(?:time|ts)=[^" ]+(?: [\\d:.,]+)?|(?:time|ts|level|msg|message)=(?:"(?:[^"\\\\]|\\\\.)*"|[^" ]*))'
  // The other pairs have no columns.
  const text = `CASE WHEN regexp_matches(regexp_replace(plain, ${sqlString(read)}, '', 'g'), '\\S') THEN plain ELSE ${message} END`
  return `CASE WHEN ${stated} <> '' AND ${message} <> '' THEN ${valuesOf(values, text)} END`
}
