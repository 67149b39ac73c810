import type { Column } from '../table.ts'
import { type TextField, textFields } from './shapes/shape.ts'

/**
 * The normalized columns of a PostgreSQL log record. Columns used in filters come first, because Delta keeps statistics
 * of a table's first 32 columns only.
 */
export const leadingColumns: readonly Column[] = [
  {
    name: 'event_time',
    type: 'timestamp',
    comment: 'When the server wrote the record; NULL when its zone is uncertain.',
  },
  { name: 'severity', type: 'string', comment: 'LOG, ERROR, FATAL and so on, as the server wrote it.' },
  {
    name: 'severity_level',
    type: 'string',
    comment: 'DEBUG, LOG, INFO, NOTICE, WARNING, ERROR, FATAL or PANIC, in whatever language severity is.',
  },
  {
    name: 'record_kind',
    type: 'string',
    comment:
      'server_log, audit, change, session, query_store, table_stats, pooler, operator or other; NULL in rejected rows.',
  },
  {
    name: 'event',
    type: 'string',
    comment: 'What happened: connection_received, duration, plan, lock_wait, checkpoint and so on.',
  },
  {
    name: 'server_name',
    type: 'string',
    comment: 'Server the record comes from, from the record or the configuration.',
  },
  {
    name: 'source_role',
    type: 'string',
    comment: 'primary or replica, from the record or the configuration.',
  },
  { name: 'db_name', type: 'string', comment: 'Database.' },
  { name: 'user_name', type: 'string', comment: 'Database user.' },
  { name: 'client_addr', type: 'string', comment: "Client's address or host name, or [local]." },
  { name: 'application_name', type: 'string', comment: 'What the client calls itself.' },
  { name: 'sqlstate', type: 'string', comment: 'SQLSTATE code; 00000 is success.' },
  { name: 'backend_type', type: 'string', comment: 'Kind of server process.' },
  { name: 'pid', type: 'integer', comment: 'Server process.' },
  { name: 'session_id', type: 'string', comment: 'Session: start time and process, in hexadecimal.' },
  {
    name: 'query_id',
    type: 'long',
    comment: 'Query identifier as in pg_stat_statements; exact; NULL for none.',
  },
  { name: 'command_tag', type: 'string', comment: 'Command as pgaudit names it, or else the process title.' },
  { name: 'duration_ms', type: 'double', comment: 'Milliseconds a statement took, from its message.' },
  { name: 'audit_class', type: 'string', comment: "pgaudit's class: READ, WRITE, DDL and so on." },
  { name: 'object_name', type: 'string', comment: 'Object that pgaudit or a change record names.' },
  { name: 'txid', type: 'long', comment: 'Transaction; NULL for none.' },
  { name: 'line_num', type: 'long', comment: 'Number of the record within its session.' },
]

/** Columns of long texts, and those that filters rarely use. */
export const trailingColumns: readonly Column[] = [
  { name: 'parse_error', type: 'string', comment: 'Why the row is partial or rejected, or a remark on it.' },
  {
    name: 'message',
    type: 'string',
    comment: 'Message, without the prefix and level that text logs put before it.',
  },
  { name: 'detail', type: 'string', comment: 'Detail of the message.' },
  { name: 'hint', type: 'string', comment: 'Hint of the message.' },
  { name: 'context', type: 'string', comment: 'Where in the server the message arose.' },
  { name: 'statement', type: 'string', comment: 'SQL text: the statement at fault, audited, or timed.' },
  { name: 'plan', type: 'string', comment: 'Plan of auto_explain, in the format in which it was written.' },
  {
    name: 'duration_phase',
    type: 'string',
    comment: 'Phase that duration_ms is of: parse, bind, execute, statement or fastpath; NULL for a plan.',
  },
  { name: 'session_start', type: 'timestamp', comment: 'When the session started.' },
  { name: 'client_port', type: 'integer', comment: "Client's TCP port." },
  { name: 'object_type', type: 'string', comment: 'Kind of object that pgaudit names.' },
  { name: 'audit_type', type: 'string', comment: "pgaudit's type: SESSION or OBJECT." },
  { name: 'audit_statement_id', type: 'long', comment: "pgaudit's number of the statement in its session." },
  {
    name: 'audit_substatement_id',
    type: 'long',
    comment: "pgaudit's number of the statement within its statement.",
  },
  {
    name: 'audit_parameters',
    type: 'string',
    comment: "The statement's parameters, as pgaudit writes them.",
  },
  { name: 'audit_rows', type: 'long', comment: 'Rows that an audited statement returned or changed.' },
  { name: 'lsn', type: 'string', comment: 'Position of a change in the WAL.' },
  { name: 'commit_time', type: 'timestamp', comment: 'When the transaction of a change was committed.' },
  {
    name: 'old_values',
    type: 'string',
    comment: 'The row before a change, or its key, as a JSON object by column.',
  },
  { name: 'new_values', type: 'string', comment: 'The row after a change as a JSON object by column.' },
  { name: 'internal_query', type: 'string', comment: 'Query that the server itself made, if that failed.' },
  { name: 'internal_position', type: 'integer', comment: 'Position of the error in internal_query.' },
  { name: 'cursor_position', type: 'integer', comment: 'Position of the error in the statement.' },
  { name: 'vxid', type: 'string', comment: 'Virtual transaction.' },
  { name: 'ps', type: 'string', comment: 'Title of the process: its command or state.' },
  { name: 'leader_pid', type: 'integer', comment: 'Process that leads a parallel worker.' },
  { name: 'func_name', type: 'string', comment: "Function of the server's source that wrote the record." },
  { name: 'file_name', type: 'string', comment: "File of the server's source that wrote the record." },
  { name: 'file_line_num', type: 'integer', comment: 'Line in that file.' },
  {
    name: 'extra',
    type: 'string',
    comment: 'Keys of the record and of its envelope that have no column of their own, as a JSON object.',
  },
]

/** NULL in rows whose columns hold the whole record, where `keepRaw` says so. */
export const rawColumn: Column = { name: 'raw', type: 'string', comment: 'The whole line.' }

/** Partition column: the UTC date of `event_time`. */
export const eventDate: Column = {
  name: 'event_date',
  type: 'date',
  comment: 'UTC date of event_time; NULL when that is NULL.',
}

/** A column with the text of a field of its own name, as it is or as an integer. */
interface FieldColumn {
  readonly name: TextField
  /** DuckDB's type. */
  readonly type: string
}

/** Columns whose text is JSON: an object in them is no mistake. */
export const jsonColumns = ['old_values', 'new_values'] as const

const fieldColumns = [...leadingColumns, ...trailingColumns].flatMap(({ name, type }): FieldColumn[] => {
  const field = textFields.find((one) => one === name && !jsonColumns.some((column) => column === one))
  const engineType = { string: 'VARCHAR', integer: 'INTEGER', long: 'BIGINT' }[type as string]
  return field === undefined || engineType === undefined ? [] : [{ name: field, type: engineType }]
})

/** Columns that are text in the record and in the table. */
export const stringColumns: readonly TextField[] = fieldColumns
  .filter(({ type }) => type === 'VARCHAR')
  .map(({ name }) => name)

/** Columns whose text must be an integer. */
export const integerColumns: readonly FieldColumn[] = fieldColumns.filter(({ type }) => type !== 'VARCHAR')

/**
 * SQL of the columns of a row, by name.
 *
 * @param textOf SQL of a text column, which is its field's text unless `special` has it
 * @param numberOf the same for an integer column
 * @param special SQL of the other columns, and of those whose value is not just their field's
 */
export function columnValues(
  textOf: (name: TextField) => string,
  numberOf: (name: TextField) => string,
  special: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return {
    ...Object.fromEntries(stringColumns.map((name) => [name, textOf(name)])),
    ...Object.fromEntries(integerColumns.map(({ name }) => [name, numberOf(name)])),
    ...special,
  }
}
