import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Reply, StorageServer } from './protocol.ts'

/**
 * Puts a storage service on a port of the loopback, with connections that are really reset, closed and stalled.
 *
 * @returns the account's URL; the server stops with the test
 */
export async function serveBlobService(t: TestContext, service: StorageServer): Promise<string> {
  const server = createServer((request, response) => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    )
    const reply = service.answer({ method: request.method ?? '', url: request.url ?? '', headers })
    // The client may be gone before its answer is: then there is nobody left to tell.
    send(request, response, reply).catch(() => request.socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`
}

async function send({ socket }: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
  const { head, headAfterMs, pieces, pieceAfterMs, ending } = reply
  if (headAfterMs > 0) await delay(headAfterMs)
  if (head !== undefined) {
    response.writeHead(head.status, head.headers)
    if (ending === 'complete' && pieces.length === 0) return void response.end()
    response.flushHeaders()
    for (const piece of pieces) {
      if (pieceAfterMs > 0) await delay(pieceAfterMs)
      await new Promise<void>((resolve, reject) => {
        response.write(piece, (error) => (error ? reject(error) : resolve()))
      })
    }
  }
  switch (ending) {
    case 'complete':
      response.end()
      break
    case 'close':
      await arrival()
      socket.end()
      break
    case 'reset':
      await arrival()
      socket.resetAndDestroy()
      break
    case 'stall':
      break
  }
}

/** A reset overtakes bytes that the other side has not read yet; on the loopback they need no longer than this. */
function arrival(): Promise<void> {
  return delay(5)
}
