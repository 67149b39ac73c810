import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectContainer } from '../../src/azure/connect-container.ts'
import { systemClock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import { AzureDeltaStorage } from '../../src/sinks/delta/storage/azure.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { misbehavingServer, partHeaders } from '../sources/storage-fixture.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

test('an error of a request that was never answered has the id under which storage logs it', async (t) => {
  const ids = new Map<string, string>()
  const url = await misbehavingServer(t, (request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://storage')
    ids.set(pathname, String(request.headers['x-ms-client-request-id']))
    // The head of an answer, and nothing of its body.
    if (pathname.endsWith('/half'))
      response.writeHead(206, partHeaders({ start: 0, bytes: 10, total: 10 })).flushHeaders()
  })
  const container = connectContainer(
    {
      kind: 'connection-string',
      connectionString: `DefaultEndpointsProtocol=http;AccountName=account;AccountKey=${Buffer.alloc(64).toString('base64')};BlobEndpoint=${url}/account;`,
    },
    { container: 'logs', clock: systemClock },
  )
  const reader = new AzureBlobReader(container, { firstByteMs: 1_000, idleMs: 1_000 })
  const storage = new AzureDeltaStorage({
    container,
    folder: 'table',
    downloadDirectory: await temporaryDirectory(t),
    retry: { policy: { maxAttempts: 1 } },
    firstByteMs: 1_000,
    idleMs: 1_000,
  })
  const requests: readonly (readonly [path: string, work: () => Promise<unknown>])[] = [
    ['/account/logs/silent', () => reader.read('silent', { offset: 0, maxBytes: 10 })],
    ['/account/logs/half', () => reader.read('half', { offset: 0, maxBytes: 10 })],
    ['/account/logs', () => reader.listPage({ prefix: 'p/' })],
    ['/account/logs/table/_delta_log/0.json', () => storage.read('_delta_log/0.json')],
  ]
  for (const [path, work] of requests)
    await assert.rejects(work(), (error) => {
      assert.ok(isTailraceError(error), String(error))
      assert.match(ids.get(path) ?? '', /^[0-9a-f-]{36}$/, path)
      assert.equal(error.context.clientRequestId, ids.get(path), path)
      return true
    })
})
