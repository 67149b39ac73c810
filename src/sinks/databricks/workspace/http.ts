import { once } from 'node:events'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { createSecureContext, rootCertificates, type SecureContext, type TLSSocket } from 'node:tls'
import { type Clock, Deadline } from '../../../clock.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { retryAfterMs } from '../../../retry.ts'
import type { WorkspaceAddress } from './auth.ts'
import { failureText } from './failure-text.ts'

/** A request's body of known length. */
export interface RequestBody {
  readonly bytes: number
  /** Called for each request. */
  readonly open: () => AsyncIterable<Uint8Array>
}

export interface WorkspaceRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Path and query, already escaped. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | RequestBody | undefined
  readonly signal?: AbortSignal | undefined
}

export interface WorkspaceAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A host that answers requests of a workspace. */
export type HttpAddress = Pick<WorkspaceAddress, 'host' | 'port' | 'proxy' | 'customCa'>

export interface WorkspaceHttpOptions {
  readonly address: HttpAddress
  readonly clock: Clock
  /** Longest time to connect, including TLS, in milliseconds. Default 10,000. */
  readonly connectMs?: number | undefined
  /** Longest time without traffic, in milliseconds. Default 60,000. */
  readonly idleMs?: number | undefined
}

/** Limit of an answer's body. Answers are small: a page of a listing has at most 1,000 entries. */
const maxAnswerBytes = 8 * 1024 * 1024

/**
 * Sends HTTP requests to a workspace: each once, with its length and in bounded time, through the address's proxy and
 * with its certificate authority. Does not follow redirects.
 */
export class WorkspaceHttp {
  readonly #address: HttpAddress
  readonly #clock: Clock
  readonly #connectMs: number
  readonly #idleMs: number
  #agent: Promise<Agent> | undefined

  constructor({ address, clock, connectMs = 10_000, idleMs = 60_000 }: WorkspaceHttpOptions) {
    this.#address = address
    this.#clock = clock
    this.#connectMs = connectMs
    this.#idleMs = idleMs
  }

  /**
   * @returns the answer, whatever its status
   * @throws WAREHOUSE_UNAVAILABLE when there is no answer; errors of the body and the signal's reason unchanged
   */
  async request(request: WorkspaceRequest): Promise<WorkspaceAnswer> {
    this.#agent ??= workspaceAgent(this.#address)
    const agent = await this.#agent
    const deadline = new Deadline(this.#clock, 'connection', this.#connectMs, request.signal)
    const body = new SentBody(request.body, deadline)
    try {
      return await deadline.race(this.#exchange(request, agent, deadline, body))
    } catch (error) {
      if (body.failure !== undefined) throw body.failure
      if (request.signal?.aborted === true) throw request.signal.reason
      if (isTailraceError(error)) throw error
      throw new TailraceError(
        'WAREHOUSE_UNAVAILABLE',
        `${this.#address.host} does not answer: ${reasonOf(error)}`,
      )
    } finally {
      deadline.clear()
    }
  }

  /** Closes all connections, also those in use. */
  async close(): Promise<void> {
    ;(await this.#agent)?.destroy()
  }

  async #exchange(
    request: WorkspaceRequest,
    agent: Agent,
    deadline: Deadline,
    body: SentBody,
  ): Promise<WorkspaceAnswer> {
    const { host, port = 443 } = this.#address
    const { method, path, headers } = request
    const { signal } = deadline
    const sent = httpsRequest({
      host,
      port,
      method,
      path,
      agent,
      signal,
      headers: { ...headers, 'content-length': String(body.bytes) },
    })
    // An error can be emitted after the request has settled, and without a listener it would end the process.
    sent.on('error', () => {})
    const answered = once(sent, 'response', { signal }).then(([response]) => response as IncomingMessage)
    // A rejection is handled where `answered` is awaited; until then it must not count as unhandled.
    answered.catch(() => {})
    await connected(sent, signal)
    deadline.next('progress of the request', this.#idleMs)
    // The server may refuse before the whole body was sent; the rest is not sent then.
    const response = await Promise.race([answered, body.send(sent).then(() => answered)])
    const text = await textOf(response, deadline)
    if (!sent.writableFinished) sent.destroy()
    return { status: response.statusCode ?? 0, headers: response.headers, body: text }
  }
}

/**
 * Translates an answer with an error status.
 *
 * @param what names the request in the message, such as `Uploading a file`
 */
export function refusedRequest(what: string, answer: WorkspaceAnswer, nowMs: number): TailraceError {
  const { status, headers } = answer
  const { errorCode, message } = refusalIn(answer.body)
  const reason = [errorCode, message].filter((part) => part !== undefined).join(': ')
  const denied = status === 401 || status === 403 || status === 407
  const passing = status === 408 || status === 429 || (status >= 500 && status !== 501)
  const code = denied ? 'WAREHOUSE_DENIED' : passing ? 'WAREHOUSE_UNAVAILABLE' : 'STATEMENT_FAILED'
  return new TailraceError(
    code,
    `${what} failed with HTTP status ${status}${reason === '' ? '' : `: ${reason}`}`,
    {
      context: {
        status,
        errorClass: errorCode,
        retryAfterMs: retryAfterMs(headers['retry-after'], nowMs),
      },
    },
  )
}

export function isSuccess({ status }: Pick<WorkspaceAnswer, 'status'>): boolean {
  return status >= 200 && status < 300
}

/** Parses an error body in the format of Databricks or OAuth. */
function refusalIn(body: string): {
  readonly errorCode?: string | undefined
  readonly message?: string | undefined
} {
  const fields = bodyFields(body)
  const errorCode = fields.error_code ?? fields.error
  const message = fields.message ?? fields.error_description
  return {
    errorCode: typeof errorCode === 'string' ? failureText(errorCode).summary : undefined,
    message: typeof message === 'string' ? failureText(message).summary : undefined,
  }
}

/** @returns the fields of a body that is a JSON object; none for any other body, such as a proxy's page */
export function bodyFields(body: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}

/** Sends a request's body and records the body's own errors. */
class SentBody {
  readonly bytes: number
  /** The error of opening or reading the body, if any. */
  failure: unknown
  readonly #open: () => AsyncIterable<Uint8Array> | readonly Uint8Array[]
  readonly #deadline: Deadline

  constructor(body: string | RequestBody | undefined, deadline: Deadline) {
    this.#deadline = deadline
    if (typeof body === 'object') {
      this.bytes = body.bytes
      this.#open = body.open
    } else {
      const text = Buffer.from(body ?? '')
      this.bytes = text.length
      this.#open = () => [text]
    }
  }

  async send(request: ClientRequest): Promise<void> {
    await pipeline(() => this.#pieces(), request)
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of this.#open()) {
        this.#deadline.touch()
        if (piece.length > 0) yield piece
      }
    } catch (error) {
      this.failure = error
      throw error
    }
  }
}

async function connected(request: ClientRequest, signal: AbortSignal): Promise<void> {
  const [socket] = (await once(request, 'socket', { signal })) as [TLSSocket]
  // A reused connection is already connected, and so is one through a proxy.
  if (socket.connecting) await once(socket, 'secureConnect', { signal })
}

async function textOf(response: IncomingMessage, deadline: Deadline): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    deadline.touch()
    bytes += piece.length
    if (bytes > maxAnswerBytes) throw new Error(`the answer has more than ${maxAnswerBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string }
  const { summary } = failureText(message ?? String(error))
  return typeof code === 'string' && !summary.includes(code) ? `${summary} (${code})` : summary
}

/** @returns an agent that connects to a workspace directly, or through the address's proxy by `CONNECT` */
async function workspaceAgent({ proxy, customCa }: HttpAddress): Promise<Agent> {
  const options = { keepAlive: true, ...trusting(customCa) }
  if (proxy === undefined) return new Agent(options)
  // Loaded only when needed, because few workspaces are behind a proxy.
  const { HttpsProxyAgent } = await import('https-proxy-agent')
  const agent = new HttpsProxyAgent(proxy, options) as unknown as Agent
  // The constructor's options apply to the connection to the proxy; these apply to the one through it.
  Object.assign(agent.options, trusting(customCa))
  return agent
}

/** Cache by PEM text. A process has few workspaces, so it stays small. */
const contexts = new Map<string, SecureContext>()

/**
 * Makes TLS options that trust an authority in addition to the usual ones.
 *
 * Setting authorities replaces the usual ones, so these are added again. The context is cached: making it for each
 * connection would block the event loop for 150 ms (Node 20).
 */
export function trusting(customCa: string | undefined): { secureContext?: SecureContext } {
  if (customCa === undefined) return {}
  const secureContext = contexts.get(customCa) ?? createSecureContext({ ca: [...rootCertificates, customCa] })
  contexts.set(customCa, secureContext)
  return { secureContext }
}
