import { TailraceError } from '../../errors.ts'
import {
  type Column,
  checkColumnNames,
  type PartitionColumn,
  parseTableName,
  provenanceColumns,
  type TableDeclaration,
} from '../table.ts'
import { eventDate, leadingColumns, rawColumn, trailingColumns } from './columns.ts'
import type { ExtraColumn } from './extra-column.ts'
import type { KeepRaw } from './held-record.ts'
import { compileDefaultPrefix, compilePrefix, defaultPrefixes } from './log-line-prefix.ts'
import { PostgresProjection } from './projection.ts'
import type { ServerRole } from './server-columns.ts'
import { logViews } from './views/log-views.ts'

export type { ExtraColumn } from './extra-column.ts'
export type { ServerRole } from './server-columns.ts'

export interface PostgresLogsOptions {
  /** `source_role` of records that do not name one. */
  readonly role?: ServerRole | undefined
  /** `source_role` by the server's name, in any case, of records that do not name one; it comes before `role`. Default none. */
  readonly roles?: Readonly<Record<string, ServerRole>> | undefined
  /** `server_name` of records that do not name one. Default: the name in the path of a blob of Azure Monitor. */
  readonly serverName?: string | undefined
  /** The server's `log_timezone`, an IANA name. Needed for times with a zone abbreviation. */
  readonly timezone?: string | undefined
  /** `log_line_prefix` settings of servers whose records have one, tried in order. Default: common ones. */
  readonly prefixes?: readonly string[] | undefined
  /** Reject a record with a value that does not fit its column, instead of storing its other values. Default false. */
  readonly strict?: boolean | undefined
  readonly extraColumns?: readonly ExtraColumn[] | undefined
  /**
   * `unusual`: `raw` is NULL in rows whose other columns hold the whole record, as they do for nearly all jsonlog of a
   * server that logs in UTC. Default `always`.
   */
  readonly keepRaw?: KeepRaw | undefined
}

/**
 * Declares a table of PostgreSQL log records, with the same columns for every producer's format.
 *
 * @param name `catalog.schema.table`
 * @throws CONFIG_INVALID for an invalid name, time zone, prefix or column
 */
export function postgresLogs(name: string, options: PostgresLogsOptions = {}): TableDeclaration {
  const { extraColumns = [], keepRaw = 'always' } = options
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
    keepRaw === 'always' ? { ...rawColumn, isRequired: true } : rawColumn,
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
      roles: lowerCased(options.roles ?? {}),
      serverName: options.serverName,
      timezone: options.timezone,
      prefixes: options.prefixes?.map(compilePrefix) ?? defaultPrefixes.map(compileDefaultPrefix),
      strict,
      extraColumns,
      keepRaw,
    }),
  }
}

function lowerCased(roles: Readonly<Record<string, ServerRole>>): Readonly<Record<string, ServerRole>> {
  for (const [name, role] of Object.entries(roles)) {
    if (role === 'primary' || role === 'replica') continue
    throw new TailraceError(
      'CONFIG_INVALID',
      `invalid role of the server ${name}: found ${JSON.stringify(role)}, expected primary or replica`,
    )
  }
  return Object.fromEntries(Object.entries(roles).map(([name, role]) => [name.toLowerCase(), role]))
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

/** Avoids DuckDB's direct cast of a TIMESTAMPTZ to a date, which is slower because it uses ICU's calendar. */
const eventDatePartition: PartitionColumn = {
  column: eventDate.name,
  fromSql: 'make_timestamp(epoch_us(event_time))::DATE',
}
