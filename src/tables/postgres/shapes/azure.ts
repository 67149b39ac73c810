import { once } from '../../sql.ts'
import { csvlogFields } from './csvlog.ts'
import { firstInside, firstOf } from './first-of.ts'
import { continuationFields, isFurtherLine, otherParts, textLogFields, textSeverity } from './log-text.ts'
import { poolerFields } from './pooler.ts'
import type { PrefixValue, Shape, ValueAt } from './shape.ts'

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
  partly: otherParts,
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
  return once(
    'role',
    `lower(${stated})`,
    `CASE WHEN role = 'primary' THEN 'primary'
    WHEN contains(role, 'replica') OR contains(role, 'standby') OR role = 'secondary' THEN 'replica' END`,
  )
}

/** Role and name of the server in the exports of a Log Analytics workspace. */
function exportedServer(at: ValueAt): ReturnType<Shape['fields']> {
  return {
    source_role: roleOf(firstOf(at, ['ReplicaRole_s', 'replicaRole_s', 'ReplicaRole'])),
    server_name: `coalesce(${firstOf(at, ['LogicalServerName_s', 'LogicalServerName'])},
      lower(regexp_extract(${firstOf(at, ['ResourceId', '_ResourceId'])}, '([^/]+)/*$', 1)))`,
  }
}

/** SQL of a process in such an export: the workspace stores numbers as doubles. */
function exportedPid(at: ValueAt, keys: readonly string[]): string {
  return `regexp_replace(${firstOf(at, keys)}, '[.]0+$', '')`
}

/** Exports of a Log Analytics workspace: the tables AzureDiagnostics, whose names have their types, and PGSQLServerLogs. */
export const logAnalytics: Shape = {
  name: 'log-analytics',
  matches: (at) =>
    `${at('TimeGenerated')} IS NOT NULL AND (${at('errorLevel_s')} IS NOT NULL OR ${at('ErrorLevel')} IS NOT NULL) AND ${at('Message')} IS NOT NULL`,
  // Of the single server, the prefix has a column of its own.
  prefixed: (at) =>
    `CASE WHEN ${at('prefix_s')} IS NULL THEN ${at('Message')} ELSE ${at('prefix_s')} || ${at('Message')} END`,
  readsConnectionMessages: true,
  partly: otherParts,
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
      internal_query: `coalesce(${stated('Query')}, ${prefixedQuery(prefix)})`,
      backend_type: `coalesce(${stated('backend_type_s', 'BackendType')}, ${prefix('backend_type')})`,
      pid: `coalesce(${exportedPid(at, ['processId_d', 'processId_s', 'ProcessId'])}, ${prefix('pid')})`,
      query_id: `coalesce(${stated('query_id_s', 'QueryId')}, ${prefix('query_id')})`,
      ...exportedServer(at),
    }
  },
}

/** SQL of the kind of a row of statistics, by the name of its category or table. */
function statisticsKind(name: string): string {
  const kinds = [
    ['QueryStore', 'query_store'],
    ['TableStats', 'table_stats'],
    ['AutovacuumStats', 'table_stats'],
    ['Sessions', 'session'],
  ].map(([part, kind]) => `WHEN contains(${name}, '${part}') THEN '${kind}'`)
  return `CASE ${kinds.join(' ')} ELSE 'other' END`
}

/**
 * The statistics in such exports: rows of AzureDiagnostics, or of the tables of one category each
 * (https://learn.microsoft.com/azure/azure-monitor/reference/tables/pgsqlserverlogs and its neighbors, read 2026-11).
 */
export const logAnalyticsStatistics: Shape = {
  name: 'log-analytics-statistics',
  matches: (at) =>
    `${at('TimeGenerated')} IS NOT NULL AND (starts_with(${at('Type')}, 'PGSQL') OR regexp_matches(${at('Category')}, '^(?:PostgreSQL.*|QueryStore.*)(?:QueryStore|Sessions|TableStats|Xacts|Statistics)'))`,
  fields: (at) => ({
    record_kind: statisticsKind(`concat(${at('Type')}, ' ', ${at('Category')})`),
    event_time: at('TimeGenerated'),
    db_name: firstOf(at, ['DatabaseName', 'Datname_s', 'datname_s', 'db_name_s']),
    user_name: firstOf(at, ['UserName', 'Usename_s', 'usename_s']),
    application_name: firstOf(at, ['ApplicationName', 'Application_name_s', 'application_name_s']),
    client_addr: firstOf(at, ['ClientIpAddress', 'Client_addr_s', 'client_addr_s']),
    client_port: exportedPid(at, ['Client_port_d', 'client_port_d']),
    backend_type: firstOf(at, ['BackendType', 'Backend_type_s', 'backend_type_s']),
    pid: exportedPid(at, ['ProcessId', 'Pid_d', 'pid_d']),
    // As a double, the number is not exact.
    query_id: firstOf(at, ['QueryId', 'Queryid_str_s', 'queryid_str_s', 'Queryid_s', 'query_id_s']),
    statement: firstOf(at, ['QueryText', 'Query_sql_text_s', 'query_sql_text_s']),
    session_start: firstOf(at, ['BackendStartTime', 'Backend_start_t', 'Backend_start_s', 'backend_start_t']),
    ...exportedServer(at),
  }),
}

/** PgBouncer's log in such exports. */
export const logAnalyticsPooler: Shape = {
  name: 'log-analytics-pooler',
  matches: (at) =>
    `${at('TimeGenerated')} IS NOT NULL AND ${at('Message')} IS NOT NULL AND (${at('Type')} = 'PGSQLPgBouncer' OR contains(${at('Category')}, 'PGBouncer'))`,
  prefixed: (at) => at('Message'),
  fields: (at, prefix) => ({
    ...pooledFields(prefix, at('TimeGenerated'), firstOf(at, ['ErrorLevel', 'errorLevel_s'])),
    ...exportedServer(at),
  }),
}

/**
 * EDB's BigAnimal in such exports: CloudNativePG's records, with the names of all levels in one
 * (https://www.enterprisedb.com/docs/biganimal/latest/using_cluster/05_monitoring_and_logging/, read 2026-11).
 */
export const bigAnimal: Shape = {
  name: 'big-animal',
  matches: (at) => `${at('record_log_time_s')} IS NOT NULL`,
  fields: (at) => ({
    ...csvlogFields((column) => at(`record_${column}_s`)),
    server_name: at('logging_pod_s'),
  }),
}

function prefixedQuery(prefix: PrefixValue): string {
  return continuationFields(prefix, {}).internal_query!
}

/** PgBouncer's time, process and level. */
const pooled = '^[^\\n]*?\\[(\\d+)\\] ([A-Z]+) '

/** The log of the flexible server's built-in PgBouncer. */
export const azurePooler: Shape = {
  name: 'azure-pooler',
  matches: (at) => `contains(${at('category')}, 'PGBouncer') AND starts_with(${at('properties')}, '{')`,
  prefixed: (at) => at('properties', 'message'),
  fields: (at, prefix) => ({
    ...pooledFields(prefix, at('time'), at('properties', 'errorLevel')),
    ...azureServer(at),
  }),
}

/** Fields of a text of PgBouncer. @param time SQL of a second time @param level SQL of the level for a text without one */
function pooledFields(prefix: PrefixValue, time: string, level: string): ReturnType<Shape['fields']> {
  const group = (number: number): string =>
    `nullif(regexp_extract(${prefix('head')}, '${pooled}', ${number}), '')`
  const rest = `substring(${prefix('whole')}, length(regexp_extract(${prefix('head')}, '${pooled}', 0)) + 1)`
  return {
    ...poolerFields(rest),
    record_kind: `'pooler'`,
    event_time: `nullif(regexp_extract(${prefix('head')}, '^(\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?:[.]\\d+)? \\S+) ', 1), '')`,
    event_time_second: time,
    severity: `coalesce(${group(2)}, ${level})`,
    pid: group(1),
  }
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
    return {
      record_kind: statisticsKind(at('category')),
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
