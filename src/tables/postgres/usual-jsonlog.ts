import { sqlIdentifier, sqlString } from '../sql.ts'
import type { ProjectionOptions } from '../table.ts'
import { columnValues, integerColumns, jsonColumns, stringColumns } from './columns.ts'
import { engineSeverityLevel } from './events.ts'
import {
  afterLastInstant,
  asInstant,
  epochInstant,
  firstInstant,
  instant,
  sessionEpoch,
} from './expressions/instant.ts'
import { jsonStruct, textKeys } from './expressions/json.ts'
import {
  beginningParts,
  durationPhase,
  durationValue,
  messageBeginning,
  statementValue,
  usualEvent,
  usualEventHead,
  usualPlan,
} from './expressions/usual-message.ts'
import { type ExtraColumn, extraTexts, extraValue } from './extra-column.ts'
import { mayBeNested } from './forms.ts'
import { hasRare, isHeldByColumns, type KeepRaw, textQuote } from './held-record.ts'
import { removalPatch, withoutKeys } from './other-keys.ts'
import { type KnownServers, knownRole, knownServerName } from './server-columns.ts'
import { jsonlog, jsonlogKeys } from './shapes/jsonlog.ts'
import { mayNameHost } from './shapes/log-text.ts'
import type { TextField, ValueAt } from './shapes/shape.ts'

/** The options of a table that affect usual records. */
export interface UsualJsonlogOptions extends KnownServers {
  readonly timezone: string | undefined
  readonly extraColumns: readonly ExtraColumn[]
  readonly keepRaw: KeepRaw
}

/** Start of every jsonlog record that PostgreSQL itself writes. */
export const usualBeginning = '{"timestamp":"'

const surrogate = String.raw`\\u[dD][89a-fA-F]`
const escapedSurrogate = String.raw`(?:^|[^\\])(?:\\\\)*${surrogate}`

const keys = new Set<string>()
const at: ValueAt = (key) => {
  keys.add(key!)
  return `keys."${key}"`
}
const texts = jsonlog.fields(at, () => 'NULL')
jsonlog.matches(at, 'NULL')
const structure = textKeys([...keys])

const strings = stringColumns.filter((name) => texts[name] !== undefined)
const integers = integerColumns.filter(({ name }) => texts[name] !== undefined)

/** SQL of whether a number is absent or has the form in which the engine writes it: 1.5 and 1e3 have not. */
function isCanonical(name: TextField): string {
  return `n_${name}::VARCHAR IS NOT DISTINCT FROM ${texts[name]}`
}

const readKeys = removalPatch(jsonlogKeys.map(({ key }) => [key]))

/**
 * SQL of whether a record ends as PostgreSQL writes it. Of such a record, no other key is searched: what forwards records
 * adds its own keys before or behind them.
 */
function endsAsWritten(text: string, queryId: string): string {
  return `ends_with(${text}, '"query_id":' || ${queryId} || '}')`
}

/** SQL of whether a record in the server's order of keys has none that names its server. */
export function namesNoHost(text: string, queryId: string): string {
  return `CASE WHEN ${endsAsWritten(text, queryId)} THEN true ELSE NOT ${mayNameHost(text)} END`
}

/**
 * SQL that selects the usual records: jsonlog as PostgreSQL itself writes it, with values that all fit their columns.
 * Nearly all records are usual, and they need none of the checks for other shapes.
 *
 * Each record is parsed once. Cheap conditions come first, and CASE confines the expressions for rare values to their rows.
 *
 * @param source a relation with the columns `raw`, `text`, `reject`, `note`, `is_flat` and `is_written`
 */
export function usualRows(
  source: string,
  options: UsualJsonlogOptions,
  { passThrough, usual }: ProjectionOptions,
): string {
  const { timezone, extraColumns } = options
  const extra = extraTexts(extraColumns)
  const kept = ['raw', 'text', 'is_flat', 'is_written', ...passThrough.map(sqlIdentifier)].join(', ')
  // Escaped lone surrogates are valid JSON, but the parser refuses them. A flat record has no \u at all. Behind a second
  // backslash it is text, which messages about such values quote.
  const likely = [
    'reject IS NULL',
    'note IS NULL',
    `starts_with(text, ${sqlString(usualBeginning)})`,
    `CASE WHEN is_flat THEN true
      WHEN regexp_matches(text, ${sqlString(surrogate)}) THEN NOT regexp_matches(text, ${sqlString(escapedSurrogate)})
      ELSE true END`,
    ...(usual === 'checked' ? ['json_valid(text)'] : []),
  ]
  const candidates = `(SELECT ${kept} FROM ${source} WHERE ${likely.join(' AND ')})`
  const parsed = `(SELECT *, ${jsonStruct('text', structure)} AS keys FROM ${candidates})`
  const cast = `(SELECT *,
      ${strings.map((name) => `${present(texts[name]!)} AS s_${name}`).join(', ')},
      ${integers.map(({ name, type }) => `TRY_CAST(${texts[name]} AS ${type}) AS n_${name}`).join(', ')},
      ${options.keepRaw === 'unusual' ? `${hasRare(at)}, ${textQuote},` : ''}
      keys.timestamp AS t_event_time, keys.session_start AS t_session_start,
      ${sessionEpoch('keys.session_id')} AS session_epoch,
      ${engineSeverityLevel(texts.severity!)} AS level
      ${extraColumns.length > 0 ? `, json_extract_string(text, ${extra.paths}) AS extra` : ''}
      FROM ${parsed})`
  const extras = extraColumns.map(
    (column, index) => `, ${extraValue(column, extra.texts[index]!, timezone)} AS x_${index}`,
  )
  const timed = `(SELECT *, ${epochInstant('session_epoch')} AS u_session,
      ${messageBeginning('s_message')} AS beginning ${extras.join('')} FROM ${cast})`
  const dated = `(SELECT *, ${instant('t_event_time', {
    timezone,
    sessionStart: 't_session_start',
    sessionInstant: 'u_session',
  })} AS u_event, ${beginningParts('s_message')}, ${usualEventHead('s_message')} AS event_head FROM ${timed})`
  const fits = [
    `${jsonlog.matches(at, 'NULL')}`,
    `u_event >= ${firstInstant}`,
    `u_event < ${afterLastInstant}`,
    'u_session IS NOT NULL',
    // A number as the server writes it is canonical; it may still be out of range.
    `CASE WHEN is_written THEN ${integers.map(({ name }) => `(n_${name} IS NULL) = (${texts[name]} IS NULL)`).join(' AND ')}
      ELSE ${integers.map(({ name }) => isCanonical(name)).join(' AND ')} AND ${namesNoHost('text', 'keys.query_id')} END`,
    `CASE WHEN is_flat THEN true ELSE NOT coalesce(${strings.map((name) => mayBeNested(texts[name]!)).join(' OR ')}, false) END`,
    `starts_with(s_message, 'AUDIT: ') IS NOT TRUE`,
    ...extraColumns.map(
      (_, index) => `(${extra.texts[index]} IS NULL OR ${extra.texts[index]} = '' OR x_${index} IS NOT NULL)`,
    ),
  ]
  const list = Object.entries(usualColumns(options, passThrough)).map(
    ([name, sql]) => `${sql} AS ${sqlIdentifier(name)}`,
  )
  return `SELECT ${[...list, ...passThrough.map(sqlIdentifier)].join(',\n')}
    FROM ${dated} WHERE ${fits.join(' AND ')}`
}

/** SQL of a text that is not NULL, empty or PostgreSQL's placeholder. Unlike nested nullif, it evaluates nothing twice. */
function present(text: string): string {
  return `CASE WHEN ${text} = '' THEN NULL WHEN ${text} = '[unknown]' THEN NULL ELSE ${text} END`
}

/** SQL of every column of a usual record, by name, except the provenance columns. */
function usualColumns(
  options: UsualJsonlogOptions,
  passThrough: readonly string[],
): Readonly<Record<string, string>> {
  const serverName = knownServerName(options, passThrough)
  const string = (name: TextField): string => (texts[name] === undefined ? 'NULL::VARCHAR' : `s_${name}`)
  const integer = (name: TextField): string => (texts[name] === undefined ? 'NULL::BIGINT' : `n_${name}`)
  return columnValues(string, integer, {
    event_time: asInstant('u_event'),
    server_name: serverName,
    source_role: knownRole(options, serverName),
    query_id: 'nullif(n_query_id, 0)',
    duration_ms: durationValue('s_message'),
    duration_phase: durationPhase('s_message'),
    severity_level: 'level',
    record_kind: `CASE WHEN level IS NULL THEN 'other' ELSE 'server_log' END`,
    event: usualEvent('s_message'),
    plan: usualPlan('s_message'),
    audit_class: 'NULL::VARCHAR',
    object_type: 'NULL::VARCHAR',
    commit_time: 'NULL::TIMESTAMPTZ',
    ...Object.fromEntries(jsonColumns.map((name) => [name, 'NULL::VARCHAR'])),
    extra: `CASE WHEN is_written THEN NULL WHEN ${endsAsWritten('text', 'keys.query_id')} THEN NULL ELSE nullif(${withoutKeys('text', sqlString(readKeys))}, '{}') END`,
    txid: 'nullif(n_txid, 0)',
    session_start: asInstant('u_session'),
    ...Object.fromEntries(
      options.extraColumns.map(({ name, type }, index) => [
        name,
        type === 'timestamp' ? asInstant(`x_${index}`) : `x_${index}`,
      ]),
    ),
    statement: `CASE WHEN s_statement IS NOT NULL THEN s_statement ELSE ${statementValue('s_message')} END`,
    event_date: 'u_event::DATE',
    parse_status: `'ok'`,
    parse_error: 'NULL::VARCHAR',
    raw: options.keepRaw === 'always' ? 'raw' : `CASE WHEN ${isHeldByColumns(at)} THEN NULL ELSE raw END`,
  })
}
