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

export type { ExtraColumn } from './extra-column.ts'

export interface PostgresLogsOptions {
  /** `source_role` of records that do not name one. */
  readonly role?: 'primary' | 'replica'
  /** `server_name` of records that do not name one. */
  readonly serverName?: string
  /** The server's `log_timezone`, an IANA name: resolves times that carry a zone abbreviation. */
  readonly timezone?: string
  /** `log_line_prefix` settings of servers whose records carry one, tried in order. Default: common ones. */
  readonly prefixes?: readonly string[]
  /** Reject a record with a value that does not fit, instead of storing what fits. Default false. */
  readonly strict?: boolean
  readonly extraColumns?: readonly ExtraColumn[]
}

/**
 * Declares a table of PostgreSQL log records: one normalized shape, whatever produced them.
 *
 * @param name `catalog.schema.table`
 * @throws CONFIG_INVALID for a name, time zone, prefix or column that cannot be
 */
export function postgresLogs(name: string, options: PostgresLogsOptions = {}): TableDeclaration {
  const extraColumns = options.extraColumns ?? []
  for (const { name: column, from } of extraColumns) {
    if (from.split('.').some((key) => key === '')) {
      throw new TailraceError(
        'CONFIG_INVALID',
        `the column ${column} is read from ${JSON.stringify(from)}, which is no key`,
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
 * The normalized columns of a PostgreSQL log record. Those one filters by come first: readers keep statistics of a
 * table's first 32 columns only.
 */
export const leadingColumns: readonly Column[] = [
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

/** Long texts. `raw` is never NULL. */
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
  { name: 'raw', type: 'string', comment: 'The whole line.' },
]

/** Partition column: the UTC date of `event_time`. */
export const eventDate: Column = {
  name: 'event_date',
  type: 'date',
  comment: 'UTC date of event_time; NULL when that is NULL.',
}

/** Cheaper than DuckDB's own conversion, which goes through ICU's calendar. */
export const eventDatePartition: PartitionColumn = {
  column: eventDate.name,
  fromSql: 'make_timestamp(epoch_us(event_time))::DATE',
}
