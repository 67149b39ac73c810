import type { MetricFamily } from '../monitoring/metric-families.ts'
import type { TelemetryCounts } from './run-telemetry.ts'

/** @returns what became of telemetry, for each signal; docs/operations.md has a row for each family */
export function telemetryFamilies(counted: TelemetryCounts): readonly MetricFamily[] {
  return [
    {
      name: 'tailrace_telemetry_sent_total',
      type: 'counter',
      help: 'Log records, spans and sets of metrics sent, by signal.',
      samples: counted.map(([signal, { sent }]) => [{ signal }, sent]),
    },
    {
      name: 'tailrace_telemetry_dropped_total',
      type: 'counter',
      help: 'Log records, spans and sets of metrics dropped, by signal and reason.',
      samples: counted.flatMap(([signal, { overflowed, failed }]) => [
        [{ signal, reason: 'queue_full' }, overflowed],
        [{ signal, reason: 'not_accepted' }, failed],
      ]),
    },
  ]
}
