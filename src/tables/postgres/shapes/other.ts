import type { Shape } from './shape.ts'

/** Lines of the CloudNativePG operator, which are mixed with those of the server. */
export const cloudnativepgOperator: Shape = {
  name: 'cloudnativepg-operator',
  matches: (at) =>
    `(${at('logger')} IS NOT NULL OR ${at('logging_pod')} IS NOT NULL) AND ${at('msg')} IS NOT NULL AND ${at('record')} IS NULL`,
  fields: (at) => ({
    record_kind: `'operator'`,
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
