import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Serves on a free port of 127.0.0.1, which is printed for `whileServing`, until SIGTERM. */
export function listen(answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>): void {
  const server = createServer((request, response) => {
    // A reader that goes away in the middle of an answer is its own business.
    answer(request, response).catch(() => response.destroy())
  })
  // Longer than any pause between two requests: a client whose connection is closed meanwhile waits before it repeats.
  server.keepAliveTimeout = 600_000
  server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
  process.on('SIGTERM', () => process.exit(0))
}
