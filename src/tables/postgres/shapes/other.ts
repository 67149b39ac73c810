import type { Shape } from './shape.ts'

/** Lines of the CloudNativePG operator, which are mixed with those of the server. */
export const cloudnativepgOperator: Shape = {
  name: 'cloudnativepg-operator',
  matches: (at) => `${at('logger')} IS NOT NULL AND ${at('msg')} IS NOT NULL AND ${at('record')} IS NULL`,
  fields: (at) => ({
    event_time: at('ts'),
    severity: at('level'),
    message: at('msg'),
    server_name: at('logging_pod'),
  }),
}

/** OpenTelemetry's JSON, with many records of many resources in one object. Stored as raw text only. */
export const otlp: Shape = {
  name: 'otlp',
  matches: (at) => `${at('resourceLogs')} IS NOT NULL`,
  fields: () => ({}),
}

/** wal2json, format version 2: one change per record. */
export const wal2json: Shape = {
  name: 'wal2json',
  matches: (at) => `${at('action')} IN ('B', 'C', 'I', 'U', 'D', 'T', 'M')`,
  fields: (at) => ({
    event_time: at('timestamp'),
    txid: at('xid'),
    command_tag: `CASE ${at('action')} WHEN 'I' THEN 'INSERT' WHEN 'U' THEN 'UPDATE' WHEN 'D' THEN 'DELETE'
      WHEN 'T' THEN 'TRUNCATE' WHEN 'B' THEN 'BEGIN' WHEN 'C' THEN 'COMMIT' ELSE 'MESSAGE' END`,
    message: `CASE WHEN ${at('action')} = 'M' THEN ${at('content')} END`,
    object_name: `${at('schema')} || '.' || ${at('table')}`,
  }),
}

/** wal2json, format version 1: a whole transaction in one object. Stored as raw text only. */
export const wal2jsonTransaction: Shape = {
  name: 'wal2json-transaction',
  matches: (at) => `starts_with(${at('change')}, '[')`,
  fields: () => ({}),
}
