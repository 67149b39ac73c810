import { TailraceError } from '../errors.ts'
import type { ExtraColumn } from './extra-column.ts'
import { compilePrefix, defaultPrefixes } from './log-line-prefix.ts'
import { eventDate, eventDatePartition, leadingColumns, trailingColumns } from './postgres-columns.ts'
import { PostgresProjection } from './postgres-projection.ts'
import {
  type Column,
  checkColumnNames,
  parseTableName,
  provenanceColumns,
  type TableDeclaration,
} from './table.ts'

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
