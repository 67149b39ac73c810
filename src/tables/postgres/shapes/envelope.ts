import { sqlString } from '../../sql.ts'
import { removalPatch } from '../other-keys.ts'
import { firstOf } from './first-of.ts'
import type { ValueAt } from './shape.ts'

/** Keys of the text in envelopes: Vector, Beats and Logstash; Azure's container logs; journald; others. Docker has `log`. */
const textKeys = [
  'message',
  'LogMessage',
  'LogEntry',
  'MESSAGE',
  'msg',
  // GELF's short message is the first line of the full one.
  'full_message',
  'short_message',
] as const

/** Keys of a record that what forwards it has parsed: Filebeat; Fluent Bit with Merge_Log_Key; Google Cloud. */
const recordKeys = ['json', 'log_processed', 'log_parsed', 'jsonPayload'] as const

/** Keys of a text that may be a record of its own. */
const recordTextKeys = ['log', 'message', 'LogMessage', 'LogEntry', 'MESSAGE'] as const

/** The path of a key that may hold what an envelope wraps, and SQL of whether it does. The first such key counts. */
type Source = readonly [path: readonly string[], condition: string]

/** The text as it came, which Logstash may keep in place of `message`. */
const originalPath = ['event', 'original'] as const

/** SQL of whether a record may be a text log: it has a text under one of the usual keys. */
export function hasText(at: ValueAt): string {
  const keys = ['log', ...textKeys, ...recordKeys].map((key) => `${at(key)} IS NOT NULL`)
  return `(${keys.join(' OR ')} OR ${isLoki(at)} OR ${at(...originalPath)} IS NOT NULL)`
}

/** SQL of whether a record is a line of Loki's export. Without labels, its key `line` can mean anything. */
function isLoki(at: ValueAt): string {
  return `(${at('labels')} IS NOT NULL AND ${at('line')} IS NOT NULL)`
}

function textSources(at: ValueAt): readonly Source[] {
  return [
    // Beats and Logstash have an object of their own under `log`.
    [['log'], `${at('log')} IS NOT NULL AND NOT starts_with(${at('log')}, '{')`],
    ...textKeys.map((key): Source => [[key], `${at(key)} IS NOT NULL`]),
    [['line'], isLoki(at)],
    [originalPath, `${at(...originalPath)} IS NOT NULL`],
  ]
}

function recordSources(at: ValueAt): readonly Source[] {
  return [
    ...recordKeys.map((key): Source => [[key], `starts_with(${at(key)}, '{')`]),
    // Beats and Logstash have an object of their own under `log`, beside the text or the decoded record.
    [['message'], `${at('message')} IS NOT NULL AND starts_with(${at('log')}, '{')`],
    ...recordTextKeys.map((key): Source => [[key], `${at(key)} IS NOT NULL`]),
  ]
}

function first(sources: readonly Source[], sqlOf: (...path: string[]) => string, otherwise: string): string {
  const branches = sources.map(([path, condition]) => `WHEN ${condition} THEN ${sqlOf(...path)}`)
  return `CASE ${branches.join(' ')} ELSE ${otherwise} END`
}

/** SQL of the text inside the envelope of a shipper, as it is. */
export function envelopeText(at: ValueAt): string {
  const text = first(textSources(at), at, at('log'))
  return `CASE WHEN ${isSyslog(at)} THEN regexp_replace(${text}, ${sqlString(syslogSequence)}, '') ELSE ${text} END`
}

/** SQL of the text inside an envelope that may be a record of its own. */
export function envelopeRecord(at: ValueAt): string {
  return first(recordSources(at), at, 'NULL')
}

/** SQL of `removalPatch` the key that `envelopeText` reads. */
export function textRemoval(at: ValueAt): string {
  return first(textSources(at), removal, removal('log'))
}

/** SQL of `removalPatch` the key that `envelopeRecord` reads. */
export function recordRemoval(at: ValueAt): string {
  return first(recordSources(at), removal, 'NULL')
}

function removal(...path: string[]): string {
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
  return `CASE ${stated} ${words.join(' ')} ELSE coalesce(${stated},
    CASE WHEN starts_with(${log}, '{') AND json_valid(${log}) THEN json_extract_string(${log}, '$."level"') END) END`
}
