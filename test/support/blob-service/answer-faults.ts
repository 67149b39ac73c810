import type { Random } from '../seeded-random.ts'
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
