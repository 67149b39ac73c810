import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Environment } from '../../../src/config/environment.ts'
import { exportedSignals } from '../../../src/run/telemetry/exported-signals.ts'

const endpoint = 'http://127.0.0.1:4318'

test('the standard variables decide which signals are sent, and how', () => {
  const all = { traces: 'protobuf', metrics: 'protobuf', logs: 'protobuf' }
  const cases: [Environment, object][] = [
    [{}, {}],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }, {}],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }, all],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: 'TRUE' }, {}],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SDK_DISABLED: 'false' }, all],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_EXPORTER: 'none' },
      { metrics: 'protobuf', logs: 'protobuf' },
    ],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_LOGS_EXPORTER: 'console, otlp',
        OTEL_METRICS_EXPORTER: 'prometheus',
      },
      { traces: 'protobuf', logs: 'protobuf' },
    ],
    [{ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${endpoint}/logs` }, { logs: 'protobuf' }],
    [
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
      },
      { ...all, metrics: 'json', logs: 'json' },
    ],
  ]
  for (const [environment, expected] of cases) {
    const { encodings, mistakes } = exportedSignals(environment)
    assert.deepEqual(Object.fromEntries(encodings), expected, JSON.stringify(environment))
    assert.deepEqual(mistakes, [])
  }
})

test('a protocol that is not there and an endpoint that is no URL are mistakes of their signals only', () => {
  const grpc = exportedSignals({
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'grpc',
  })
  assert.deepEqual([...grpc.encodings.keys()], ['traces', 'metrics'])
  assert.deepEqual(grpc.mistakes, [
    'OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: found grpc, expected http/protobuf or http/json',
  ])
  const wrong = exportedSignals({ OTEL_EXPORTER_OTLP_ENDPOINT: 'user:secret@collector:4318' })
  assert.equal(wrong.encodings.size, 0)
  assert.deepEqual(wrong.mistakes, [
    'OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL that begins with http:// or https://',
  ])
})
