import { createRequire } from 'node:module'
import type * as Sdk from '@azure/storage-blob'
import type { Clock } from '../../../src/clock.ts'
import { AnswerBody } from './answer-body.ts'
import type { Reply, StorageServer } from './protocol.ts'

// The SDK's CommonJS build, as everywhere: its ES modules would all pass the TypeScript loader.
const { ContainerClient, RestError } = createRequire(import.meta.url)('@azure/storage-blob') as typeof Sdk

/** A client of a container whose requests go to a service in this process, without any socket. */
export function inMemoryContainer(
  service: StorageServer,
  container: string,
  clock: Clock,
): Sdk.ContainerClient {
  // Only for an address the SDK takes the path's first part as the account's name. Nobody listens there.
  return new ContainerClient(`http://127.0.0.1:10000/account/${container}`, undefined, {
    httpClient: new InMemoryHttpClient(service, clock),
    retryOptions: { maxTries: 1 },
  })
}

/**
 * A transport of the SDK that asks a service in this process and takes the time from a clock.
 *
 * What goes wrong looks as it does over a socket: a lost connection is a RestError with the code ECONNRESET before the
 * head, and a body that aborts behind it; an abort of the caller's is an AbortError.
 */
class InMemoryHttpClient implements Sdk.IHttpClient {
  #service: StorageServer
  #clock: Clock

  constructor(service: StorageServer, clock: Clock) {
    this.#service = service
    this.#clock = clock
  }

  async sendRequest(request: Sdk.WebResource): Promise<Sdk.HttpOperationResponse> {
    const { abortSignal } = request
    if (abortSignal?.aborted) throw abortError()
    const reply = this.#service.answer({
      method: request.method,
      url: request.url,
      headers: Object.fromEntries(
        request.headers.headersArray().map(({ name, value }) => [name.toLowerCase(), value]),
      ),
    })
    const head = await this.#head(reply, abortSignal)
    const headers = request.headers.clone()
    for (const name of headers.headerNames()) headers.remove(name)
    for (const [name, value] of Object.entries(head.headers)) headers.set(name, value)
    const response = { request, status: head.status, headers }
    if (request.method === 'HEAD') return response

    const body = this.#body(reply, abortSignal)
    if (request.streamResponseStatusCodes?.has(head.status)) return { ...response, readableStreamBody: body }
    return { ...response, bodyAsText: await textOf(body) }
  }

  #head(reply: Reply, signal: Sdk.WebResource['abortSignal']): Promise<NonNullable<Reply['head']>> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        cancel()
        reject(abortError())
      }
      const cancel = this.#clock.after(reply.headAfterMs, () => {
        if (reply.head === undefined && reply.ending === 'stall') return
        signal?.removeEventListener('abort', aborted)
        if (reply.head !== undefined) resolve(reply.head)
        else reject(new RestError('read ECONNRESET', { code: 'ECONNRESET' }))
      })
      signal?.addEventListener('abort', aborted)
    })
  }

  #body(reply: Reply, signal: Sdk.WebResource['abortSignal']): AnswerBody {
    const { pieces, pieceAfterMs, ending } = reply
    const body = new AnswerBody()
    let cancel = (): void => {}
    const aborted = (): void => void body.destroy(abortError())
    signal?.addEventListener('abort', aborted)
    body.once('close', () => {
      signal?.removeEventListener('abort', aborted)
      cancel()
    })
    // The end too is an event of its own: nobody listens to the body yet while its head is handed on.
    const send = (index: number): void => {
      const piece = pieces[index]
      cancel = this.#clock.after(piece === undefined ? 0 : pieceAfterMs, () => {
        if (piece !== undefined) {
          body.push(piece)
          send(index + 1)
        } else if (ending === 'complete') body.complete()
        else if (ending !== 'stall') body.lose()
      })
    }
    send(0)
    return body
  }
}

/** A body as text; like the SDK's own transport, one that breaks off is a RestError without a status. */
async function textOf(body: AnswerBody): Promise<string> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of body) pieces.push(piece as Buffer)
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') throw error
    const what = error instanceof Error ? error.message : String(error)
    throw new RestError(`Error reading response as text: ${what}`, { code: RestError.PARSE_ERROR })
  }
  return Buffer.concat(pieces).toString('utf8')
}

function abortError(): Error {
  return Object.assign(new Error('The operation was aborted.'), { name: 'AbortError' })
}
