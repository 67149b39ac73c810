import { gzipSync } from 'node:zlib'
import type { Random } from '../../../doubles/seeded-random.ts'
import type { AnswerFault, Waits } from './fault-plan.ts'
import { markerFrom, unescapedXml } from './list-page.ts'
import { type Ending, errorReply, type Reply, type ServiceRequest } from './protocol.ts'

type Damage = (reply: Reply, request: ServiceRequest, random: Random, waits: Waits) => Reply

/** How each fault changes the answer that a well-behaved service would give. */
export const damages: Readonly<Record<AnswerFault, Damage>> = {
  throttled: refusal(429, 'TooManyRequests'),
  'server-busy': refusal(503, 'ServerBusy'),
  'server-error': refusal(500, 'OperationTimedOut'),
  'bad-gateway': refusal(502, 'BadGateway'),
  'gateway-timeout': refusal(504, 'GatewayTimeout'),
  'request-timeout': refusal(408, 'RequestTimeout'),
  'reset-before-head': headless('reset'),
  'stall-before-head': headless('stall'),
  'reset-in-body': cut('reset'),
  'stall-in-body': cut('stall'),
  'short-body': cut('close'),
  'denied-once': (reply, request) => refused(reply, request, 403, 'AuthenticationFailed'),
  // A range from the first byte on gets the truth: without it, nobody could tell a healthy blob from an empty one.
  'wrong-416': (reply, request) =>
    request.headers['x-ms-range']?.startsWith('bytes=0-')
      ? reply
      : refused(reply, request, 416, 'InvalidRange'),
  'wrong-412': (reply, request) => refused(reply, request, 412, 'ConditionNotMet'),
  'longer-body': body((bytes) => Buffer.concat([bytes, Buffer.from('{"foreign":true}\n')])),
  'shorter-body': body((bytes, random) => bytes.subarray(0, random.between(0, bytes.length - 1)), {
    // Its range is as short as its length, and not the one that was asked for.
    keepRange: false,
  }),
  'short-length': body((bytes, random) => bytes.subarray(0, random.between(0, bytes.length - 1))),
  'other-range': (reply, _request, random) => {
    const [, start, last, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange(reply)) ?? []
    const by = random.between(1, 20)
    return start === undefined
      ? reply
      : withHeaders(reply, { 'content-range': `bytes ${Number(start) + by}-${Number(last) + by}/${total}` })
  },
  'whole-for-range': (reply) =>
    contentRange(reply) === '' || reply.head === undefined
      ? reply
      : withHeaders({ ...reply, head: { ...reply.head, status: 200 } }, { 'content-range': undefined }),
  'doubled-body': body((bytes) =>
    Buffer.concat([bytes.subarray(0, bytes.length - (bytes.length >> 1)), bytes]).subarray(0, bytes.length),
  ),
  'shifted-body': body((bytes, random) => {
    const by = random.between(1, Math.max(1, bytes.length - 1))
    return Buffer.concat([bytes.subarray(by), bytes.subarray(0, by)])
  }),
  'packed-body': body((bytes) => gzipSync(bytes), { headers: { 'content-encoding': 'gzip' } }),
  'lengthless-body': (reply) => withHeaders(reply, { 'content-length': undefined }),
  'portal-page': portal(200),
  'portal-not-found': portal(404),
  denied: (reply, request) => refused(reply, request, 403, 'AuthenticationFailed'),
  'listing-416': (reply, request) => refused(reply, request, 416, 'InvalidRange'),
  'slow-listing': (reply, _request, random, { slowListingMs }) => ({
    ...reply,
    headAfterMs: random.between(slowListingMs >> 1, slowListingMs),
  }),
  // The next page begins with the last name of this one.
  'repeated-names': rewritten(({ entries, next }) => ({ entries, next: next && markerOf(entries.at(-1)) })),
  'reordered-names': rewritten(({ entries, next }) => ({ entries: [...entries].reverse(), next })),
}

/** An error that may pass, with or without word of when. */
function refusal(status: number, code: string): Damage {
  return (reply, request, random, { retryAfterMs }) => {
    const asked = random.between(1, Math.max(1, retryAfterMs))
    const told = random.between(0, 2)
    const headers: Record<string, string> =
      retryAfterMs === 0 || told === 0
        ? {}
        : told === 1 && asked >= 1000
          ? { 'retry-after': String(Math.floor(asked / 1000)) }
          : { 'x-ms-retry-after-ms': String(asked) }
    return refused(reply, request, status, code, headers)
  }
}

/** Another answer to the same request. */
function refused(
  { head, headAfterMs }: Reply,
  request: ServiceRequest,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): Reply {
  const id = head?.headers['x-ms-request-id']
  const named = { ...headers, ...(id === undefined ? {} : { 'x-ms-request-id': id }) }
  return { ...errorReply(request, status, code, 'A scripted fault.', named), headAfterMs }
}

function headless(ending: Ending): Damage {
  return ({ headAfterMs }) => ({ headAfterMs, pieces: [], pieceAfterMs: 0, ending })
}

/** Some bytes of the body, none or all but one at the extremes, and then no more. An empty body cannot be cut. */
function cut(ending: Ending): Damage {
  return (reply, _request, random) => {
    const body = Buffer.concat(reply.pieces)
    if (body.length === 0) return reply
    const sent = body.subarray(0, random.between(0, body.length - 1))
    return { ...reply, pieces: sent.length === 0 ? [] : [sent], ending }
  }
}

/** Another body of a good answer, with its length; by default the range in its head stays. */
function body(
  change: (bytes: Buffer, random: Random) => Buffer,
  {
    keepRange = true,
    headers = {},
  }: { readonly keepRange?: boolean; readonly headers?: Record<string, string> } = {},
): Damage {
  return (reply, _request, random) => {
    const bytes = Buffer.concat(reply.pieces)
    if (bytes.length === 0 || reply.head === undefined || reply.head.status >= 300) return reply
    const changed = change(bytes, random)
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(contentRange(reply)) ?? []
    const range =
      keepRange || start === undefined
        ? {}
        : { 'content-range': `bytes ${start}-${Number(start) + changed.length - 1}/${total}` }
    const pieces = changed.length === 0 ? [] : [changed]
    return withHeaders(
      { ...reply, pieces },
      { ...headers, ...range, 'content-length': String(changed.length) },
    )
  }
}

/** The page of a proxy or of a captive portal, which knows nothing of blobs. */
function portal(status: number): Damage {
  return (reply) => {
    const page = Buffer.from('<html><body>{"foreign":true}\n</body></html>\n')
    const headers = { 'content-type': 'text/html', 'content-length': String(page.length) }
    return { ...reply, head: { status, headers }, pieces: [page], ending: 'complete' }
  }
}

function withHeaders(reply: Reply, changes: Readonly<Record<string, string | undefined>>): Reply {
  if (reply.head === undefined) return reply
  const all = Object.entries({ ...reply.head.headers, ...changes })
  const headers = Object.fromEntries(all.filter((one): one is [string, string] => one[1] !== undefined))
  return { ...reply, head: { ...reply.head, headers } }
}

function contentRange(reply: Reply): string {
  return reply.head?.headers['content-range'] ?? ''
}

interface Page {
  readonly entries: readonly string[]
  /** Where the next page begins; empty on the last one. */
  readonly next: string
}

const pageParts = /<Blobs>(.*)<\/Blobs><NextMarker>(.*)<\/NextMarker>/s

/** A listing page that tells something else. */
function rewritten(change: (page: Page) => Page): Damage {
  return (reply) => {
    const xml = Buffer.concat(reply.pieces).toString()
    const [parts, inner = '', marker = ''] = pageParts.exec(xml) ?? []
    if (reply.head === undefined || parts === undefined) return reply
    const found = inner.split(/(?=<Blob>|<BlobPrefix>)/).filter((entry) => entry !== '')
    const { entries, next } = change({ entries: found, next: marker })
    const body = Buffer.from(
      xml.replace(parts, () => `<Blobs>${entries.join('')}</Blobs><NextMarker>${next}</NextMarker>`),
    )
    const headers = { ...reply.head.headers, 'content-length': String(body.length) }
    return { ...reply, head: { ...reply.head, headers }, pieces: [body] }
  }
}

function markerOf(entry = ''): string {
  const [, name = ''] = /<Name>(.*?)<\/Name>/s.exec(entry) ?? []
  return markerFrom(unescapedXml(name))
}
