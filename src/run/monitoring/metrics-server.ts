import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { TailraceError } from '../../errors.ts'
import type { Logger } from '../../reporting/logger.ts'
import { type HealthReason, type Probe, probes } from './health.ts'

export interface MetricsServerOptions {
  /** 0 for any free port. */
  readonly port: number
  readonly host: string
  readonly metrics: { readonly contentType: string; exposition(): Promise<string> }
  /** The reasons why a probe is answered with 503; none: with 200. */
  readonly reasonsAgainst: (probe: Probe) => readonly HealthReason[]
  readonly logger: Logger
}

/** The body of the answer to a probe. */
export interface ProbeAnswer {
  readonly ok: boolean
  readonly reasons: readonly HealthReason[]
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** Enough for a scraper and a few probes. */
const maxConnections = 32

const plainText = 'text/plain; charset=utf-8'

/** Serves `/metrics` and the probes. Does not keep the process alive. */
export class MetricsServer {
  /** The port in use, also when any free one was requested. */
  readonly port: number
  #server: Server

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  /** @throws CONFIG_INVALID when the address cannot be used, such as a port in use */
  static async listen(options: MetricsServerOptions): Promise<MetricsServer> {
    const { port, host, logger } = options
    const server = createServer((request, response) => void respond(request, response, options))
    server.maxConnections = maxConnections
    server.on('connection', (socket) => socket.unref())
    try {
      // `once` also waits for the first 'error', and rejects with it.
      await once(server.listen(port, host), 'listening')
    } catch (error) {
      throw new TailraceError('CONFIG_INVALID', refusal(port, host, error as NodeJS.ErrnoException), {
        cause: error,
      })
    }
    // Without a listener, a connection that cannot be accepted (no file descriptor left) would end the process.
    server.on('error', (error) =>
      logger.warn({ err: error }, 'the metrics server did not accept a connection'),
    )
    return new MetricsServer(server.unref())
  }

  /** Stops listening and closes every connection. */
  async close(): Promise<void> {
    // The callback is also called when the server was closed before; the event 'close' is not emitted then.
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: MetricsServerOptions,
): Promise<void> {
  const { status, type, body } = await answer(request, options).catch((error: unknown): Answer => {
    options.logger.error({ err: error }, 'the metrics could not be collected')
    return { status: 500, type: plainText, body: 'the metrics could not be collected\n' }
  })
  // Node leaves the body of an answer to HEAD out.
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body)
}

async function answer(
  { method, url }: IncomingMessage,
  { metrics, reasonsAgainst }: MetricsServerOptions,
): Promise<Answer> {
  const path = method === 'GET' || method === 'HEAD' ? url?.split('?', 1)[0] : undefined
  if (path === '/metrics') {
    return { status: 200, type: metrics.contentType, body: await metrics.exposition() }
  }
  // The name of earlier releases.
  const probe = path === '/healthz' ? 'readyz' : probes.find((name) => path === `/${name}`)
  if (probe === undefined) {
    return { status: 404, type: plainText, body: `GET /metrics, /${probes.join(', /')}\n` }
  }
  const reasons = reasonsAgainst(probe)
  const body: ProbeAnswer = { ok: reasons.length === 0, reasons }
  return {
    status: body.ok ? 200 : 503,
    type: 'application/json; charset=utf-8',
    body: `${JSON.stringify(body)}\n`,
  }
}

function refusal(port: number, host: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return `metrics.port: found ${port}, which is in use on ${host}.`
  if (code === 'EACCES') return `metrics.port: found ${port}, which this user may not serve on ${host}.`
  return `metrics.host: found ${host}, which cannot serve port ${port} (${code ?? message}).`
}
