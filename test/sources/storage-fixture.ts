import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { ContainerClient } from '@azure/storage-blob'
import { AzureBlobReader, type AzureBlobReaderOptions } from '../../src/sources/readers/azure-blob-reader.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** A server on the loopback that answers as the test says, well or badly. @returns its origin */
export async function misbehavingServer(t: TestContext, answer: Answer): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A reader of such a server's container `logs`; its requests carry `query`. */
export async function misbehavingReader(
  t: TestContext,
  answer: Answer,
  options: AzureBlobReaderOptions & { readonly query?: string } = {},
): Promise<AzureBlobReader> {
  const url = `${await misbehavingServer(t, answer)}/account/logs${options.query ?? ''}`
  return new AzureBlobReader(new ContainerClient(url, undefined, { retryOptions: { maxTries: 1 } }), options)
}

/** The head of an answer with a part of a blob. */
export function partHeaders(part: {
  readonly start: number
  readonly bytes: number
  readonly total: number
}): Record<string, string> {
  return {
    'content-length': String(part.bytes),
    'content-range': `bytes ${part.start}-${part.start + part.bytes - 1}/${part.total}`,
    etag: '"0x1"',
    'x-ms-creation-time': 'Tue, 24 Nov 2026 08:47:00 GMT',
    'last-modified': 'Tue, 24 Nov 2026 08:47:00 GMT',
    'x-ms-blob-type': 'AppendBlob',
  }
}
