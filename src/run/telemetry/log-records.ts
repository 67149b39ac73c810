import type { JsonLogsSerializer } from '@opentelemetry/otlp-transformer'
import type { Resource } from '@opentelemetry/resources'
import { version } from '../../package.ts'
import { nanosecondsOf } from './instants.ts'
import { parsedLogLine } from './log-line.ts'
import { traceIdentity } from './trace-identity.ts'

/** A log record in OpenTelemetry's form. */
export type OtlpLogRecord = Parameters<typeof JsonLogsSerializer.serializeRequest>[0][number]

/** One object for all records, which are grouped by it. */
const scope = { name: 'tailrace', version }

/** OpenTelemetry's number of each level: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber */
const severities: Readonly<Record<string, number>> = {
  trace: 1,
  debug: 5,
  info: 9,
  warn: 13,
  error: 17,
  fatal: 21,
}

/**
 * @param line one line of the JSON log, with secrets masked
 * @returns the record; one that names its batch belongs to the trace of the batch
 */
export function logRecord(line: string, resource: Resource, nowMs: number): OtlpLogRecord {
  const { level, time, msg, ...attributes } = parsedLogLine(line)
  const atMs = Date.parse(String(time))
  return {
    hrTime: nanosecondsOf(Number.isNaN(atMs) ? nowMs : atMs),
    hrTimeObserved: nanosecondsOf(nowMs),
    severityText: String(level),
    severityNumber: severities[String(level)] ?? 0,
    body: String(msg ?? ''),
    attributes: { ...attributes, ...exceptionOf(attributes.err) } as OtlpLogRecord['attributes'],
    droppedAttributesCount: 0,
    resource,
    instrumentationScope: scope,
    ...(typeof attributes.batch === 'string'
      ? { spanContext: { ...traceIdentity(attributes.batch), traceFlags: 1 } }
      : undefined),
  }
}

/** The error under the names that backends know: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-logs/ */
function exceptionOf(error: unknown): object {
  if (typeof error !== 'object' || error === null) return {}
  const { code, name, message, stack } = error as Readonly<Record<string, unknown>>
  return {
    'exception.type': code ?? name,
    'exception.message': message,
    ...(stack === undefined ? undefined : { 'exception.stacktrace': stack }),
  }
}
