import { TailraceError } from '../../errors.ts'
import {
  type Column,
  checkColumnNames,
  type PartitionColumn,
  parseTableName,
  provenanceColumns,
  type TableDeclaration,
} from '../table.ts'
import type { ExtraColumn } from './extra-column.ts'
import { compilePrefix, defaultPrefixes } from './log-line-prefix.ts'
import { PostgresProjection } from './projection.ts'
import { logViews } from './views/log-views.ts'

export type { ExtraColumn } from './extra-column.ts'

export interface PostgresLogsOptions {
  /** `source_role` of records that do not name one. */
  readonly role?: 'primary' | 'replica' | undefined
  /** `server_name` of records that do not name one. */
  readonly serverName?: string | undefined
  /** The server's `log_timezone`, an IANA name. Needed for times with a zone abbreviation. */
  readonly timezone?: string | undefined
  /** `log_line_prefix` settings of servers whose records have one, tried in order. Default: common ones. */
  readonly prefixes?: readonly string[] | undefined
  /** Reject a record with a value that does not fit its column, instead of storing its other values. Default false. */
  readonly strict?: boolean | undefined
  readonly extraColumns?: readonly ExtraColumn[] | undefined
}

/**
 * Declares a table of PostgreSQL log records, with the same columns for every producer's format.
 *
 * @param name `catalog.schema.table`
 * @throws CONFIG_INVALID for an invalid name, time zone, prefix or column
 */
export function postgresLogs(name: string, options: PostgresLogsOptions = {}): TableDeclaration {
  const extraColumns = options.extraColumns ?? []
  for (const { name: column, from } of extraColumns) {
    if (from.split('.').some((key) => key === '')) {
      throw new TailraceError(
        'CONFIG_INVALID',
        `invalid source of the column ${column}: found ${JSON.stringify(from)}, expected keys separated by dots`,
      )
    }
  }
  if (options.timezone !== undefined) checkTimezone(options.timezone)

  const columns: readonly Column[] = [
    ...leadingColumns,
    ...provenanceColumns,
    ...extraColumns.map((extra) => ({
      name: extra.name,
      type: extra.type,
      comment: extra.comment ?? `Value of ${extra.from} in the record.`,
    })),
    ...trailingColumns,
    eventDate,
  ]
  checkColumnNames(columns)
  const strict = options.strict ?? false
  return {
    name: parseTableName(name),
    columns,
    partitionColumns: [eventDatePartition],
    strict,
    views: logViews,
    projection: new PostgresProjection({
      role: options.role,
      serverName: options.serverName,
      timezone: options.timezone,
      prefixes: (options.prefixes ?? defaultPrefixes).map(compilePrefix),
      strict,
      extraColumns,
    }),
  }
}

function checkTimezone(timezone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
  } catch (cause) {
    throw new TailraceError('CONFIG_INVALID', `${JSON.stringify(timezone)} is not an IANA time zone`, {
      cause,
    })
  }
}

/**
 * The normalized columns of a PostgreSQL log record. Columns used in filters come first, because Delta keeps statistics
 * of a table's first 32 columns only.
 */
const leadingColumns: readonly Column[] = [
  {
    name: 'event_time',
    type: 'timestamp',
    comment: 'When the server wrote the record; NULL when its zone is uncertain.',
  },
  { name: 'severity', type: 'string', comment: 'LOG, ERROR, FATAL and so on, as the server wrote it.' },
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
  { name: 'object_type', type: 'string', comment: 'Kind of object that pgaudit names.' },
  { name: 'object_name', type: 'string', comment: 'Object that pgaudit or a change record names.' },
  { name: 'txid', type: 'long', comment: 'Transaction; NULL for none.' },
  { name: 'line_num', type: 'long', comment: 'Number of the record within its session.' },
  { name: 'session_start', type: 'timestamp', comment: 'When the session started.' },
  { name: 'client_port', type: 'integer', comment: "Client's TCP port." },
]

/** Columns of long texts. `raw` is never NULL. */
const trailingColumns: readonly Column[] = [
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
  { name: 'raw', type: 'string', comment: 'The whole line.' },
]

/** Partition column: the UTC date of `event_time`. */
const eventDate: Column = {
  name: 'event_date',
  type: 'date',
  comment: 'UTC date of event_time; NULL when that is NULL.',
}

/** Avoids DuckDB's direct cast of a TIMESTAMPTZ to a date, which is slower because it uses ICU's calendar. */
const eventDatePartition: PartitionColumn = {
  column: eventDate.name,
  fromSql: 'make_timestamp(epoch_us(event_time))::DATE',
}
