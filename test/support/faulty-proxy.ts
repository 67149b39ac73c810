import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { TestContext } from 'node:test'

/** What happens to one request on its way. */
export type NetworkFault =
  /** It is executed and the connection breaks before the answer. */
  | 'lost-reply'
  /** The connection breaks before it arrives. */
  | 'lost-request'
  /** It is executed and answered with 500. */
  | 'done-but-500'
  /** It is executed only when `releaseLate` is called, and answered with 500 at once. */
  | 'late-request'
  /** It is not executed, and answered with 503 and a short Retry-After. */
  | 'busy'
  /** The answer's body breaks off half-way. */
  | 'short-body'
  /** One bit of the body is another one on arrival. */
  | 'damaged-body'
  /** There is no answer at all. */
  | 'stalled'
  /** It is not executed, and answered with 403. */
  | 'denied'

export interface SeenRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
}

/** A loopback server in front of another one, which treats some requests badly. */
export interface FaultyProxy {
  readonly port: number
  /** Every request so far, oldest first. */
  readonly seen: readonly SeenRequest[]
  /** Decides what happens to each request from now on; undefined passes it on. */
  plan(choose: (seen: SeenRequest) => NetworkFault | undefined): void
  /** Executes what is late. */
  releaseLate(): Promise<void>
  /** Breaks the connections of the requests that have no answer. */
  breakStalled(): void
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['rawHeaders']
  readonly body: Buffer
}

/** Starts a proxy in front of `port` that stops with the test. */
export async function faultyProxy(t: Pick<TestContext, 'after'>, port: number): Promise<FaultyProxy> {
  const seen: SeenRequest[] = []
  const late: (() => Promise<Answer>)[] = []
  const stalled: ServerResponse[] = []
  let choose: (seen: SeenRequest) => NetworkFault | undefined = () => undefined

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const one = { method: incoming.method ?? '', url: incoming.url ?? '' }
    seen.push(one)
    const fault = choose(one)
    const body = await buffer(incoming)
    if (fault === 'damaged-body' && body.length > 0) body[body.length >> 1]! ^= 1
    const execute = () => passOn(port, incoming, body)
    switch (fault) {
      case 'lost-request':
        response.destroy()
        return
      case 'lost-reply':
        await execute()
        response.destroy()
        return
      case 'done-but-500':
        await execute()
        response.writeHead(500).end()
        return
      case 'late-request':
        late.push(execute)
        response.writeHead(500).end()
        return
      case 'busy':
        response.writeHead(503, { 'retry-after': '0', 'x-ms-error-code': 'ServerBusy' }).end()
        return
      case 'stalled':
        stalled.push(response)
        return
      case 'denied':
        response.writeHead(403, { 'x-ms-error-code': 'AuthorizationFailure' }).end()
        return
      default: {
        const answer = await execute()
        if (fault === 'damaged-body' && answer.status === 400) {
          // The emulator sees the damage too, and calls it something else.
          response.writeHead(400, { 'x-ms-error-code': 'Md5Mismatch' }).end()
          return
        }
        response.writeHead(answer.status, answer.headers)
        if (fault === 'short-body' && answer.body.length > 1) {
          response.write(answer.body.subarray(0, answer.body.length >> 1), () => response.destroy())
        } else response.end(answer.body)
      }
    }
  }

  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    plan: (next) => {
      choose = next
    },
    releaseLate: async () => {
      for (const execute of late.splice(0)) await execute()
    },
    breakStalled: () => {
      for (const response of stalled.splice(0)) response.destroy()
    },
  }
}

async function passOn(port: number, incoming: IncomingMessage, body: Buffer): Promise<Answer> {
  const outgoing = request({
    host: '127.0.0.1',
    port,
    method: incoming.method,
    path: incoming.url,
    headers: incoming.headers,
    agent: false,
  })
  outgoing.end(body)
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { status: answer.statusCode ?? 500, headers: answer.rawHeaders, body: await buffer(answer) }
}
