import { version } from '../../package.ts'
import { rejectedRowReasons } from '../../records.ts'
import { type RequestCounts, type RequestKind, requestKinds } from '../../sources/readers/counted-reader.ts'
import type { PipelineCounters } from '../landing-log.ts'
import type { ServerLag } from '../lanes/lane-schedule.ts'
import type { PipelinePulse } from '../pipeline-pulse.ts'
import type { DurationHistogram, PipelineStatistics } from '../pipeline-statistics.ts'

/** The numbers of a pipeline that its metrics show. */
export interface MeasuredPipeline {
  readonly name: string
  readonly counters: PipelineCounters
  readonly statistics: PipelineStatistics
  readonly requests: RequestCounts
  /** Failures that ended a run of the pipeline, by code. */
  readonly failuresByCode: ReadonlyMap<string, number>
  /** Undefined while the pipeline is not open. */
  readonly pulse: PipelinePulse | undefined
  readonly isRunning: boolean
  readonly isReady: boolean
  readonly lagBytes: number
  /** The server with the most bytes first. */
  readonly serverLags: readonly ServerLag[]
  readonly lagSeconds: number
  readonly commitAgeSeconds: number
  /** Time for which rows have waited and none was committed. */
  readonly waitingSeconds: number
  /** Age of a batch that is due, whether rows wait or not. */
  readonly batchAgeSeconds: number
  readonly storageSilentSeconds: number
  readonly openLanes: number
  readonly setAsideBlobs: number
}

/** Prices of requests to blob storage, in US dollars for 10,000 requests. */
export interface RequestPrices {
  readonly per10kReads: number
  readonly per10kListings: number
}

type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number | DurationHistogram]

/** A metric with the samples of every pipeline. */
export interface MetricFamily {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  /** Values of a histogram are a `DurationHistogram`. */
  readonly samples: readonly Sample[]
}

interface Definition {
  readonly type: MetricFamily['type']
  readonly help: string
  readonly samples: (pipeline: MeasuredPipeline, prices: RequestPrices) => readonly Sample[]
}

const one = (value: number | DurationHistogram): readonly Sample[] => [[{}, value]]
const ifKnown = (value: number | undefined): readonly Sample[] => (value === undefined ? [] : one(value))
const by = (label: string, counts: ReadonlyMap<string, number>): readonly Sample[] =>
  [...counts].map(([key, count]) => [{ [label]: key }, count])

/** Servers with samples of their own: a fleet must not become thousands of series. */
const maxServers = 20

/** Every metric of a pipeline; docs/operations.md has a row for each. */
const definitions: Readonly<Record<string, Definition>> = {
  tailrace_pipeline_running: {
    type: 'gauge',
    help: 'Whether the pipeline runs: 0 while it starts, and while it waits to be started again after a failure.',
    samples: ({ isRunning }) => one(isRunning ? 1 : 0),
  },
  tailrace_pipeline_ready: {
    type: 'gauge',
    help: 'Whether /readyz has no reason against the pipeline.',
    samples: ({ isReady }) => one(isReady ? 1 : 0),
  },
  tailrace_pipeline_failures_total: {
    type: 'counter',
    help: 'Failures that ended a run of the pipeline, by code.',
    samples: ({ failuresByCode }) => by('code', failuresByCode),
  },
  tailrace_retries_total: {
    type: 'counter',
    help: 'Requests, commits and loads that failed and were repeated, by error code.',
    samples: ({ statistics }) => by('code', statistics.retriesByCode),
  },
  tailrace_rows_total: {
    type: 'counter',
    help: 'Rows landed, rejected and partial ones included.',
    samples: ({ counters }) => one(counters.rows),
  },
  tailrace_rejected_rows_total: {
    type: 'counter',
    help: 'Rows landed as rejected, by reason.',
    samples: ({ statistics }) =>
      rejectedRowReasons.map((reason) => [{ reason }, statistics.rejectedByReason.get(reason) ?? 0]),
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
  tailrace_encode_duration_seconds: {
    type: 'histogram',
    help: 'Time to encode a batch as Parquet, the wait for other pipelines included.',
    samples: ({ statistics }) => one(statistics.encodeSeconds),
  },
  tailrace_commit_duration_seconds: {
    type: 'histogram',
    help: 'Time to commit a batch, repeated attempts included.',
    samples: ({ statistics }) => one(statistics.commitSeconds),
  },
  tailrace_commit_age_seconds: {
    type: 'gauge',
    help: 'Time since the last commit of this run, or since the process started.',
    samples: ({ commitAgeSeconds }) => one(commitAgeSeconds),
  },
  tailrace_lag_seconds: {
    type: 'gauge',
    help: 'Time since the last instant of which every complete line that storage had has landed; grows while storage does not answer. Lines appended to a closed hour of Azure Monitor count once a listing finds them.',
    samples: ({ lagSeconds }) => one(lagSeconds),
  },
  tailrace_lag_bytes: {
    type: 'gauge',
    help: 'Bytes of the blobs, as last seen, that are not landed yet.',
    samples: ({ lagBytes }) => one(lagBytes),
  },
  tailrace_servers_behind: {
    type: 'gauge',
    help: 'Servers of Azure Monitor with bytes that are not landed yet.',
    samples: ({ serverLags }) =>
      serverLags.length === 0 ? [] : one(serverLags.filter(({ lagBytes }) => lagBytes > 0).length),
  },
  tailrace_server_lag_bytes: {
    type: 'gauge',
    help: `Bytes that are not landed yet, of the ${maxServers} servers of Azure Monitor that have most of them.`,
    samples: ({ serverLags }) =>
      serverLags
        .slice(0, maxServers)
        .flatMap(({ server, lagBytes }): Sample[] => (lagBytes === 0 ? [] : [[{ server }, lagBytes]])),
  },
  tailrace_waiting_rows: {
    type: 'gauge',
    help: 'Rows in batches that are not landed yet.',
    samples: ({ pulse }) => ifKnown(pulse?.waitingRows),
  },
  tailrace_waiting_seconds: {
    type: 'gauge',
    help: 'Time for which rows, or their bytes, have waited and nothing was committed; 0 while none waits.',
    samples: ({ waitingSeconds }) => one(waitingSeconds),
  },
  tailrace_batch_age_seconds: {
    type: 'gauge',
    help: 'Age at which a batch is due, by batch.maxAgeMs or batch.landEvery: alerts allow this time on top.',
    samples: ({ batchAgeSeconds }) => one(batchAgeSeconds),
  },
  tailrace_queued_blobs: {
    type: 'gauge',
    help: 'Blobs that wait for a lane, by queue.',
    samples: ({ pulse }) =>
      pulse === undefined
        ? []
        : Object.entries(pulse.queuedBlobs).map(([queue, count]) => [{ queue }, Number(count)]),
  },
  tailrace_open_lanes: {
    type: 'gauge',
    help: 'Blobs that are being read.',
    samples: ({ openLanes }) => one(openLanes),
  },
  tailrace_set_aside_blobs: {
    type: 'gauge',
    help: 'Blobs that could not be read, and wait to be tried again.',
    samples: ({ setAsideBlobs }) => one(setAsideBlobs),
  },
  tailrace_buffered_bytes: {
    type: 'gauge',
    help: 'Bytes of blobs that were requested, or read and not handed on.',
    samples: ({ pulse }) => ifKnown(pulse?.bufferedBytes),
  },
  tailrace_storage_requests_total: {
    type: 'counter',
    help: 'Requests to the storage that holds the blobs, by their result.',
    samples: ({ requests }) => requestKinds.map((kind) => [{ kind }, requests[kind]]),
  },
  tailrace_storage_cost_usd_total: {
    type: 'counter',
    help: 'Estimated price of the requests, by their result.',
    samples: ({ requests }, prices) =>
      requestKinds.map((kind) => [{ kind }, (requests[kind] * priceOf(kind, prices)) / 10_000]),
  },
  tailrace_storage_bytes_total: {
    type: 'counter',
    help: 'Bytes of blobs received, those read again included.',
    samples: ({ requests }) => one(requests.bytes),
  },
  tailrace_storage_silent_seconds: {
    type: 'gauge',
    help: 'Time for which storage has not answered a request; 0 while it answers.',
    samples: ({ storageSilentSeconds }) => one(storageSilentSeconds),
  },
  tailrace_disk_held: {
    type: 'gauge',
    help: 'Whether the stream is held because disk space is short.',
    samples: ({ pulse }) => one(pulse?.heldSinceMs === undefined ? 0 : 1),
  },
  tailrace_disk_holds_total: {
    type: 'counter',
    help: 'Times that the stream was held because disk space was short.',
    samples: ({ pulse }) => ifKnown(pulse?.holds),
  },
  tailrace_disk_held_seconds_total: {
    type: 'counter',
    help: 'Time for which the stream was held because disk space was short.',
    samples: ({ pulse }) => ifKnown(pulse && pulse.heldMs / 1000),
  },
  tailrace_disk_free_bytes: {
    type: 'gauge',
    help: 'Free bytes, as last measured, of the volume of staging and table that has fewest.',
    samples: ({ pulse }) => ifKnown(pulse?.freeBytes),
  },
  tailrace_disk_min_free_bytes: {
    type: 'gauge',
    help: 'Free bytes below which the stream is held.',
    samples: ({ pulse }) => ifKnown(pulse?.minFreeBytes),
  },
}

/** @returns the estimated price of requests, in US dollars */
export function requestCostUsd(requests: RequestCounts, prices: RequestPrices): number {
  return requestKinds.reduce((sum, kind) => sum + (requests[kind] * priceOf(kind, prices)) / 10_000, 0)
}

/** A request that failed may have been billed, and is counted as a read. */
function priceOf(kind: RequestKind, { per10kReads, per10kListings }: RequestPrices): number {
  return kind === 'list' ? per10kListings : per10kReads
}

/** @returns the metric of the release */
export function buildInfo(): MetricFamily {
  return {
    name: 'tailrace_build_info',
    type: 'gauge',
    help: 'Always 1; its labels are the versions of Tailrace and Node.js.',
    samples: [[{ version, node: process.versions.node }, 1]],
  }
}

/** @returns every metric of the pipelines, each with the label `pipeline` */
export function pipelineFamilies(
  pipelines: readonly MeasuredPipeline[],
  prices: RequestPrices,
): readonly MetricFamily[] {
  return Object.entries(definitions).map(([name, { type, help, samples }]) => ({
    name,
    type,
    help,
    samples: pipelines.flatMap((pipeline) =>
      samples(pipeline, prices).map(
        ([labels, value]): Sample => [{ pipeline: pipeline.name, ...labels }, value],
      ),
    ),
  }))
}
