import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { TailraceError } from '../errors.ts'
import type { Logger } from '../reporting/logger.ts'

export interface MetricsServerOptions {
  /** 0 for any free one. */
  readonly port: number
  readonly host: string
  readonly metrics: { readonly contentType: string; exposition(): Promise<string> }
  /** Names of pipelines that should run and do not: not yet, or no longer. */
  readonly notRunning: () => readonly string[]
  readonly logger: Logger
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/** A scraper and a few probes; whoever holds more connections open is no scraper. */
const maxConnections = 32

const plainText = 'text/plain; charset=utf-8'

/** Serves `GET /metrics` and `GET /healthz`; never what keeps the process alive. */
export class MetricsServer {
  /** The port in use, also where any free one was asked for. */
  readonly port: number
  #server: Server

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  /** @throws CONFIG_INVALID when the address cannot be had, such as a port in use */
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
    server.on('error', (error) => logger.warn({ err: error }, 'the metrics server failed for once'))
    return new MetricsServer(server.unref())
  }

  /** Ends it and every connection to it. */
  async close(): Promise<void> {
    // The callback also comes when it was closed before; the event 'close' does not.
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
  response.writeHead(status, { 'content-type': type }).end(body)
}

async function answer(
  { method, url }: IncomingMessage,
  { metrics, notRunning }: MetricsServerOptions,
): Promise<Answer> {
  const path = method === 'GET' ? url?.split('?', 1)[0] : undefined
  if (path === '/metrics') {
    return { status: 200, type: metrics.contentType, body: await metrics.exposition() }
  }
  if (path === '/healthz') {
    const names = notRunning()
    return names.length === 0
      ? { status: 200, type: plainText, body: 'ok\n' }
      : { status: 503, type: plainText, body: `not running: ${names.join(', ')}\n` }
  }
  return { status: 404, type: plainText, body: 'GET /metrics or /healthz\n' }
}

function refusal(port: number, host: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return `metrics.port: found ${port}, which is in use on ${host}.`
  if (code === 'EACCES') return `metrics.port: found ${port}, which this user may not serve on ${host}.`
  return `metrics.host: found ${host}, which cannot serve port ${port} (${code ?? message}).`
}
