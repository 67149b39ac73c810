import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { createGunzip } from 'node:zlib'
import { type AppendBlobClient, BlobServiceClient, type ContainerClient } from '@azure/storage-blob'
import type { Clock } from '../clock.ts'

/** Blobs of the embedded storage, by the server whose logs they hold. */
export const embeddedBlobs = { primary: 'primary.ndjson', replica: 'replica.ndjson' } as const

export interface EmbeddedStorageOptions {
  readonly container: string
  /** Go on appending slowly after the blobs are filled. */
  readonly keepWriting: boolean
  readonly clock: Clock
  /** Hears of an append that failed. */
  readonly onWriterError?: (error: unknown) => void
}

/** Append Block takes 100 MiB at most; a few MiB keep the emulator's memory even. */
const appendBytes = 4 * 1024 * 1024

/** Part of the sample that is there at the start; the slow writer brings the rest, and then begins anew. */
const initialPart = 0.9
const linesPerAppend = 5
const appendEveryMs = 500

/**
 * Azurite in this process, on a free loopback port, with the sample logs of a real PostgreSQL primary and its
 * replica in two append blobs: everything the default config needs to show what Tailrace does.
 */
export class EmbeddedStorage {
  readonly connectionString: string
  #server: AzuriteServer
  #writing = new AbortController()
  #writers: Promise<void>[] = []

  private constructor(server: AzuriteServer) {
    this.#server = server
    this.connectionString = developmentConnectionString(server.getHttpServerAddress())
  }

  /** Starts the server; its container is empty until `fill`. */
  static async start(): Promise<EmbeddedStorage> {
    const server = createAzurite()
    await server.start()
    return new EmbeddedStorage(server)
  }

  /** Creates the container and its two blobs with the sample in them. */
  async fill(options: EmbeddedStorageOptions): Promise<void> {
    const container = this.containerClient(options.container)
    await container.createIfNotExists()
    for (const [server, blob] of Object.entries(embeddedBlobs)) {
      const lines = await sampleLines(server)
      const client = container.getAppendBlobClient(blob)
      await client.create()
      const initial = Math.floor(lines.length * initialPart)
      await append(client, lines.slice(0, initial))
      if (options.keepWriting) this.#writers.push(this.#write(client, lines, initial, options))
    }
  }

  containerClient(container: string): ContainerClient {
    return BlobServiceClient.fromConnectionString(this.connectionString, {
      retryOptions: { maxTries: 1 },
    }).getContainerClient(container)
  }

  async stop(): Promise<void> {
    this.#writing.abort()
    await Promise.all(this.#writers)
    await this.#server.close()
  }

  async #write(
    client: AppendBlobClient,
    lines: readonly string[],
    from: number,
    { clock, onWriterError }: EmbeddedStorageOptions,
  ): Promise<void> {
    const { signal } = this.#writing
    try {
      for (let next = from; ; next = (next + linesPerAppend) % lines.length) {
        await clock.sleep(appendEveryMs, signal)
        await append(client, lines.slice(next, next + linesPerAppend))
      }
    } catch (error) {
      if (!signal.aborted) onWriterError?.(error)
    }
  }
}

async function append(client: AppendBlobClient, lines: readonly string[]): Promise<void> {
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
  for (let from = 0; from < bytes.length; from += appendBytes) {
    const block = bytes.subarray(from, from + appendBytes)
    await client.appendBlock(block, block.length)
  }
}

async function sampleLines(server: string): Promise<string[]> {
  const file = fileURLToPath(new URL(`../../sample/logs/${server}.ndjson.gz`, import.meta.url))
  const content = await text(createReadStream(file).pipe(createGunzip()))
  return content.trimEnd().split('\n')
}

interface AzuriteServer {
  start(): Promise<void>
  close(): Promise<void>
  getHttpServerAddress(): string
}

/**
 * Azurite has no library export; its classes are reached by path, which is why its version is pinned exactly.
 * The constructor is positional: see its BlobConfiguration.
 */
function createAzurite(): AzuriteServer {
  const require = createRequire(import.meta.url)
  const { default: BlobServer } = require('azurite/dist/src/blob/BlobServer')
  const { default: BlobConfiguration } = require('azurite/dist/src/blob/BlobConfiguration')
  const { MemoryExtentChunkStore } = require('azurite/dist/src/common/persistence/MemoryExtentStore')
  const configuration = new BlobConfiguration(
    '127.0.0.1',
    0,
    undefined,
    '',
    '',
    [],
    false,
    undefined,
    false,
    undefined,
    false,
    true, // the SDK speaks a newer API version than Azurite knows
    undefined,
    undefined,
    undefined,
    undefined,
    false,
    true, // in memory
    new MemoryExtentChunkStore(1024 * 1024 * 1024),
  )
  return new BlobServer(configuration) as AzuriteServer
}

/** The well-known account of every storage emulator; its key is public: https://learn.microsoft.com/azure/storage/common/storage-use-azurite */
function developmentConnectionString(address: string): string {
  const account = 'devstoreaccount1'
  const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
  return `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=${address}/${account};`
}
