import { sqlString } from '../../sql.ts'
import { csvColumns, csvlogLine, greenplumColumns } from './csvlog-line.ts'
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

/** Fields that Greenplum has in columns of its own. */
const greenplumFields = {
  client_addr: 'Host',
  client_port: 'Port',
  func_name: 'Function',
  file_name: 'File',
  file_line_num: 'Line',
} as const

/** SQL of whether a line is one of Greenplum's csvlog, which writes a letter before the process. */
function isGreenplum(at: ValueAt): string {
  return `starts_with(${at('4')}, 'p')`
}

/** SQL of the values of a line as a list, without their quotes; NULL for those that are empty. */
function csvValues(line: string): string {
  const value = `CASE WHEN value IN ('', '"', '""') THEN NULL WHEN starts_with(value, '"')
    THEN replace(regexp_replace(substring(value, 2), '"$', ''), '""', '"') ELSE value END`
  return `list_transform(regexp_extract_all(${line}, '(?s)(${csvValue})(?:,|$)', 1), lambda value: ${value})`
}

/** csvlog as it is, one line under a key of an envelope. */
export const wrappedCsvlog: Shape = {
  name: 'csv-text',
  matches: (at, text) =>
    `${hasText(at)} AND regexp_matches(${text}, '${csvlogLine.replace('^', `^(?:${criHead})?`)}')`,
  split: csvValues,
  fields: (at) => {
    const greenplum = (column: string): string => at(String(greenplumColumns.indexOf(column) + 1))
    const either = (theirs: string, own: string | undefined): string =>
      `CASE WHEN ${isGreenplum(at)} THEN ${theirs} ELSE ${own} END`
    const fields = csvlogFields((column) =>
      either(
        greenplumColumns.includes(column!) ? greenplum(column!) : 'NULL',
        at(String(csvColumns.indexOf(column!) + 1)),
      ),
    )
    return {
      ...fields,
      pid: either(`substring(${at('4')}, 2)`, at('4')),
      ...Object.fromEntries(
        Object.entries(greenplumFields).map(([field, column]) => [
          field,
          either(greenplum(column), fields[field as keyof typeof greenplumFields]),
        ]),
      ),
    }
  },
  partly: (at) => {
    const read: readonly string[] = Object.values(greenplumFields)
    const others = greenplumColumns.filter((name) => /^[A-Z]/.test(name) && !read.includes(name))
    const members = others.map(
      (name) => `${sqlString(name)}, ${at(String(greenplumColumns.indexOf(name) + 1))}`,
    )
    return `CASE WHEN ${isGreenplum(at)} THEN json_merge_patch('{}', json_object(${members.join(', ')}))::VARCHAR END`
  },
}
