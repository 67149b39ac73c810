import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'

/** A value of OTLP as JSON: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
interface AnyValue {
  readonly stringValue?: string
  readonly intValue?: string | number
  readonly doubleValue?: number
  readonly boolValue?: boolean
  readonly arrayValue?: { readonly values?: readonly AnyValue[] }
  readonly kvlistValue?: { readonly values?: readonly KeyValue[] }
}

interface KeyValue {
  readonly key: string
  readonly value: AnyValue
}

/** Attributes as plain values. */
export type PlainAttributes = Readonly<Record<string, unknown>>

export interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly startMs: number
  readonly endMs: number
  readonly attributes: PlainAttributes
  readonly events: readonly { readonly name: string; readonly attributes: PlainAttributes }[]
  readonly isError: boolean
  readonly resource: PlainAttributes
}

export interface ReceivedLog {
  readonly severity: string
  readonly severityNumber: number
  readonly body: string
  readonly traceId: string
  readonly attributes: PlainAttributes
  readonly resource: PlainAttributes
}

export interface ReceivedPoint {
  readonly name: string
  readonly unit: string
  readonly kind: 'sum' | 'gauge' | 'histogram'
  readonly attributes: PlainAttributes
  /** Of a histogram, the count. */
  readonly value: number
}

interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A server on loopback that takes OTLP as JSON, from Tailrace or from a collector. */
export interface OtlpReceiver {
  readonly url: string
  readonly requests: readonly Received[]
  /** What it does with requests from now on. Default: it accepts them. */
  answer(how: (response: ServerResponse, path: string) => void): void
  spans(): readonly ReceivedSpan[]
  logs(): readonly ReceivedLog[]
  points(): readonly ReceivedPoint[]
}

const accept = (response: ServerResponse): void => {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
}

export async function startOtlpReceiver(t: TestContext): Promise<OtlpReceiver> {
  const requests: Received[] = []
  let answer: (response: ServerResponse, path: string) => void = accept
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const body = Buffer.concat(pieces)
      const { headers, url: path = '' } = request
      const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
      requests.push({ path, headers, text })
      answer(response, path)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as { port: number }
  const bodies = (path: string) =>
    requests.filter((one) => one.path === path).map(({ text }) => JSON.parse(text) as Groups)
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    answer: (how) => {
      answer = how
    },
    spans: () =>
      bodies('/v1/traces').flatMap((body) => flatten(body, 'resourceSpans', 'scopeSpans', 'spans', spanOf)),
    logs: () =>
      bodies('/v1/logs').flatMap((body) => flatten(body, 'resourceLogs', 'scopeLogs', 'logRecords', logOf)),
    points: () =>
      bodies('/v1/metrics').flatMap((body) =>
        flatten(body, 'resourceMetrics', 'scopeMetrics', 'metrics', pointsOf).flat(),
      ),
  }
}

interface RawSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes?: readonly KeyValue[]
  readonly events?: readonly { readonly name: string; readonly attributes?: readonly KeyValue[] }[]
  readonly status?: { readonly code?: number }
}

interface RawLog {
  readonly severityText: string
  readonly severityNumber: number
  readonly body?: AnyValue
  readonly traceId?: string
  readonly attributes?: readonly KeyValue[]
}

interface RawPoint {
  readonly attributes?: readonly KeyValue[]
  readonly asDouble?: number
  readonly asInt?: string
  readonly count?: string | number
}

interface RawMetric {
  readonly name: string
  readonly unit?: string
  readonly sum?: { readonly dataPoints: readonly RawPoint[] }
  readonly gauge?: { readonly dataPoints: readonly RawPoint[] }
  readonly histogram?: { readonly dataPoints: readonly RawPoint[] }
}

/** The body of a request: items in scopes in resources, under names that differ by signal. */
type Groups = Readonly<Record<string, readonly Group[]>>
interface Group {
  readonly resource?: { readonly attributes?: readonly KeyValue[] }
}

function flatten<Item, Result>(
  body: Groups,
  resources: string,
  scopes: string,
  items: string,
  read: (item: Item, resource: PlainAttributes) => Result,
): Result[] {
  return (body[resources] ?? []).flatMap((group) => {
    const inner = (group as unknown as Readonly<Record<string, readonly Record<string, readonly Item[]>[]>>)[
      scopes
    ]
    return (inner ?? []).flatMap((scope) =>
      (scope[items] ?? []).map((item) => read(item, plain(group.resource?.attributes))),
    )
  })
}

function spanOf(span: RawSpan, resource: PlainAttributes): ReceivedSpan {
  const { name, traceId, spanId, parentSpanId = '', events = [] } = span
  return {
    name,
    traceId,
    spanId,
    parentSpanId,
    startMs: Number(BigInt(span.startTimeUnixNano) / 1_000_000n),
    endMs: Number(BigInt(span.endTimeUnixNano) / 1_000_000n),
    attributes: plain(span.attributes),
    events: events.map((event) => ({ name: event.name, attributes: plain(event.attributes) })),
    isError: span.status?.code === 2,
    resource,
  }
}

function logOf(log: RawLog, resource: PlainAttributes): ReceivedLog {
  return {
    severity: log.severityText,
    severityNumber: log.severityNumber,
    body: String(plainValue(log.body)),
    traceId: log.traceId ?? '',
    attributes: plain(log.attributes),
    resource,
  }
}

function pointsOf(metric: RawMetric): ReceivedPoint[] {
  return (['sum', 'gauge', 'histogram'] as const).flatMap((kind) =>
    (metric[kind]?.dataPoints ?? []).map((point) => ({
      name: metric.name,
      unit: metric.unit ?? '',
      kind,
      attributes: plain(point.attributes),
      value: Number(point.asDouble ?? point.asInt ?? point.count ?? 0),
    })),
  )
}

function plain(attributes: readonly KeyValue[] | undefined): PlainAttributes {
  return Object.fromEntries((attributes ?? []).map(({ key, value }) => [key, plainValue(value)]))
}

function plainValue(value: AnyValue | undefined): unknown {
  if (value?.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue)
  if (value?.kvlistValue !== undefined) return plain(value.kvlistValue.values)
  if (value?.intValue !== undefined) return Number(value.intValue)
  return value?.stringValue ?? value?.doubleValue ?? value?.boolValue
}
