import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queryObjects } from 'node:v8'
import { connectContainer } from '../../src/azure/connect-container.ts'
import { systemClock } from '../../src/clock.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { misbehavingServer, partHeaders } from '../sources/storage-fixture.ts'

// A process that follows 1,000 servers reads six million times a day. The signal of each read, made by `AbortSignal.any`,
// stayed in memory with all that the request was made of: 3 KB, 250 MB after reading 48,000 blobs.
test('nothing of a read stays in memory once it has ended', async (t) => {
  const url = await misbehavingServer(t, (_request, response) => {
    response.writeHead(206, partHeaders({ start: 0, bytes: 10, total: 10 })).end('0123456789')
  })
  const container = connectContainer(
    {
      kind: 'connection-string',
      connectionString: `DefaultEndpointsProtocol=http;AccountName=account;AccountKey=${Buffer.alloc(64).toString('base64')};BlobEndpoint=${url}/account;`,
    },
    { container: 'logs', clock: systemClock },
  )
  const reader = new AzureBlobReader(container)
  const stopping = new AbortController()
  const read = async (times: number): Promise<void> => {
    for (let time = 0; time < times; time += 1)
      await reader.read('blob', { offset: 0, maxBytes: 10, signal: stopping.signal })
  }
  await read(10)
  const before = Number(queryObjects(AbortSignal))
  await read(200)
  const stayed = Number(queryObjects(AbortSignal)) - before
  assert.ok(stayed < 50, `${stayed} signals stayed`)
})
