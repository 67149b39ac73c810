import { joinedTexts, once, sqlString } from '../../sql.ts'
import { removalPatch } from '../other-keys.ts'
import { firstOf } from './first-of.ts'
import type { ValueAt } from './shape.ts'

/**
 * Keys of the text in envelopes: Vector, Beats and Logstash; Azure's container logs and container apps; journald; Splunk,
 * Cribl and Sumo Logic; others. Docker has `log`.
 */
const textKeys = [
  'message',
  'LogMessage',
  'LogEntry',
  'Log_s',
  'MESSAGE',
  'msg',
  '_raw',
  // GELF's short message is the first line of the full one.
  'full_message',
  'short_message',
] as const

/** Keys of a record that what forwards it has parsed: Filebeat; Fluent Bit with Merge_Log_Key; Google Cloud. */
const recordKeys = ['json', 'log_processed', 'log_parsed', 'jsonPayload'] as const

/** Keys of a text that may be a record of its own. */
const recordTextKeys = ['log', 'message', 'LogMessage', 'LogEntry', 'MESSAGE'] as const

/**
 * The path of a key that may hold what an envelope wraps, and SQL of whether it does. The first such key counts. The value
 * is that of the path, unless there is SQL of another.
 */
type Source = readonly [path: readonly string[], condition: string, value?: string]

/** SQL of whether a record may be a text log: it has a text under one of the usual keys. */
export function hasText(at: ValueAt): string {
  const keys = ['log', ...textKeys, ...recordKeys].map((key) => `${at(key)} IS NOT NULL`)
  const others = [isContainerApp(at), isLoki(at), isHttpEvent(at), isTracing(at), isPgstream(at)]
  return `(${keys.join(' OR ')} OR ${others.join(' OR ')} OR ${original(at)} IS NOT NULL)`
}

/** SQL of the text as it came, which Logstash may keep in place of `message`. */
function original(at: ValueAt): string {
  return `CASE WHEN starts_with(${at('event')}, '{') THEN json_extract_string(${at('event')}, '$."original"') END`
}

/** SQL of whether a record is an event of Splunk's HTTP collector. Other records name an event by a word. */
function isHttpEvent(at: ValueAt): string {
  return `(${at('event')} IS NOT NULL AND (${at('sourcetype')} IS NOT NULL OR (${at('time')} IS NOT NULL AND ${at('host')} IS NOT NULL)))`
}

/** SQL of whether a record is one of Rust's library for traces, in which the poolers PgCat and PgDog are written. */
function isTracing(at: ValueAt): string {
  return `(${at('target')} IS NOT NULL AND ${at('fields', 'message')} IS NOT NULL)`
}

/** SQL of whether a record is an event of pgstream, which wraps a change of wal2json. */
function isPgstream(at: ValueAt): string {
  return `(${at('CommitPosition')} IS NOT NULL AND ${at('Data')} IS NOT NULL)`
}

/** SQL of a text that the journal exports as a list of bytes, because it has control characters, such as those of colors. */
function decodedBytes(text: string): string {
  const digits = `list_transform(json_extract_string(${text}, '$[*]'), lambda byte: format('{:02x}', byte::UTINYINT))`
  const hex = joinedTexts(digits, '')
  return `CASE WHEN starts_with(${text}, '[') AND regexp_full_match(${text}, '\\[\\d{1,3}(?:,\\d{1,3})*\\]')
    THEN coalesce(TRY(decode(unhex(${hex}))), ${text}) ELSE ${text} END`
}

/**
 * SQL of whether a record is a row of Azure's table ContainerAppConsoleLogs
 * (https://learn.microsoft.com/azure/azure-monitor/reference/tables/containerappconsolelogs, read 2026-12).
 */
function isContainerApp(at: ValueAt): string {
  return `CASE WHEN ${at('TimeGenerated')} IS NULL THEN false ELSE ${at('Log')} IS NOT NULL END`
}

/** SQL of whether a record is a line of Loki's export. Without labels, its key `line` can mean anything. */
function isLoki(at: ValueAt): string {
  return `(${at('labels')} IS NOT NULL AND ${at('line')} IS NOT NULL)`
}

function textSources(at: ValueAt): readonly Source[] {
  return [
    // Beats and Logstash have an object of their own under `log`.
    [['log'], `${at('log')} IS NOT NULL AND NOT starts_with(${at('log')}, '{')`],
    ...textKeys.map(
      (key): Source =>
        key === 'MESSAGE'
          ? [[key], `${at(key)} IS NOT NULL`, decodedBytes(at(key))]
          : [[key], `${at(key)} IS NOT NULL`],
    ),
    [['Log'], isContainerApp(at)],
    [['line'], isLoki(at)],
    [['event', 'original'], `${original(at)} IS NOT NULL`, original(at)],
    [['event'], `${isHttpEvent(at)} AND NOT starts_with(${at('event')}, '{')`],
    [['fields', 'message'], isTracing(at)],
  ]
}

function recordSources(at: ValueAt): readonly Source[] {
  return [
    ...recordKeys.map((key): Source => [[key], `starts_with(${at(key)}, '{')`]),
    // Beats and Logstash have an object of their own under `log`, beside the text or the decoded record.
    [['message'], `${at('message')} IS NOT NULL AND starts_with(${at('log')}, '{')`],
    ...recordTextKeys.map((key): Source => [[key], `${at(key)} IS NOT NULL`]),
    [['Data'], isPgstream(at)],
    [['event'], `${isHttpEvent(at)} AND starts_with(${at('event')}, '{')`],
  ]
}

function first(
  sources: readonly Source[],
  sqlOf: (path: readonly string[], value?: string) => string,
  otherwise: string,
): string {
  const branches = sources.map(([path, condition, value]) => `WHEN ${condition} THEN ${sqlOf(path, value)}`)
  return `CASE ${branches.join(' ')} ELSE ${otherwise} END`
}

/** SQL of the text inside the envelope of a shipper, as it is. */
export function envelopeText(at: ValueAt): string {
  const text = first(textSources(at), (path, value) => value ?? at(...path), at('log'))
  // rsyslog escapes the tab that the server writes before a further line.
  const further = `regexp_replace(${text}, ${sqlString(`${syslogSequence}#011`)}, ${sqlString('\t')})`
  return `CASE WHEN ${isSyslog(at)} THEN regexp_replace(${further}, ${sqlString(syslogSequence)}, '') ELSE ${text} END`
}

/** SQL of the text inside an envelope that may be a record of its own. */
export function envelopeRecord(at: ValueAt): string {
  return first(recordSources(at), (path) => at(...path), 'NULL')
}

/** SQL of `removalPatch` the key that `envelopeText` reads. */
export function textRemoval(at: ValueAt): string {
  return first(textSources(at), removal, removal(['log']))
}

/** SQL of `removalPatch` the key that `envelopeRecord` reads. */
export function recordRemoval(at: ValueAt): string {
  return first(recordSources(at), removal, 'NULL')
}

function removal(path: readonly string[]): string {
  return sqlString(removalPatch([path]))
}

/** What PostgreSQL writes before a text for syslog: a number of its own, behind the blank of rsyslog or Heroku's database. */
const syslogSequence = '^ ?(?:\\[[A-Z][A-Z0-9_]*\\] )?\\[\\d+-\\d+\\] +'

/** Keys of the program's name in records of the journal, syslog-ng, rsyslog and Fluentd. */
const syslogKeys = [
  'SYSLOG_IDENTIFIER',
  'PROGRAM',
  'programname',
  'syslogtag',
  'syslog-tag',
  'ident',
] as const

/** SQL of whether the text in an envelope came by syslog. */
function isSyslog(at: ValueAt): string {
  return `(${syslogKeys.map((key) => `${at(key)} IS NOT NULL`).join(' OR ')})`
}

/** SQL of the process that syslog names. That of the journal alone is the one whose output it reads. */
export function syslogPid(at: ValueAt): string {
  const keys = ['SYSLOG_PID', 'procid', 'PID', 'pid', 'syslogtag', 'syslog-tag']
  return `CASE WHEN ${isSyslog(at)}
    THEN nullif(regexp_extract(coalesce(${keys.map((key) => at(key)).join(', ')}), '(\\d+)\\]?:?$', 1), '') END`
}

/** Syslog's levels by number, which the journal and GELF write (RFC 5424, section 6.2.1). */
const syslogLevels = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug']

/** SQL of the level that an envelope states. */
export function envelopeLevel(at: ValueAt): string {
  const stated = firstOf(at, ['level', 'levelname', 'severity', 'PRIORITY', 'syslogseverity-text'])
  const words = syslogLevels.map((word, number) => `WHEN '${number}' THEN '${word}'`)
  const log = at('log')
  const inLog = `CASE WHEN starts_with(${log}, '{') AND json_valid(${log}) THEN json_extract_string(${log}, '$."level"') END`
  return `coalesce(${once('stated', stated, `CASE stated ${words.join(' ')} ELSE stated END`)}, ${inLog})`
}
