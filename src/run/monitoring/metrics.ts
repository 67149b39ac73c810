import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import type { MetricFamily } from './metric-families.ts'

/** Gauges that are named like counters, which `promtool check metrics` refuses. */
const misnamed = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

/** What a registry asks of a metric: its samples at this moment. */
interface RegistryMetric {
  readonly name: string
  get(): Promise<{
    readonly name: string
    readonly help: string
    readonly type: MetricFamily['type']
    readonly values: readonly RegistrySample[]
  }>
}

interface RegistrySample {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/**
 * The state of pipelines and of this process in the format of Prometheus.
 *
 * Nothing is counted here: each exposition reads the pipelines' own counters. Labels are pipeline names, ids
 * of servers in the names of blobs, and words of this program such as error codes, so no other configured value and no log
 * content can get into them.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #families: () => readonly MetricFamily[]

  /** @param families called for each exposition */
  constructor(families: () => readonly MetricFamily[]) {
    this.#families = families
    collectDefaultMetrics({ register: this.#registry })
    for (const name of misnamed) this.#registry.removeSingleMetric(name)
  }

  /** The media type of `exposition`. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** One sample of everything, in the Prometheus text format. */
  async exposition(): Promise<string> {
    const registry = new Registry()
    for (const family of this.#families()) {
      const metric: RegistryMetric = { name: family.name, get: async () => described(family) }
      // The library's own classes count by themselves, and a histogram of theirs takes no finished counts.
      registry.registerMetric(metric as unknown as Metric)
    }
    return `${await registry.metrics()}\n${await this.#registry.metrics()}`
  }
}

function described({ name, help, type, samples }: MetricFamily) {
  const values = samples.flatMap(([labels, value]): readonly RegistrySample[] => {
    if (typeof value === 'number') return [{ labels, value }]
    let cumulative = 0
    const buckets = value.buckets.map(({ boundSeconds, count }): RegistrySample => {
      cumulative += count
      return { metricName: `${name}_bucket`, labels: { ...labels, le: boundSeconds }, value: cumulative }
    })
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: value.count },
      { metricName: `${name}_sum`, labels, value: value.sumSeconds },
      { metricName: `${name}_count`, labels, value: value.count },
    ]
  })
  return { name, help, type, values }
}
