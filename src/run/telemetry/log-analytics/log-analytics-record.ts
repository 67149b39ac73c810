import { type LogFields, parsedLogLine } from '../log-line.ts'

/**
 * A row of the custom table; `deploy/log-analytics/main.bicep` declares the same columns. The service drops what the stream
 * does not declare, so that everything else is in one dynamic column.
 */
export interface LogAnalyticsRecord extends Record<string, unknown> {
  /** ISO 8601, UTC. */
  readonly TimeGenerated: string
  readonly Level: string
  readonly Message: string
  readonly Pipeline: string | undefined
  readonly Batch: string | undefined
  /** The stable code of the line's error. */
  readonly Code: string | undefined
  readonly Host: string
  readonly Properties: Readonly<Record<string, unknown>>
}

/** @param line one line of the JSON log, with secrets masked */
export function logAnalyticsRecord(line: string, host: string, nowMs: number): LogAnalyticsRecord {
  const { level, time, msg, pipeline, batch, ...others } = parsedLogLine(line)
  const atMs = Date.parse(String(time))
  return {
    TimeGenerated: new Date(Number.isNaN(atMs) ? nowMs : atMs).toISOString(),
    Level: String(level),
    Message: String(msg ?? ''),
    Pipeline: textOf(pipeline),
    Batch: textOf(batch),
    Code: codeOf(others),
    Host: host,
    Properties: others,
  }
}

function codeOf({ err }: LogFields): string | undefined {
  return typeof err === 'object' && err !== null && 'code' in err ? textOf(err.code) : undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
