// Fills a storage account with the sample logs, once: two append blobs, as PostgreSQL servers write them.
import { createReadStream, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createGunzip } from 'node:zlib'

const { BlobServiceClient } = createRequire('/app/package.json')('@azure/storage-blob')

const connectionString = readFileSync(process.env.AZURE_STORAGE_CONNECTION_STRING_FILE, 'utf8').trim()
const container = BlobServiceClient.fromConnectionString(connectionString).getContainerClient('logs')
await container.createIfNotExists()
for (const server of ['primary', 'replica']) {
  const blob = container.getAppendBlobClient(`${server}.ndjson`)
  const { succeeded } = await blob.createIfNotExists()
  if (!succeeded) continue
  const lines = createReadStream(`/seed/logs/${server}.ndjson.gz`).pipe(createGunzip())
  for await (const bytes of lines) await blob.appendBlock(bytes, bytes.length)
}
