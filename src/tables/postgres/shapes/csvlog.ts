import { hasText } from './envelope.ts'
import { criHead, locationFields } from './log-text.ts'
import type { Shape, ValueAt } from './shape.ts'

/** Fields from csvlog's column names. @param at reads a key of the object that has them, which may be nested */
export function csvlogFields(at: ValueAt): ReturnType<Shape['fields']> {
  // `10.1.2.3:5432`, `fe80::1:5432` (the port follows the last colon), or `[local]`.
  const endpoint = at('connection_from')
  const port = `regexp_extract(${endpoint}, ':([0-9]+)$', 1)`
  return {
    event_time: at('log_time'),
    severity: at('error_severity'),
    sqlstate: at('sql_state_code'),
    message: at('message'),
    detail: at('detail'),
    hint: at('hint'),
    context: at('context'),
    statement: at('query'),
    db_name: at('database_name'),
    user_name: at('user_name'),
    application_name: at('application_name'),
    backend_type: at('backend_type'),
    pid: at('process_id'),
    session_id: at('session_id'),
    session_start: at('session_start_time'),
    line_num: at('session_line_num'),
    command_tag: at('command_tag'),
    ps: at('command_tag'),
    vxid: at('virtual_transaction_id'),
    internal_query: at('internal_query'),
    internal_position: at('internal_query_pos'),
    cursor_position: at('query_pos'),
    leader_pid: at('leader_pid'),
    query_id: at('query_id'),
    txid: at('transaction_id'),
    ...locationFields(at('location')),
    client_addr: `CASE WHEN ${port} = '' THEN ${endpoint} ELSE regexp_replace(${endpoint}, '^\\[?(.*?)\\]?:[0-9]+$', '\\1') END`,
    client_port: `nullif(${port}, '')`,
  }
}

/** csvlog converted to JSON, with its column names as keys of the record. */
export const csvlog: Shape = {
  name: 'csvlog',
  matches: (at) =>
    `${at('log_time')} IS NOT NULL AND (${at('process_id')} IS NOT NULL OR ${at('error_severity')} IS NOT NULL)`,
  fields: csvlogFields,
}

/** CloudNativePG: csvlog's column names as keys of `record`, all values as strings. */
export const cloudnativepg: Shape = {
  name: 'cloudnativepg',
  matches: (at) => `${at('record', 'log_time')} IS NOT NULL`,
  fields: (at) => {
    const audited = (key: string): string => at('record', 'audit', key)
    const fields = csvlogFields((key) => at('record', key!))
    return {
      ...fields,
      server_name: at('logging_pod'),
      // pgaudit's fields, which the operator has parsed.
      audit_type: audited('audit_type'),
      audit_statement_id: audited('statement_id'),
      audit_substatement_id: audited('substatement_id'),
      audit_parameters: `nullif(${audited('parameter')}, '')`,
      audit_rows: `nullif(${audited('rows')}, '')`,
      audit_class: audited('class'),
      object_type: `nullif(${audited('object_type')}, '')`,
      object_name: `nullif(${audited('object_name')}, '')`,
      command_tag: `coalesce(${audited('command')}, ${fields.command_tag})`,
      statement: `coalesce(${audited('statement')}, ${fields.statement})`,
    }
  },
  replaced: (at) => [['record', 'query'], `${at('record', 'audit', 'statement')} IS NOT NULL`],
}

// The quotes inside quotes are doubled, and a quoted value may hold commas and newlines. The last value of a line that a
// shipper cut off has no end.
const csvValue = '(?:"(?:[^"]|"")*(?:"|$)|[^,"]*)'
// https://www.postgresql.org/docs/18/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG
const csvColumns = [
  'log_time',
  'user_name',
  'database_name',
  'process_id',
  'connection_from',
  'session_id',
  'session_line_num',
  'command_tag',
  'session_start_time',
  'virtual_transaction_id',
  'transaction_id',
  'error_severity',
  'sql_state_code',
  'message',
  'detail',
  'hint',
  'internal_query',
  'internal_query_pos',
  'context',
  'query',
  'query_pos',
  'location',
  'application_name',
  'backend_type',
  'leader_pid',
  'query_id',
]

/** csvlog as it is, one line under a key of an envelope. */
export const wrappedCsvlog: Shape = {
  name: 'csv-text',
  matches: (at, text) =>
    `${hasText(at)} AND regexp_matches(${text}, '^(?:${criHead})?\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d[.]\\d+ [^,]+,(?:"[^"]*")?,(?:"[^"]*")?,\\d+,')`,
  split: (line) => `regexp_extract_all(${line}, '(?s)(${csvValue})(?:,|$)', 1)`,
  fields: (at) =>
    csvlogFields((column) => {
      const value = at(String(csvColumns.indexOf(column!) + 1))
      return `nullif(CASE WHEN starts_with(${value}, '"') THEN replace(regexp_replace(substring(${value}, 2), '"$', ''), '""', '"') ELSE ${value} END, '')`
    }),
}
