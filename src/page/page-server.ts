import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Logger } from '../reporting/logger.ts'
import { maxConnections, pageUnavailable } from './page-address.ts'
import { type PageAppOptions, pageApp } from './page-app.ts'

export interface PageServerOptions extends Omit<PageAppOptions, 'signal'> {
  readonly logger: Logger
}

/** The HTTP server of the page. */
export class PageServer {
  readonly #server: Server
  readonly #closing: AbortController
  #isListed = false

  private constructor(server: Server, closing: AbortController) {
    this.#server = server
    this.#closing = closing
  }

  /** Makes a server that takes connections from `attach`, or after `listen`. */
  static create(options: PageServerOptions): PageServer {
    const closing = new AbortController()
    const app = pageApp({ ...options, signal: closing.signal })
    const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
    const server = createServer(
      // A client has to send a request in this time; replies that last are not limited by it.
      {
        headersTimeout: 10_000,
        requestTimeout: 20_000,
        connectionsCheckingInterval: 5_000,
        keepAliveTimeout: 10_000,
        maxHeaderSize: 96 * 1024,
      },
      (request, response) => void listener(request, response),
    )
    server.maxConnections = maxConnections
    server.on('error', (error) => options.logger.warn({ err: error }, 'the page did not accept a connection'))
    return new PageServer(server, closing)
  }

  /**
   * @param port 0 for any free one
   * @returns the port in use
   * @throws PAGE_UNAVAILABLE when the address cannot be used
   */
  async listen(port: number, host: string): Promise<number> {
    try {
      await once(this.#server.listen(port, host), 'listening')
    } catch (error) {
      throw pageUnavailable(port, host, error)
    }
    return (this.#server.address() as AddressInfo).port
  }

  /** Serves a connection that another process has accepted. The caller limits their number: a server counts its own only. */
  attach(socket: Socket): void {
    // Without this event, Node lists no connections: none is cut off for a slow request, or when the server closes.
    if (!this.#isListed) this.#server.emit('listening')
    this.#isListed = true
    this.#server.emit('connection', socket)
  }

  /** Ends all requests and connections. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException('The page is closed.', 'AbortError'))
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }
}
