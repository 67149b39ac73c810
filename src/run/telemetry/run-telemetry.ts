import type { FailedBatch, LandedBatch } from '../../records.ts'
import type { LineOutput } from '../../reporting/logger.ts'
import type { MetricFamily } from '../monitoring/metric-families.ts'

/**
 * Sends what a run logs, measures and lands to another place, in the background. The methods return at once and do not
 * throw: telemetry neither holds back a run nor ends it.
 */
export interface RunTelemetry extends LineOutput {
  landed(pipeline: string, landing: LandedBatch): void
  failed(pipeline: string, failed: FailedBatch): void
  /** What became of the records to send, for the metrics. */
  readonly families: readonly MetricFamily[]
  /** Begins to send metrics. @param families called for each time that they are sent */
  measure(families: () => readonly MetricFamily[]): void
  /** Sends the waiting records. Stops when the signal fires, and drops the rest. */
  close(signal: AbortSignal): Promise<void>
}
