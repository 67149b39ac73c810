import {
  type Attributes,
  ROOT_CONTEXT,
  type Span,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import { BasicTracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { isTailraceError } from '../../errors.ts'
import { version } from '../../package.ts'
import { type Batch, type FailedBatch, generationKey, type LandedBatch, spanBytes } from '../../records.ts'
import { redactSecrets } from '../../reporting/redact.ts'
import { randomSpanId, traceIdentity } from './trace-identity.ts'

/** Ranges that a span lists; a batch can hold hundreds. */
const maxListedRanges = 100

/**
 * Makes one trace of each batch: `land batch`, from the arrival of its first block to its commit, with `read`, `encode` and
 * `commit` inside. The sampler and the limits of spans are those of OpenTelemetry's variables.
 */
export class BatchTraces {
  readonly #tracer: Tracer
  /** Of the span that is created next. */
  #nextTraceId = ''
  #nextSpanId: string | undefined

  /** @param onSpan called with each span that is sampled and complete */
  constructor(resource: Resource, onSpan: (span: ReadableSpan) => void) {
    const provider = new BasicTracerProvider({
      resource,
      idGenerator: {
        generateTraceId: () => this.#nextTraceId,
        generateSpanId: () => {
          const id = this.#nextSpanId ?? randomSpanId()
          this.#nextSpanId = undefined
          return id
        },
      },
      spanProcessors: [
        {
          onStart: () => {},
          onEnd: onSpan,
          forceFlush: async () => {},
          shutdown: async () => {},
        },
      ],
    })
    this.#tracer = provider.getTracer('tailrace', version)
  }

  noteLanded(pipeline: string, landing: LandedBatch): void {
    const { batch, startedAtMs, encodeMs, commitMs, failedAttempts, ...landed } = landing
    const encodedAtMs = startedAtMs + encodeMs
    const landedAtMs = encodedAtMs + commitMs
    const root = this.#begin(pipeline, batch, {
      'tailrace.batch.rows': landed.rows,
      'tailrace.batch.rejected_rows': landed.rejected,
      'tailrace.batch.partial_rows': landed.partial,
      'tailrace.batch.file_bytes': landed.fileBytes,
      'tailrace.table.version': landed.tableVersion,
    })
    this.#step(root, 'encode', startedAtMs).end(encodedAtMs)
    const commit = this.#step(root, 'commit', encodedAtMs)
    for (const { atMs, error } of failedAttempts)
      commit.addEvent('attempt failed', errorAttributes(error), atMs)
    commit.end(landedAtMs)
    root.end(landedAtMs)
  }

  noteFailed(pipeline: string, { batch, failedAtMs, error }: FailedBatch): void {
    const root = this.#begin(pipeline, batch, {})
    const { 'exception.message': message } = errorAttributes(error)
    for (const span of [this.#step(root, 'land', batch.sealedAtMs), root]) {
      span.addEvent('exception', errorAttributes(error), failedAtMs)
      span.setStatus({ code: SpanStatusCode.ERROR, message })
      span.end(failedAtMs)
    }
  }

  #begin(pipeline: string, batch: Batch, attributes: Attributes): Span {
    const { spans, openedAtMs, sealedAtMs } = batch
    const { traceId, spanId } = traceIdentity(batch.id)
    this.#nextTraceId = traceId
    this.#nextSpanId = spanId
    const ranges = spans.slice(0, maxListedRanges)
    const root = this.#tracer.startSpan(
      'land batch',
      {
        root: true,
        startTime: openedAtMs,
        attributes: {
          'tailrace.pipeline': pipeline,
          'tailrace.batch.id': batch.id,
          'tailrace.batch.bytes': spans.reduce((sum, span) => sum + spanBytes(span), 0),
          'tailrace.blob_count': spans.length,
          'tailrace.blobs': ranges.map(generationKey),
          'tailrace.offsets.start': ranges.map(({ start }) => start),
          'tailrace.offsets.end': ranges.map(({ end }) => end),
          ...attributes,
        },
      },
      ROOT_CONTEXT,
    )
    this.#step(root, 'read', openedAtMs).end(sealedAtMs)
    return root
  }

  #step(root: Span, name: string, startTime: number): Span {
    return this.#tracer.startSpan(name, { startTime }, trace.setSpan(ROOT_CONTEXT, root))
  }
}

/** By OpenTelemetry's conventions for exceptions, without secrets. */
function errorAttributes(error: unknown) {
  const { name, message } = error instanceof Error ? error : { name: 'Error', message: String(error) }
  return {
    'exception.type': isTailraceError(error) ? error.code : name,
    'exception.message': redactSecrets(message.split('\n', 1)[0] ?? ''),
  }
}
