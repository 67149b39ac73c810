import { hostname } from 'node:os'
import { DiagLogLevel, diag } from '@opentelemetry/api'
import {
  JsonLogsSerializer,
  JsonMetricsSerializer,
  JsonTraceSerializer,
  ProtobufLogsSerializer,
  ProtobufMetricsSerializer,
  ProtobufTraceSerializer,
} from '@opentelemetry/otlp-transformer'
import { detectResources, envDetector, type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import type { Clock } from '../../clock.ts'
import type { Environment } from '../../config/environment.ts'
import { version } from '../../package.ts'
import type { FailedBatch, LandedBatch } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { MetricFamily } from '../monitoring/metric-families.ts'
import { BatchTraces } from './batch-traces.ts'
import { ExportQueue } from './export-queue.ts'
import type { OtlpEncoding, Signal } from './exported-signals.ts'
import { logRecord, type OtlpLogRecord } from './log-records.ts'
import { type OtlpMetrics, otlpMetrics } from './metric-data.ts'
import { otlpTarget, sendOtlp } from './otlp-request.ts'
import type { RunTelemetry, TelemetryCounts } from './run-telemetry.ts'

export interface OtlpTelemetryOptions {
  /** The signals to send. */
  readonly encodings: ReadonlyMap<Signal, OtlpEncoding>
  readonly environment: Environment
  readonly clock: Clock
  /** For failures to send; its records are sent, too. */
  readonly logger: Logger
}

const serializers = {
  traces: { json: JsonTraceSerializer, protobuf: ProtobufTraceSerializer },
  metrics: { json: JsonMetricsSerializer, protobuf: ProtobufMetricsSerializer },
  logs: { json: JsonLogsSerializer, protobuf: ProtobufLogsSerializer },
} as const

/**
 * The defaults of OpenTelemetry's variables for batches, and their names:
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ (read 2026-11-29)
 */
const batching = {
  traces: { prefix: 'OTEL_BSP', delayMs: 5_000 },
  logs: { prefix: 'OTEL_BLRP', delayMs: 1_000 },
} as const
const defaultMaxItems = 2_048
const defaultMaxBatchItems = 512
const defaultMetricIntervalMs = 60_000

/** Sends logs, metrics and one trace per batch by OTLP over HTTP. */
export class OtlpTelemetry implements RunTelemetry {
  readonly #options: OtlpTelemetryOptions
  readonly #resource: Resource
  readonly #startedAtMs: number
  readonly #traces: ExportQueue<ReadableSpan> | undefined
  readonly #batches: BatchTraces | undefined
  readonly #logs: ExportQueue<OtlpLogRecord> | undefined
  readonly #metrics: ExportQueue<OtlpMetrics> | undefined
  #collect: (() => readonly MetricFamily[]) | undefined
  #cancelTimer = (): void => {}

  constructor(options: OtlpTelemetryOptions) {
    const { encodings, logger } = options
    const warn = (...words: readonly unknown[]): void => logger.warn(`OpenTelemetry: ${words.join(' ')}`)
    diag.setLogger(
      { error: warn, warn, info: () => {}, debug: () => {}, verbose: () => {} },
      DiagLogLevel.WARN,
    )
    this.#options = options
    this.#startedAtMs = options.clock.now()
    this.#resource = resourceOf(options.environment)
    if (encodings.has('traces')) {
      this.#traces = this.#batchedQueue('traces', (spans: readonly ReadableSpan[]) => [...spans])
      this.#batches = new BatchTraces(this.#resource, (span) => this.#traces?.add(span))
    }
    if (encodings.has('logs'))
      this.#logs = this.#batchedQueue('logs', (records: readonly OtlpLogRecord[]) => [...records])
    if (encodings.has('metrics'))
      // Only the newest figures count, so one set waits while another one is sent.
      this.#metrics = this.#queue('metrics', ([one]: readonly OtlpMetrics[]) => one!, {
        maxItems: 2,
        maxBatchItems: 1,
        delayMs: 0,
      })
  }

  get counts(): TelemetryCounts {
    const queues = { traces: this.#traces, metrics: this.#metrics, logs: this.#logs }
    return Object.entries(queues).flatMap(([signal, queue]) =>
      queue === undefined ? [] : [[signal, queue.counts] as const],
    )
  }

  write(line: string): void {
    this.#logs?.add(logRecord(line, this.#resource, this.#options.clock.now()))
  }

  landed(pipeline: string, landing: LandedBatch): void {
    this.#batches?.noteLanded(pipeline, landing)
  }

  failed(pipeline: string, failed: FailedBatch): void {
    this.#batches?.noteFailed(pipeline, failed)
  }

  measure(collect: () => readonly MetricFamily[]): void {
    if (this.#metrics === undefined) return
    this.#collect = collect
    this.#measureLater()
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#cancelTimer()
    this.#measureNow()
    await Promise.all([this.#traces, this.#metrics, this.#logs].map((queue) => queue?.close(signal)))
  }

  #measureLater(): void {
    const { environment, clock } = this.#options
    const intervalMs = numberOf(environment, 'OTEL_METRIC_EXPORT_INTERVAL') ?? defaultMetricIntervalMs
    this.#cancelTimer = clock.after(intervalMs, () => {
      this.#measureNow()
      this.#measureLater()
    })
  }

  #measureNow(): void {
    if (this.#collect === undefined) return
    const counted = { startedAtMs: this.#startedAtMs, nowMs: this.#options.clock.now() }
    this.#metrics?.add(otlpMetrics(this.#collect(), this.#resource, counted))
  }

  #batchedQueue<Item, Body>(
    signal: 'traces' | 'logs',
    bodyOf: (items: readonly Item[]) => Body,
  ): ExportQueue<Item> {
    const { prefix, delayMs } = batching[signal]
    const option = (name: string, usual: number): number =>
      numberOf(this.#options.environment, `${prefix}_${name}`) ?? usual
    const maxItems = option('MAX_QUEUE_SIZE', defaultMaxItems)
    return this.#queue(signal, bodyOf, {
      maxItems,
      maxBatchItems: Math.min(maxItems, option('MAX_EXPORT_BATCH_SIZE', defaultMaxBatchItems)),
      delayMs: option('SCHEDULE_DELAY', delayMs),
    })
  }

  #queue<Item, Body>(
    signal: Signal,
    bodyOf: (items: readonly Item[]) => Body,
    limits: { readonly maxItems: number; readonly maxBatchItems: number; readonly delayMs: number },
  ): ExportQueue<Item> {
    const { encodings, clock, logger } = this.#options
    const encoding = encodings.get(signal)!
    const target = otlpTarget(signal, encoding)
    const serializer = serializers[signal][encoding] as Serializer<Body>
    let hasSaidWhy = false
    return new ExportQueue<Item>({
      ...limits,
      name: signal,
      send: async (items, aborted) => {
        const body = serializer.serializeRequest(bodyOf(items))
        if (body === undefined) return 0
        const answer = await sendOtlp(target, body, { signal: aborted, clock })
        const { count, reason } = refusalOf(serializer, answer)
        if (count > 0 && !hasSaidWhy) {
          hasSaidWhy = true
          logger.warn({ refused: count, reason }, `${signal} were refused by the collector: they are dropped`)
        }
        return count
      },
      clock,
      logger,
    })
  }
}

interface Serializer<Body> {
  serializeRequest(body: Body): Uint8Array | undefined
  deserializeResponse(answer: Uint8Array): {
    readonly partialSuccess?: Readonly<Record<string, unknown>> | undefined
  }
}

/** What a collector refused of a request that it accepted, and its reason. */
interface Refusal {
  readonly count: number
  readonly reason?: unknown
}

/** A collector may accept a request and refuse some of its records. */
function refusalOf(serializer: Serializer<never>, answer: Buffer): Refusal {
  if (answer.length === 0) return { count: 0 }
  try {
    const { errorMessage: reason, ...counts } = serializer.deserializeResponse(answer).partialSuccess ?? {}
    // In JSON, a number of 64 bits is a text: https://protobuf.dev/programming-guides/json/
    const count = Number(Object.values(counts)[0] ?? 0)
    return { count: Number.isSafeInteger(count) ? count : 0, reason }
  } catch {
    // An answer in another encoding than that of the request is accepted all the same.
    return { count: 0 }
  }
}

/** OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have precedence. */
function resourceOf(environment: Environment): Resource {
  const own = resourceFromAttributes({
    'service.name': 'tailrace',
    'service.version': version,
    'service.instance.id': `${hostname()}-${process.pid}`,
    'host.name': hostname(),
    'process.pid': process.pid,
    'process.runtime.name': 'nodejs',
    'process.runtime.version': process.versions.node,
  })
  const isNamed =
    environment.OTEL_SERVICE_NAME !== undefined || environment.OTEL_RESOURCE_ATTRIBUTES !== undefined
  return isNamed ? own.merge(detectResources({ detectors: [envDetector] })) : own
}

function numberOf(environment: Environment, name: string): number | undefined {
  const text = environment[name]?.trim() ?? ''
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined
}
