import type { Shape } from './shape.ts'

/** Lines of the CloudNativePG operator between those of the server. */
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

/** OpenTelemetry's JSON: many records of many resources in one object. Kept as raw text. */
export const otlp: Shape = {
  name: 'otlp',
  matches: (at) => `${at('resourceLogs')} IS NOT NULL`,
  fields: () => ({}),
}
