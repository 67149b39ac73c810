import { sqlString } from '../sql.ts'
import { asInstant, epochInstant, inCalendar, instant, sessionEpoch } from './expressions/instant.ts'
import { jsonStruct, textKeys } from './expressions/json.ts'
import { durationOf, statementHead, statementOf } from './expressions/message.ts'
import { type ExtraColumn, extraTexts, extraValue } from './extra-column.ts'
import { integerColumns, stringColumns } from './forms.ts'
import { jsonlog } from './shapes/jsonlog.ts'
import type { TextField, ValueAt } from './shapes/shape.ts'

/** The options of a table that affect usual records. */
export interface UsualJsonlogOptions {
  readonly role: string | undefined
  readonly serverName: string | undefined
  readonly timezone: string | undefined
  readonly extraColumns: readonly ExtraColumn[]
}

/** Start of every jsonlog record that PostgreSQL itself writes. */
const beginning = '{"timestamp":"'

const keys = new Set<string>()
const at: ValueAt = (key) => {
  keys.add(key!)
  return `keys."${key}"`
}
const texts = jsonlog.fields(at, () => 'NULL')
jsonlog.matches(at)
const structure = textKeys([...keys])

const strings = stringColumns.filter((name) => texts[name] !== undefined)

/**
 * SQL of a relation that marks usual records: jsonlog as PostgreSQL itself writes it, with values that all fit their
 * columns. Nearly all records are usual, and they need none of the checks for other shapes.
 *
 * @param source a relation with the columns `raw`, `text`, `reject`, `note` and `is_flat`
 * @returns the source with the column `is_usual`, which is never NULL, and the columns that `usualColumns` uses
 */
export function markUsual(source: string, { timezone, extraColumns }: UsualJsonlogOptions): string {
  const extra = extraTexts(extraColumns)
  const read = `(SELECT *, CASE WHEN is_flat AND reject IS NULL AND note IS NULL AND starts_with(text, ${sqlString(beginning)})
      THEN CASE WHEN json_valid(text) THEN ${jsonStruct('text', structure)} END END AS keys FROM ${source})`
  const cast = `(SELECT *,
      ${strings.map((name) => `nullif(nullif(${texts[name]}, ''), '[unknown]') AS s_${name}`).join(', ')},
      ${integerColumns.map(({ name, type }) => `TRY_CAST(${texts[name]} AS ${type}) AS n_${name}`).join(', ')},
      keys.timestamp AS t_event_time, keys.session_start AS t_session_start,
      ${sessionEpoch('keys.session_id')} AS session_epoch
      ${extraColumns.length > 0 ? `, CASE WHEN keys IS NOT NULL THEN json_extract_string(text, ${extra.paths}) END AS extra` : ''}
      FROM ${read})`
  const extras = extraColumns.map(
    (column, index) => `, ${extraValue(column, extra.texts[index]!, timezone)} AS x_${index}`,
  )
  const timed = `(SELECT *, ${epochInstant('session_epoch')} AS u_session
      ${extras.join('')} FROM ${cast})`
  const dated = `(SELECT *, ${instant('t_event_time', {
    timezone,
    sessionStart: 't_session_start',
    sessionInstant: 'u_session',
  })} AS u_event, ${statementHead('s_message')} AS statement_head FROM ${timed})`
  const fits = [
    'keys IS NOT NULL',
    `${jsonlog.matches(at)}`,
    `${inCalendar('u_event')} IS NOT NULL`,
    'u_session IS NOT NULL',
    // A number not in its canonical form, such as 1.5 or 1e3, does not fit.
    ...integerColumns.map(({ name }) => `(${texts[name]} IS NULL OR n_${name}::VARCHAR = ${texts[name]})`),
    `NOT starts_with(coalesce(s_message, ''), 'AUDIT: ')`,
    ...extraColumns.map(
      (_, index) => `(${extra.texts[index]} IS NULL OR ${extra.texts[index]} = '' OR x_${index} IS NOT NULL)`,
    ),
  ]
  return `(SELECT *, coalesce(${fits.join(' AND ')}, false) AS is_usual FROM ${dated})`
}

/** SQL of every column of a usual record, by name, except `raw` and the provenance columns. */
export function usualColumns(options: UsualJsonlogOptions): Readonly<Record<string, string>> {
  const setting = (text: string | undefined): string =>
    text === undefined ? 'NULL::VARCHAR' : sqlString(text)
  const string = (name: TextField): string => (texts[name] === undefined ? 'NULL::VARCHAR' : `s_${name}`)
  return {
    event_time: asInstant('u_event'),
    severity: string('severity'),
    server_name: setting(options.serverName),
    source_role: setting(options.role),
    db_name: string('db_name'),
    user_name: string('user_name'),
    client_addr: string('client_addr'),
    application_name: string('application_name'),
    sqlstate: string('sqlstate'),
    backend_type: string('backend_type'),
    pid: 'n_pid',
    session_id: string('session_id'),
    query_id: 'nullif(n_query_id, 0)',
    command_tag: string('command_tag'),
    duration_ms: durationOf('s_message'),
    audit_class: 'NULL::VARCHAR',
    object_type: 'NULL::VARCHAR',
    object_name: 'NULL::VARCHAR',
    txid: 'nullif(n_txid, 0)',
    line_num: 'n_line_num',
    session_start: asInstant('u_session'),
    client_port: 'n_client_port',
    ...Object.fromEntries(
      options.extraColumns.map(({ name, type }, index) => [
        name,
        type === 'timestamp' ? asInstant(`x_${index}`) : `x_${index}`,
      ]),
    ),
    message: string('message'),
    detail: string('detail'),
    hint: string('hint'),
    context: string('context'),
    statement: `CASE WHEN s_statement IS NOT NULL THEN s_statement ELSE ${statementOf('s_message', 'statement_head')} END`,
    event_date: 'u_event::DATE',
    parse_status: `'ok'`,
    parse_error: 'NULL::VARCHAR',
  }
}
