import type { FailedBatch, LandedBatch } from '../../records.ts'
import type { LineOutput } from '../../reporting/logger.ts'
import type { MetricFamily } from '../monitoring/metric-families.ts'
import type { ExportCounts } from './export-queue.ts'

/** What became of the records of each kind: `logs`, `metrics`, `traces`, `log_analytics`. */
export type TelemetryCounts = readonly (readonly [signal: string, counts: ExportCounts])[]

/**
 * Sends what a run logs, measures and lands to another place, in the background. The methods return at once and do not
 * throw: telemetry neither holds back a run nor ends it.
 */
export interface RunTelemetry extends LineOutput {
  landed(pipeline: string, landing: LandedBatch): void
  failed(pipeline: string, failed: FailedBatch): void
  /** For the metrics. */
  readonly counts: TelemetryCounts
  /** Begins to send metrics. @param families called for each time that they are sent */
  measure(families: () => readonly MetricFamily[]): void
  /** Sends the waiting records. Stops when the signal fires, and drops the rest. */
  close(signal: AbortSignal): Promise<void>
}

/** Sends to several places. */
export function joinTelemetry(receivers: readonly RunTelemetry[]): RunTelemetry {
  const each = (work: (receiver: RunTelemetry) => void): void => {
    for (const receiver of receivers) work(receiver)
  }
  return {
    write: (line) => each((receiver) => receiver.write(line)),
    landed: (pipeline, landing) => each((receiver) => receiver.landed(pipeline, landing)),
    failed: (pipeline, failed) => each((receiver) => receiver.failed(pipeline, failed)),
    get counts() {
      return receivers.flatMap((receiver) => receiver.counts)
    },
    measure: (families) => each((receiver) => receiver.measure(families)),
    close: async (signal) => {
      await Promise.all(receivers.map((receiver) => receiver.close(signal)))
    },
  }
}
