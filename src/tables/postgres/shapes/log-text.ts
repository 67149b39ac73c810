import { once, sqlString } from '../../sql.ts'
import { continuationWords, lineHead } from '../levels.ts'
import { isPoolerName } from '../program-line.ts'
import { envelopeLevel, hasText, syslogPid } from './envelope.ts'
import { type PrefixValue, prefixFields, type Shape, type ValueAt } from './shape.ts'

/** Fields that a text log has only in its prefix. */
export function textLogFields(prefix: PrefixValue): ReturnType<Shape['fields']> {
  const { time: event_time, ...others } = Object.fromEntries(
    prefixFields.map((name) => [name, prefix(name)]),
  ) as Record<(typeof prefixFields)[number], string>
  return {
    ...others,
    event_time,
    severity: prefix('level'),
    // The lines that follow a message belong to the server's log, too.
    record_kind: `CASE WHEN ${prefix('level')} IS NOT NULL OR ${isFurtherLine(prefix)} THEN 'server_log' END`,
    ...continuationFields(prefix, {}),
  }
}

/**
 * SQL of the severity of a text log's record. A line of DETAIL and the like has its word there, whatever level its
 * envelope states.
 */
export function textSeverity(prefix: PrefixValue, stated: string): string {
  const words = Object.keys(continuationWords).map((word) => sqlString(word.toUpperCase()))
  return `CASE WHEN ${isFurtherLine(prefix)} THEN NULL WHEN ${prefix('line')} IS NOT NULL OR ${prefix('level')} IN (${words.join(', ')})
    THEN ${prefix('level')} ELSE coalesce(${stated}, ${prefix('level')}) END`
}

/** SQL of a JSON object for `extra`: what a text log has in its prefix without a column. */
export function otherParts(_at: ValueAt, prefix: PrefixValue): string {
  return prefix('others')
}

/** SQL of whether a text is a further line of a message, before which the server writes a tab. */
export function isFurtherLine(prefix: PrefixValue): string {
  return `starts_with(${prefix('whole')}, ${sqlString('\t')})`
}

/** SQL of the message, or of a further line of one. */
function textMessage(prefix: PrefixValue): string {
  return `CASE WHEN ${prefix('rest')} IS NOT NULL THEN ${withoutJoined(prefix('rest'))}
    WHEN ${isFurtherLine(prefix)} THEN substring(${prefix('whole')}, 2) ELSE ${prefix('whole')} END`
}

/**
 * Fields of the lines that follow a text log's message, each with a word of its own where others have the level.
 *
 * @param stated SQL of values that the record has elsewhere, which take precedence
 */
export function continuationFields(
  prefix: PrefixValue,
  stated: Readonly<Partial<Record<'detail' | 'hint' | 'context' | 'statement', string>>>,
  joined: (kind: keyof typeof continuationWords) => string = () => 'NULL',
): ReturnType<Shape['fields']> {
  const line = (kind: keyof typeof continuationWords): string =>
    `CASE WHEN (${prefix('level')} = '${kind.toUpperCase()}' AND ${prefix('program')} IS DISTINCT FROM 'pgbackrest') OR ${prefix('line')} = '${kind}' THEN ${prefix('rest')} ELSE ${joined(kind)} END`
  const either = (first: string | undefined, second: string): string =>
    first === undefined ? second : `coalesce(${first}, ${second})`
  return {
    detail: either(stated.detail, line('detail')),
    hint: either(stated.hint, line('hint')),
    context: either(stated.context, line('context')),
    statement: either(stated.statement, line('statement')),
    internal_query: line('query'),
    ...locationFields(line('location')),
  }
}

/** The fields of a place in the server's source, as in `parserOpenTable, parse_relation.c:1381`. */
export function locationFields(location: string): ReturnType<Shape['fields']> {
  const group = (number: number): string =>
    `nullif(regexp_extract(${location}, '^ *(?:(.+), )?([^,:]+):([0-9]+)$', ${number}), '')`
  return { func_name: group(1), file_name: group(2), file_line_num: group(3) }
}

/**
 * The line of a DETAIL, HINT and so on, behind its message in one text: what forwards lines can join them. The server
 * begins the further lines of a message with a tab, so that no text of a client is taken for such a line.
 */
const joinedLine = (words: readonly string[]): string =>
  `\\n(?:[^\\n\\t][^\\n]*?[^A-Za-z\\n])?${lineHead(words)}`
const anyJoinedLine = joinedLine(Object.values(continuationWords).flat())
/** Where one such line ends another, its word needs no check: a list of all words takes the engine long to compile. */
const nextJoinedLine = joinedLine(['[^\\s:]+'])

/** SQL of the text of such a line. @param text SQL of the text behind the prefix of the message */
function joinedText(text: string, kind: keyof typeof continuationWords): string {
  const pattern = `(?s)${joinedLine(continuationWords[kind])}(.*?)(?:${nextJoinedLine}|$)`
  return `CASE WHEN contains(${text}, chr(10)) THEN nullif(regexp_extract(${text}, ${sqlString(pattern)}, 1), '') END`
}

/** SQL of the message without such lines. */
function withoutJoined(text: string): string {
  return `CASE WHEN contains(${text}, chr(10)) THEN regexp_replace(${text}, ${sqlString(`(?s)${anyJoinedLine}.*$`)}, '') ELSE ${text} END`
}

/** Google Cloud SQL and AlloyDB: the server's text log in `textPayload`. */
export const cloudSql: Shape = {
  name: 'cloud-sql',
  matches: (at) => `${at('textPayload')} IS NOT NULL AND ${at('logName')} IS NOT NULL`,
  prefixed: (at) => at('textPayload'),
  readsConnectionMessages: true,
  fields: (at, prefix) => {
    const own = prefix('time')
    return {
      ...textLogFields(prefix),
      event_time: own,
      event_time_second: `CASE WHEN ${own} IS NULL THEN ${at('timestamp')} END`,
      severity: `coalesce(${prefix('level')}, CASE WHEN NOT ${isFurtherLine(prefix)} THEN ${at('severity')} END)`,
      message: textMessage(prefix),
      ...continuationFields(prefix, {}, (kind) => joinedText(prefix('rest'), kind)),
      // Of a container in Kubernetes, the pod.
      server_name: `coalesce(${at('resource', 'labels', 'database_id')}, ${at('resource', 'labels', 'instance_id')}, ${at('resource', 'labels', 'pod_name')})`,
    }
  },
  replaced: (_at, prefix) => [['severity'], `${prefix('level')} IS NOT NULL`],
  partly: otherParts,
}

/** Google Cloud's audit log, with the fields of pgaudit. */
export const cloudSqlAudit: Shape = {
  name: 'cloud-sql-audit',
  matches: (at) => `${at('protoPayload', 'request', 'auditClass')} IS NOT NULL`,
  fields: (at) => {
    const of = (key: string): string => `nullif(${at('protoPayload', 'request', key)}, '')`
    return {
      event_time: at('timestamp'),
      severity: at('severity'),
      audit_type: of('auditType'),
      audit_statement_id: of('statementId'),
      audit_substatement_id: of('substatementId'),
      audit_parameters: of('parameter'),
      audit_class: of('auditClass'),
      command_tag: of('command'),
      object_type: of('objectType'),
      object_name: of('object'),
      db_name: of('database'),
      user_name: of('user'),
      statement: of('statement'),
      server_name: at('resource', 'labels', 'database_id'),
    }
  },
}

/** The time, stream and tag that a container runtime writes before each line (Kubernetes' CRI logging format). */
export const criHead =
  '\\d{4}-\\d\\d-\\d\\dT[0-9:.]+(?:Z|[+-]\\d\\d:\\d\\d) (?:stdout|stderr) [FP](?::\\S+)? '

/** The same of a part of a longer line. */
export const partHead = criHead.replace('[FP]', 'P')

/** The head of a line in a file of syslog: time, host, program with its process, and PostgreSQL's own number. */
const syslogHead =
  '(?:<\\d{1,3}>)?(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \\d]\\d \\d\\d:\\d\\d:\\d\\d|\\d{4}-\\d\\d-\\d\\dT[0-9:.]+(?:Z|[+-]\\d\\d:\\d\\d)) ([\\w.:-]+) [\\w./-]+\\[(\\d+)\\]: (?:\\[\\d+-\\d+\\] +)?'

/** SQL of the host or process in such a head, in front of the line. */
function inSyslogHead(group: 1 | 2): string {
  return `CASE WHEN strlen(line_text) > strlen(line) + 1
    THEN nullif(regexp_extract(left(line_text, 512), ${sqlString(`^${syslogHead}`)}, ${group}), '') END`
}

/**
 * SQL of the server's line in such a text: without the head of a container runtime or of syslog, and without its final
 * newline.
 */
export function lineOf(text: string): string {
  const ends = ['\n', '\r']
  const endsWith = (ends: readonly string[]): string =>
    ends.map((end) => `ends_with(${text}, ${sqlString(end)})`).join(' OR ')
  const severalEnds = ends.flatMap((one) => ends.map((other) => one + other))
  // For a set of characters, rtrim decodes all of the text; nearly every text has one newline, or none.
  const line = `CASE WHEN NOT (${endsWith(ends)}) THEN ${text} WHEN ${endsWith(severalEnds)}
    THEN rtrim(${text}, ${sqlString(ends.join(''))}) ELSE left(${text}, -1) END`
  const head = sqlString(`^(?:${criHead}|${syslogHead})`)
  // rsyslog escapes the tab that the server writes before a further line.
  const untabbed = `regexp_replace(${line}, ${sqlString(`^${syslogHead}#011`)}, ${sqlString('\t')})`
  return `CASE WHEN regexp_matches(${text}, ${head}) THEN regexp_replace(${untabbed}, ${head}, '') ELSE ${line} END`
}

/** A time at the start of a text with an unknown prefix, with its zone if one follows. In `+02:10.0.0.1` the zone is +02. */
const leadingTime =
  '^(\\d{4}-\\d\\d-\\d\\d[ T]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?(?: ?(?:[A-Z][A-Za-z]{1,4}|Z|[+-]\\d\\d(?::?\\d\\d)?))?)(?:[^.\\w]|$)'

/** Keys of the time: of shippers; of the journal, whose own time is later than its source's; of rsyslog and syslog-ng. */
const timeKeys = [
  'time',
  '@timestamp',
  'timestamp',
  'date',
  'ts',
  'TimeGenerated',
  'asctime',
  '_SOURCE_REALTIME_TIMESTAMP',
  '__REALTIME_TIMESTAMP',
  'timereported',
  'ISODATE',
  '_time',
]

/** SQL of the time that the envelope states. */
export function envelopeTime(at: ValueAt): string {
  return `coalesce(${timeKeys.map((key) => at(key)).join(', ')})`
}

/** Column of the time in the outer one of two envelopes. */
export const outerTime = 'outer_time'

/** SQL of whether a text's time has no zone. The server always writes one. */
function isZoneless(time: string): string {
  return `regexp_matches(${time}, '[ T]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?$')`
}

/**
 * SQL of the second time of a text: the envelope's, for a text without a time, and for a program's time without a zone,
 * which is its own second time in an envelope without one.
 */
function secondTime(own: string, prefix: PrefixValue, envelope: string): string {
  return once(
    'own',
    own,
    `CASE WHEN own IS NULL THEN ${envelope}
    WHEN ${prefix('program')} IS NOT NULL AND ${isZoneless('own')} THEN coalesce(${envelope}, own) END`,
  )
}

const klogPlace = '([^ \\]:]+):(\\d+)\\] '

/** A day or month in a blob's name, as in `y=2026/m=11/d=24`, `2026-11-24` or `20261124`. */
const monthInName =
  '(?:^|[^0-9])(20\\d\\d)[-_./]?(?:m=)?(0[1-9]|1[0-2])(?:[^0-9]|[-_./]?[0-3]\\d(?:[^0-9]|$)|$)'

/**
 * SQL of klog's time, with the year of the envelope's time, or else of the blob's name: of that before it, at the turn of
 * the year.
 */
function klogTime(time: string, envelope: string, blob: string): string {
  const named = (group: number): string => `regexp_extract(${blob}, ${sqlString(monthInName)}, ${group})`
  const instant = `CASE WHEN regexp_matches(stated, '^\\d{4}-') THEN TRY_CAST(left(replace(stated, 'T', ' '), 19) AS TIMESTAMP)
    WHEN regexp_matches(stated, '^\\d{10}') THEN make_timestamp(left(stated, 10)::BIGINT * 1000000)
    WHEN stated IS NULL THEN TRY_CAST(${named(1)} || '-' || ${named(2)} || '-01' AS TIMESTAMP) END`
  const year = `CASE WHEN starts_with(${time}, '12') AND month(instant) = 1 THEN year(instant) - 1
    WHEN starts_with(${time}, '01') AND month(instant) = 12 THEN year(instant) + 1 ELSE year(instant) END`
  const text = `${year} || '-' || left(${time}, 2) || '-' || substring(${time}, 3, 2) || substring(${time}, 5)`
  return once('instant', once('stated', envelope, instant), text)
}

/** SQL of whether the envelope names a pooler as the program or container. */
function isPooler(at: ValueAt): string {
  const names = [
    at('kubernetes', 'container_name'),
    at('kubernetes', 'container', 'name'),
    at('labels', 'container'),
    ...[
      'container_name',
      '_container_name',
      'ContainerName',
      'SYSLOG_IDENTIFIER',
      'PROGRAM',
      'syslogtag',
      'logger',
      'target',
    ].map((key) => at(key)),
  ]
  return `coalesce(${isPoolerName(`concat_ws(' ', ${names.join(', ')})`)}, false)`
}

/** SQL of whether a record may have one of the keys that `envelopeHost` reads. */
export function mayNameHost(text: string): string {
  return `regexp_matches(${text}, '"(?:host|hostname|HOST|_HOSTNAME|kubernetes|[Pp]odName|labels|resource|ContainerAppName_s)" ?:')`
}

/** SQL of the pod or host that the envelope names. */
export function envelopeHost(at: ValueAt): string {
  const pods = [
    at('kubernetes', 'pod_name'),
    at('kubernetes', 'pod', 'name'),
    at('PodName'),
    at('podName'),
    at('labels', 'pod'),
    at('resource', 'labels', 'pod_name'),
  ]
  // An instance of Prometheus has the port of its exporter.
  const instance = `regexp_replace(${at('labels', 'instance')}, ':\\d+$', '')`
  const names = [
    at('_HOSTNAME'),
    at('hostname'),
    at('HOST'),
    at('labels', 'host'),
    at('labels', 'hostname'),
    instance,
    at('ContainerAppName_s'),
    at('ContainerAppName'),
  ]
  const host = `CASE WHEN NOT starts_with(host, '{') THEN host
    WHEN json_valid(host) THEN coalesce(json_extract_string(host, '$."name"'), json_extract_string(host, '$."hostname"')) END`
  return `coalesce(${pods.join(', ')}, ${once('host', at('host'), host)}, ${names.join(', ')})`
}

/** Docker's json-file, Fluent Bit, Vector and others: the server's text log under a key, or a program's own record. */
export const logText: Shape = {
  name: 'log-text',
  matches: hasText,
  prefixed: (_, line) => line,
  readsConnectionMessages: true,
  areClues: true,
  partly: otherParts,
  fields: (at, prefix, blob = 'NULL') => {
    const programLevel = envelopeLevel(at)
    const stated = `coalesce(${envelopeTime(at)}, ${outerTime})`
    const isKlog = `${prefix('program')} = 'klog'`
    // Without a year, the day is no time: the row says so.
    const own = `CASE WHEN ${isKlog} THEN coalesce(${klogTime(prefix('time'), stated, blob)}, ${prefix('time')})
      ELSE coalesce(${prefix('time')}, nullif(regexp_extract(${prefix('head')}, ${sqlString(leadingTime)}, 1), '')) END`
    const continued = continuationFields(prefix, {}, (kind) => joinedText(prefix('rest'), kind))
    return {
      ...textLogFields(prefix),
      event_time: own,
      // The shipper's time can be hours later than the server's after a backlog, so it is used only for text without a time,
      // and to find the zone of a time.
      event_time_second: secondTime(own, prefix, stated),
      severity: `coalesce(${prefix('level')}, CASE WHEN NOT ${isFurtherLine(prefix)} THEN ${programLevel} END)`,
      // A container's name may contain that of a pooler, so a line in the server's own form is the server's.
      record_kind: `CASE WHEN ${prefix('program')} = 'pooler' THEN 'pooler'
        WHEN (${prefix('level')} IS NULL OR ${prefix('program')} IS NOT NULL OR ${isZoneless(own)}) AND ${isPooler(at)} THEN 'pooler'
        WHEN ${prefix('program')} IS NOT NULL THEN 'operator'
        WHEN ${prefix('level')} IS NOT NULL OR ${isFurtherLine(prefix)} THEN 'server_log'
        WHEN ${programLevel} IS NOT NULL THEN 'operator' END`,
      ...continued,
      file_name: `CASE WHEN ${isKlog} THEN regexp_extract(${prefix('head')}, ${sqlString(klogPlace)}, 1) ELSE ${continued.file_name} END`,
      file_line_num: `CASE WHEN ${isKlog} THEN regexp_extract(${prefix('head')}, ${sqlString(klogPlace)}, 2) ELSE ${continued.file_line_num} END`,
      pid: `coalesce(${prefix('pid')}, ${syslogPid(at)}, ${inSyslogHead(2)})`,
      message: textMessage(prefix),
      server_name: `coalesce(${envelopeHost(at)}, ${inSyslogHead(1)})`,
    }
  },
}
