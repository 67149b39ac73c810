import { firstInside, firstOf } from './first-of.ts'
import { continuationFields, isFurtherLine, textLogFields, textSeverity } from './log-text.ts'
import { poolerFields } from './pooler.ts'
import type { Shape, ValueAt } from './shape.ts'

/** Role and name of the server, which all categories state alike. */
function azureServer(at: ValueAt): ReturnType<Shape['fields']> {
  return {
    source_role: roleOf(`coalesce(nullif(${at('properties', 'replicaRole')}, ''), ${at('ReplicaRole')})`),
    server_name: `coalesce(nullif(${at('LogicalServerName')}, ''),
      nullif(lower(regexp_extract(${at('resourceId')}, '([^/]+)/*$', 1)), ''))`,
  }
}

/**
 * Log records in the envelope of Azure's diagnostic settings, of the flexible server, the retired single server and
 * Citus.
 */
export const azureDiagnostics: Shape = {
  name: 'azure-diagnostics',
  matches: (at) => `${at('category')} IS NOT NULL AND starts_with(${at('properties')}, '{')`,
  // The single server writes the prefix to a separate key.
  prefixed: (at) => `CASE WHEN ${at('properties', 'prefix')} IS NULL THEN ${at('properties', 'message')}
    ELSE ${at('properties', 'prefix')} || ${at('properties', 'message')} END`,
  readsConnectionMessages: true,
  areClues: true,
  fields: (at, prefix) => {
    const stated = (key: string): string => `nullif(${at('properties', key)}, '')`
    return {
      ...textLogFields(prefix),
      event_time_second: `coalesce(${stated('timestamp')}, nullif(${at('time')}, ''))`,
      severity: textSeverity(prefix, stated('errorLevel')),
      sqlstate: `coalesce(${stated('sqlerrcode')}, ${prefix('sqlstate')})`,
      message: `coalesce(${prefix('rest')}, CASE WHEN ${isFurtherLine(prefix)} THEN substring(${prefix('whole')}, 2) END, ${at('properties', 'message')})`,
      ...continuationFields(prefix, {
        detail: stated('detail'),
        hint: stated('hint'),
        context: stated('context'),
        statement: firstInside(at, 'properties', ['statement', 'query']),
      }),
      backend_type: `coalesce(${stated('backend_type')}, ${prefix('backend_type')})`,
      pid: `coalesce(${stated('processId')}, ${prefix('pid')})`,
      query_id: `coalesce(${firstInside(at, 'properties', ['query_id', 'queryId'])}, ${prefix('query_id')})`,
      ...azureServer(at),
    }
  },
}

function roleOf(stated: string): string {
  const role = `lower(${stated})`
  return `CASE WHEN ${role} = 'primary' THEN 'primary'
    WHEN contains(${role}, 'replica') OR contains(${role}, 'standby') OR ${role} = 'secondary' THEN 'replica' END`
}

/** Exports of a Log Analytics workspace: the tables AzureDiagnostics, whose names have their types, and PGSQLServerLogs. */
export const logAnalytics: Shape = {
  name: 'log-analytics',
  matches: (at) =>
    `${at('TimeGenerated')} IS NOT NULL AND (${at('errorLevel_s')} IS NOT NULL OR ${at('ErrorLevel')} IS NOT NULL) AND ${at('Message')} IS NOT NULL`,
  prefixed: (at) => at('Message'),
  readsConnectionMessages: true,
  fields: (at, prefix) => {
    const stated = (...keys: string[]): string => firstOf(at, keys)
    return {
      ...textLogFields(prefix),
      event_time_second: stated('timestamp_s', 'TimeGenerated'),
      severity: textSeverity(prefix, stated('errorLevel_s', 'ErrorLevel')),
      sqlstate: `coalesce(${stated('sqlerrcode_s', 'SqlErrorCode')}, ${prefix('sqlstate')})`,
      message: `coalesce(${prefix('rest')}, ${at('Message')})`,
      ...continuationFields(prefix, {
        detail: stated('detail_s', 'Detail'),
        hint: stated('hint_s', 'Hint'),
        context: stated('context_s', 'Context'),
        statement: stated('statement_s', 'query_s', 'Statement'),
      }),
      backend_type: `coalesce(${stated('backend_type_s', 'BackendType')}, ${prefix('backend_type')})`,
      // The workspace stores the number as a double.
      pid: `coalesce(regexp_replace(${stated('processId_d', 'processId_s', 'ProcessId')}, '[.]0+$', ''), ${prefix('pid')})`,
      query_id: `coalesce(${stated('query_id_s', 'QueryId')}, ${prefix('query_id')})`,
      source_role: roleOf(stated('ReplicaRole_s', 'replicaRole_s', 'ReplicaRole')),
      server_name: `coalesce(${stated('LogicalServerName_s', 'LogicalServerName')},
        lower(regexp_extract(${stated('ResourceId', '_ResourceId')}, '([^/]+)/*$', 1)))`,
    }
  },
}

/** PgBouncer's time, process and level. */
const pooled = '^[^\\n]*?\\[(\\d+)\\] ([A-Z]+) '

/** The log of the flexible server's built-in PgBouncer. */
export const azurePooler: Shape = {
  name: 'azure-pooler',
  matches: (at) => `contains(${at('category')}, 'PGBouncer') AND starts_with(${at('properties')}, '{')`,
  prefixed: (at) => at('properties', 'message'),
  fields: (at, prefix) => {
    const group = (number: number): string =>
      `nullif(regexp_extract(${prefix('head')}, '${pooled}', ${number}), '')`
    const rest = `substring(${prefix('whole')}, length(regexp_extract(${prefix('head')}, '${pooled}', 0)) + 1)`
    return {
      ...poolerFields(rest),
      record_kind: `'pooler'`,
      event_time: `nullif(regexp_extract(${prefix('head')}, '^(\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?:[.]\\d+)? \\S+) ', 1), '')`,
      event_time_second: at('time'),
      severity: `coalesce(${group(2)}, ${at('properties', 'errorLevel')})`,
      pid: group(1),
      ...azureServer(at),
    }
  },
}

/** Rows of the server's statistics: Query Store, sessions, tables and transactions. They have no message. */
export const azureStatistics: Shape = {
  name: 'azure-statistics',
  matches: (at) =>
    `regexp_matches(${at('category')}, 'QueryStore|Sessions|TableStats|Xacts') AND starts_with(${at('properties')}, '{')`,
  fields: (at) => {
    // The flexible server begins the keys with a capital letter, the single server does not.
    const stated = (...keys: string[]): string =>
      firstInside(
        at,
        'properties',
        keys.flatMap((key) => [key, `${key[0]!.toUpperCase()}${key.slice(1)}`]),
      )
    const kinds = [
      ['QueryStore', 'query_store'],
      ['TableStats', 'table_stats'],
      ['Sessions', 'session'],
    ].map(([part, kind]) => `WHEN contains(${at('category')}, '${part}') THEN '${kind}'`)
    return {
      record_kind: `CASE ${kinds.join(' ')} ELSE 'other' END`,
      event_time: at('time'),
      db_name: stated('datname', 'databasename', 'database_name'),
      user_name: stated('usename', 'username', 'user_name'),
      application_name: stated('application_name'),
      client_addr: stated('client_addr'),
      client_port: stated('client_port'),
      backend_type: stated('backend_type'),
      pid: stated('pid', 'process_id'),
      // A number of 19 digits is also written as a string.
      query_id: stated('queryid_str', 'queryid', 'query_id'),
      statement: stated('query_sql_text', 'query_text', 'query'),
      session_start: stated('backend_start'),
      ...azureServer(at),
    }
  },
}

/** Azure platform metrics, which share containers with logs. Kept as raw text. */
export const azureMetric: Shape = {
  name: 'azure-metric',
  matches: (at) => `${at('metricName')} IS NOT NULL AND ${at('timeGrain')} IS NOT NULL`,
  fields: () => ({}),
}
