import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { type RequestCounts, requestKinds } from '../sources/readers/counted-reader.ts'
import type { PipelineCounters } from './landing-log.ts'

/** The current state of a pipeline. */
export interface PipelineGauges {
  readonly isRunning: boolean
  /** Bytes of its blobs, as last seen, that are not landed yet. */
  readonly lagBytes: number
  /** Blobs that are being read. */
  readonly openLanes: number
  /** Blobs that are set aside and read again later. */
  readonly setAsideBlobs: number
}

/** The numbers of a pipeline that its metrics show. */
export interface MeasuredPipeline {
  readonly name: string
  readonly counters: PipelineCounters
  readonly requests: RequestCounts
  /** Failures that ended a run of the pipeline, by code. */
  readonly failuresByCode: ReadonlyMap<string, number>
  readonly gauges: PipelineGauges
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

interface Metric {
  readonly type: 'counter' | 'gauge'
  readonly help: string
  /** Labels besides `pipeline`. */
  readonly labels?: readonly string[]
  readonly samples: (pipeline: MeasuredPipeline) => readonly Sample[]
}

const one = (value: number): readonly Sample[] => [[{}, value]]

/** Every metric of a pipeline; docs/operations.md has a row for each. */
const metrics: Readonly<Record<string, Metric>> = {
  tailrace_rows_total: {
    type: 'counter',
    help: 'Rows landed, rejected and partial ones included.',
    samples: ({ counters }) => one(counters.rows),
  },
  tailrace_rejected_rows_total: {
    type: 'counter',
    help: 'Rows landed as rejected.',
    samples: ({ counters }) => one(counters.rejected),
  },
  tailrace_partial_rows_total: {
    type: 'counter',
    help: 'Rows landed with a value that did not fit its column.',
    samples: ({ counters }) => one(counters.partial),
  },
  tailrace_source_bytes_total: {
    type: 'counter',
    help: 'Bytes of blobs landed.',
    samples: ({ counters }) => one(counters.bytes),
  },
  tailrace_batches_total: {
    type: 'counter',
    help: 'Batches landed, each in one commit.',
    samples: ({ counters }) => one(counters.batches),
  },
  tailrace_storage_requests_total: {
    type: 'counter',
    help: 'Requests to the storage that holds the blobs, by their result.',
    labels: ['kind'],
    samples: ({ requests }) => requestKinds.map((kind) => [{ kind }, requests[kind]]),
  },
  tailrace_storage_bytes_total: {
    type: 'counter',
    help: 'Bytes of blobs received, those read again included.',
    samples: ({ requests }) => one(requests.bytes),
  },
  tailrace_pipeline_running: {
    type: 'gauge',
    help: 'Whether the pipeline runs: 0 while it starts, and while it waits to be started again after a failure.',
    samples: ({ gauges }) => one(gauges.isRunning ? 1 : 0),
  },
  tailrace_pipeline_failures_total: {
    type: 'counter',
    help: 'Failures that ended a run of the pipeline, by code.',
    labels: ['code'],
    samples: ({ failuresByCode }) => [...failuresByCode].map(([code, count]) => [{ code }, count]),
  },
  tailrace_lag_bytes: {
    type: 'gauge',
    help: 'Bytes of the blobs, as last seen, that are not landed yet.',
    samples: ({ gauges }) => one(gauges.lagBytes),
  },
  tailrace_open_lanes: {
    type: 'gauge',
    help: 'Blobs that are being read.',
    samples: ({ gauges }) => one(gauges.openLanes),
  },
  tailrace_set_aside_blobs: {
    type: 'gauge',
    help: 'Blobs that could not be read, and wait to be tried again.',
    samples: ({ gauges }) => one(gauges.setAsideBlobs),
  },
}

/**
 * The state of pipelines and of this process in the format of Prometheus.
 *
 * Nothing is counted here: each exposition reads the pipelines' own counters. Labels are pipeline names, request kinds and
 * error codes only, so no other configured value and no log content can get into them.
 */
export class Metrics {
  #registry = new Registry()
  #pipelines: () => Iterable<MeasuredPipeline>
  #setters: readonly { reset(): void; set(pipeline: MeasuredPipeline): void }[]

  /** @param pipelines called for each exposition */
  constructor(pipelines: () => Iterable<MeasuredPipeline>) {
    this.#pipelines = pipelines
    collectDefaultMetrics({ register: this.#registry })
    this.#setters = Object.entries(metrics).map(([name, { type, help, labels = [], samples }]) => {
      const options = { name, help, labelNames: ['pipeline', ...labels], registers: [this.#registry] }
      const metric = type === 'counter' ? new Counter(options) : new Gauge(options)
      return {
        reset: () => metric.reset(),
        // A counter cannot be set, but after a reset an increase is the same.
        set: (pipeline) => {
          for (const [more, value] of samples(pipeline))
            metric.inc({ pipeline: pipeline.name, ...more }, value)
        },
      }
    })
  }

  /** The media type of `exposition`. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** One sample of everything, in the Prometheus text format. */
  async exposition(): Promise<string> {
    for (const setter of this.#setters) setter.reset()
    for (const pipeline of this.#pipelines()) for (const setter of this.#setters) setter.set(pipeline)
    return this.#registry.metrics()
  }
}
