/** One request as a storage service sees it. */
export interface ServiceRequest {
  readonly method: string
  /** Path and query, or a whole URL: `/account/logs/a.json`. */
  readonly url: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
}

/** How an answer stops once its pieces are sent. */
export type Ending =
  /** In order. */
  | 'complete'
  /** The connection is reset. */
  | 'reset'
  /** The connection is closed as if everything had been sent. */
  | 'close'
  /** Nothing comes any more, and the connection stays. */
  | 'stall'

export interface ReplyHead {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

/** One answer, and how it travels. */
export interface Reply {
  /** Absent when the connection ends, or stalls, before a head is sent. */
  readonly head?: ReplyHead
  /** Milliseconds until the head. */
  readonly headAfterMs: number
  /** The body's bytes that are really sent, in order. */
  readonly pieces: readonly Buffer[]
  /** Milliseconds before each piece. */
  readonly pieceAfterMs: number
  readonly ending: Ending
}

/** Whatever answers requests of the Blob REST protocol. Called once per request, in the order of their arrival. */
export interface StorageServer {
  answer(request: ServiceRequest): Reply
}

const apiVersion = '2026-04-06'

/** An answer that arrives whole and at once. */
export function plainReply(status: number, headers: Record<string, string>, body: Buffer): Reply {
  return {
    head: { status, headers: { 'x-ms-version': apiVersion, ...headers } },
    headAfterMs: 0,
    pieces: body.length === 0 ? [] : [body],
    pieceAfterMs: 0,
    ending: 'complete',
  }
}

/**
 * An error as the service words it: its code in a header and in an XML body, which a HEAD and a 304 do without.
 *
 * @see https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2 (read 2026-11-24)
 */
export function errorReply(
  request: Pick<ServiceRequest, 'method'>,
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Reply {
  const bodiless = request.method === 'HEAD' || status === 304
  const xml = `\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
  const body = bodiless ? Buffer.alloc(0) : Buffer.from(xml)
  return plainReply(
    status,
    {
      ...(status === 304 ? {} : { 'content-length': String(body.length) }),
      ...(bodiless ? {} : { 'content-type': 'application/xml' }),
      'x-ms-error-code': code,
      ...headers,
    },
    body,
  )
}
