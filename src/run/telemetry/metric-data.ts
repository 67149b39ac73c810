import type { HrTime } from '@opentelemetry/api'
import type { JsonMetricsSerializer } from '@opentelemetry/otlp-transformer'
import type { Resource } from '@opentelemetry/resources'
import { version } from '../../package.ts'
import type { MetricFamily } from '../monitoring/metric-families.ts'
import type { DurationHistogram } from '../pipeline-statistics.ts'
import { nanosecondsOf } from './instants.ts'

/** Metrics in OpenTelemetry's form. */
export type OtlpMetrics = Parameters<typeof JsonMetricsSerializer.serializeRequest>[0]
type OtlpMetric = OtlpMetrics['scopeMetrics'][number]['metrics'][number]

/** Numbers of the SDK's enums, which no package needs to be loaded for. */
const valueTypes = { double: 1 } as const
const dataPointTypes = { histogram: 0, gauge: 2, counter: 3 } as const
const temporalities = { cumulative: 1 } as const

/** When the counting began and when it was read, in milliseconds since the epoch. */
interface CountedTime {
  readonly startedAtMs: number
  readonly nowMs: number
}

/** @returns metrics under the names that `/metrics` has, which a collector's Prometheus exporter keeps */
export function otlpMetrics(
  families: readonly MetricFamily[],
  resource: Resource,
  { startedAtMs, nowMs }: CountedTime,
): OtlpMetrics {
  const [startTime, endTime] = [nanosecondsOf(startedAtMs), nanosecondsOf(nowMs)]
  const metrics = families
    .filter(({ samples }) => samples.length > 0)
    .map((family) => metricOf(family, startTime, endTime))
  return { resource, scopeMetrics: [{ scope: { name: 'tailrace', version }, metrics }] }
}

function metricOf(
  { name, help, type, samples }: MetricFamily,
  startTime: HrTime,
  endTime: HrTime,
): OtlpMetric {
  const dataPoints = samples.map(([labels, value]) => ({
    startTime,
    endTime,
    attributes: { ...labels },
    value: typeof value === 'number' ? value : histogramOf(value),
  }))
  return {
    descriptor: { name, description: help, unit: unitOf(name), valueType: valueTypes.double },
    aggregationTemporality: temporalities.cumulative,
    dataPointType: dataPointTypes[type],
    isMonotonic: type === 'counter',
    dataPoints,
  } as OtlpMetric
}

function histogramOf({ buckets, count, sumSeconds }: DurationHistogram) {
  const counts = buckets.map((bucket) => bucket.count)
  const above = count - counts.reduce((sum, one) => sum + one, 0)
  return {
    buckets: { boundaries: buckets.map(({ boundSeconds }) => boundSeconds), counts: [...counts, above] },
    sum: sumSeconds,
    count,
  }
}

/** The names end with their units, as those of Prometheus. */
function unitOf(name: string): string {
  const bare = name.replace(/_total$/, '')
  if (bare.endsWith('_seconds')) return 's'
  if (bare.endsWith('_bytes')) return 'By'
  return ''
}
