import { once } from 'node:events'
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { createSecureContext, rootCertificates, type SecureContext, type TLSSocket } from 'node:tls'
import type { Clock } from '../../../clock.ts'
import { Deadline } from '../../../deadline.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { retryAfterMs } from '../../../retry.ts'
import { failureText } from '../failure-text.ts'
import type { WorkspaceAddress } from './auth.ts'

/** A body whose length is known before it is sent. */
export interface RequestBody {
  readonly bytes: number
  /** Opened anew for each request. */
  readonly open: () => AsyncIterable<Uint8Array>
}

export interface WorkspaceRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** With its query, as it stands in the request's first line. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | RequestBody
  readonly signal?: AbortSignal | undefined
}

export interface WorkspaceAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface WorkspaceHttpOptions {
  readonly address: WorkspaceAddress
  readonly clock: Clock
  /** How long a connection, TLS included, may take to be made, in milliseconds. Default 10,000. */
  readonly connectMs?: number
  /** How long nothing may move in either direction, in milliseconds. Default 60,000. */
  readonly idleMs?: number
}

/** Answers are small: a page of a listing has at most 1,000 entries. */
const mostAnswerBytes = 8 * 1024 * 1024

/**
 * Our own HTTP requests to a workspace: each is sent once, with its length, in bounded time, through the address's
 * proxy and with its certificate authority. Redirections are not followed.
 */
export class WorkspaceHttp {
  readonly #address: WorkspaceAddress
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
   * @throws WAREHOUSE_UNAVAILABLE when there is none; a body's own errors and the signal's reason as they are
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

  /** Closes the connections, those under use too. */
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
    // An error may come after its request has been settled, and would end the process if nobody listened.
    sent.on('error', () => {})
    const answered = once(sent, 'response', { signal }).then(([response]) => response as IncomingMessage)
    // Whoever waits first sees it.
    answered.catch(() => {})
    await connected(sent, signal)
    deadline.next('progress of the request', this.#idleMs)
    // A refusal may come before the body is through; the rest of it is not sent then.
    const response = await Promise.race([answered, body.send(sent).then(() => answered)])
    const text = await textOf(response, deadline)
    if (!sent.writableFinished) sent.destroy()
    return { status: response.statusCode ?? 0, headers: response.headers, body: text }
  }
}

/**
 * What an answer that is no success comes to.
 *
 * @param what what was asked for, as in `uploading a file`
 */
export function refusedRequest(what: string, answer: WorkspaceAnswer, nowMs: number): TailraceError {
  const { status, headers } = answer
  const { errorCode, message } = refusalIn(answer.body)
  const said = [errorCode, message].filter((part) => part !== undefined).join(': ')
  const denied = status === 401 || status === 403 || status === 407
  const passing = status === 408 || status === 429 || (status >= 500 && status !== 501)
  const code = denied ? 'WAREHOUSE_DENIED' : passing ? 'WAREHOUSE_UNAVAILABLE' : 'STATEMENT_FAILED'
  return new TailraceError(
    code,
    `${what} failed with HTTP status ${status}${said === '' ? '' : `: ${said}`}`,
    {
      context: {
        status,
        errorClass: errorCode,
        retryAfterMs: retryAfterMs(headers['retry-after'], nowMs),
      },
    },
  )
}

/** Databricks' error shape, and OAuth's. */
function refusalIn(body: string): { readonly errorCode?: string; readonly message?: string } {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return {}
  }
  if (typeof parsed !== 'object' || parsed === null) return {}
  const fields = parsed as Readonly<Record<string, unknown>>
  const errorCode = fields.error_code ?? fields.error
  const message = fields.message ?? fields.error_description
  return {
    ...(typeof errorCode === 'string' ? { errorCode: failureText(errorCode).told } : {}),
    ...(typeof message === 'string' ? { message: failureText(message).told } : {}),
  }
}

/** A request's body on its way. */
class SentBody {
  readonly bytes: number
  /** What opening or reading it came to, if it failed. */
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
  // A kept connection is ready, and so is one that came through a proxy.
  if (socket.connecting) await once(socket, 'secureConnect', { signal })
}

async function textOf(response: IncomingMessage, deadline: Deadline): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of response as AsyncIterable<Buffer>) {
    deadline.touch()
    bytes += piece.length
    if (bytes > mostAnswerBytes) throw new Error(`an answer of more than ${mostAnswerBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string }
  const told = failureText(message ?? String(error)).told
  return typeof code === 'string' && !told.includes(code) ? `${told} (${code})` : told
}

/** What keeps the connections to a workspace: straight, or through the address's proxy by `CONNECT`. */
export async function workspaceAgent({ proxy, customCa }: WorkspaceAddress): Promise<Agent> {
  const options = { keepAlive: true, ...trusting(customCa) }
  if (proxy === undefined) return new Agent(options)
  // Few workspaces are behind a proxy; nobody else has to load it.
  const { HttpsProxyAgent } = await import('https-proxy-agent')
  const agent = new HttpsProxyAgent(proxy, options) as unknown as Agent
  // What it is made with is for the connection to the proxy; this is for the one through it.
  Object.assign(agent.options, trusting(customCa))
  return agent
}

/** By the PEM text of the authority: a process has one workspace, or few. */
const contexts = new Map<string, SecureContext>()

/**
 * Options of a connection that trusts an authority beside the usual ones.
 *
 * Naming authorities replaces all others, so the usual ones are named too. They are read here, once: for each connection
 * anew it would take 150 ms in which nothing else runs (Node 20).
 */
export function trusting(customCa: string | undefined): { readonly secureContext?: SecureContext } {
  if (customCa === undefined) return {}
  const secureContext = contexts.get(customCa) ?? createSecureContext({ ca: [...rootCertificates, customCa] })
  contexts.set(customCa, secureContext)
  return { secureContext }
}
