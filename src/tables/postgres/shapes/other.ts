import type { Shape } from './shape.ts'

/** Lines of the CloudNativePG operator, which are mixed with those of the server. */
export const cloudnativepgOperator: Shape = {
  name: 'cloudnativepg-operator',
  matches: (at) =>
    `(${at('logger')} IS NOT NULL OR ${at('logging_pod')} IS NOT NULL) AND ${at('msg')} IS NOT NULL AND ${at('record')} IS NULL`,
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

/** wal2json, format version 1: a whole transaction in one object. Its command and table are those of all its changes. */
export const wal2jsonTransaction: Shape = {
  name: 'wal2json-transaction',
  matches: (at) => `starts_with(${at('change')}, '[')`,
  fields: (at) => {
    const only = (path: string): string => {
      const values = `list_distinct(json_extract_string(${at('change')}, '$[*].${path}'))`
      return `CASE WHEN len(${values}) = 1 THEN ${values}[1] END`
    }
    return {
      event_time: at('timestamp'),
      txid: at('xid'),
      command_tag: `upper(${only('kind')})`,
      object_name: `${only('schema')} || '.' || ${only('table')}`,
    }
  },
}

/** Debezium's change events, with or without their schema. */
export const debezium: Shape = {
  name: 'debezium',
  matches: (at) =>
    `(${at('source', 'connector')} = 'postgresql' AND ${at('op')} IS NOT NULL) OR (${at('payload', 'source', 'connector')} = 'postgresql' AND ${at('payload', 'op')} IS NOT NULL)`,
  fields: (at) => {
    const of = (...keys: string[]): string => `coalesce(${at(...keys)}, ${at('payload', ...keys)})`
    return {
      event_time: of('source', 'ts_ms'),
      event_time_second: of('ts_ms'),
      txid: of('source', 'txId'),
      command_tag: `CASE ${of('op')} WHEN 'c' THEN 'INSERT' WHEN 'u' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
        WHEN 't' THEN 'TRUNCATE' WHEN 'r' THEN 'READ' WHEN 'm' THEN 'MESSAGE' END`,
      object_name: `${of('source', 'schema')} || '.' || ${of('source', 'table')}`,
      db_name: of('source', 'db'),
      server_name: of('source', 'name'),
    }
  },
}

/** Text of test_decoding, with its position and transaction around it. */
export const testDecoding: Shape = {
  name: 'test-decoding',
  matches: (at) => `${at('lsn')} IS NOT NULL AND ${at('xid')} IS NOT NULL AND ${at('data')} IS NOT NULL`,
  fields: (at) => {
    const change = (group: number): string =>
      `nullif(regexp_extract(left(${at('data')}, 1024), '^table (.+?): (INSERT|UPDATE|DELETE|TRUNCATE):', ${group}), '')`
    return {
      txid: at('xid'),
      command_tag: `coalesce(${change(2)}, nullif(regexp_extract(left(${at('data')}, 32), '^(BEGIN|COMMIT)\\b', 1), ''))`,
      object_name: change(1),
      message: at('data'),
    }
  },
}

/** Records of pg_turret. */
export const pgTurret: Shape = {
  name: 'pg-turret',
  matches: (at) =>
    `${at('sqlerrcode')} IS NOT NULL AND ${at('message')} IS NOT NULL AND ${at('pid')} IS NOT NULL`,
  fields: (at) => ({
    event_time: at('timestamp'),
    severity: at('level'),
    sqlstate: at('sqlerrcode'),
    message: at('message'),
    detail: at('detail'),
    hint: at('hint'),
    context: at('context'),
    statement: at('query'),
    db_name: at('database'),
    user_name: at('user'),
    application_name: at('app'),
    client_addr: at('client_host'),
    backend_type: at('backend_type'),
    pid: at('pid'),
    server_name: at('host'),
  }),
}
