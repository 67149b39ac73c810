import { createRequire } from 'node:module'
import type { AppendBlobClient, ContainerClient } from '@azure/storage-blob'
import { BlobServiceClient } from '../../azure/sdk.ts'
import type { Clock } from '../../clock.ts'
import { requireInstalled } from '../../package.ts'
import { openSample, type SampleLines } from './sample-lines.ts'
import type { SampleMemory } from './sample-memory.ts'

/** Blobs of the embedded storage, by the server whose logs they hold. */
const embeddedBlobs = { primary: 'primary.ndjson', replica: 'replica.ndjson' } as const

type Server = keyof typeof embeddedBlobs

export interface SampleOptions {
  readonly container: string
  /** Go on appending slowly after the blobs are filled. */
  readonly keepWriting: boolean
  /** Remembers the length of the blobs, so that the next process creates them at least as long. */
  readonly memory: SampleMemory
  readonly clock: Clock
  /** Called when an append fails; the writer then ends. */
  readonly onWriterError?: ((error: unknown) => void) | undefined
}

/** Append Block takes 100 MiB at most; smaller blocks keep the emulator's memory low. */
const appendBytes = 4 * 1024 * 1024

/** Part of the sample that is in the blobs at the start; the slow writer appends the rest, and then repeats the sample. */
const initialPart = 0.9
const linesPerAppend = 5
const appendEveryMs = 500

/** The slow writer ends when a blob holds this many times the sample: the emulator keeps it all in memory. */
const maxRounds = 4

/**
 * Azurite in this process, on a free loopback port, with the sample logs of a real PostgreSQL primary and its replica in
 * two append blobs: the source of the default config when no storage is configured.
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

  /** Starts the server, empty. */
  static async start(): Promise<EmbeddedStorage> {
    requireInstalled('azurite', 'The embedded storage')
    const server = createAzurite()
    await server.start()
    return new EmbeddedStorage(server)
  }

  /**
   * Creates the container and its two blobs, as long as they were when the last process ended, or with the first part of
   * the sample.
   */
  async fill(options: SampleOptions): Promise<void> {
    const container = this.containerClient(options.container)
    await container.createIfNotExists()
    for (const server of Object.keys(embeddedBlobs) as Server[]) {
      const sample = await openSample(server)
      const client = container.getAppendBlobClient(embeddedBlobs[server])
      await client.create()
      const count = Math.max(options.memory.linesOf(server), Math.floor(sample.count * initialPart))
      await append(client, sample.pieces(0, count))
      await options.memory.note(server, count)
      if (options.keepWriting) this.#writers.push(this.#write(server, client, sample, count, options))
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
    server: Server,
    client: AppendBlobClient,
    sample: SampleLines,
    from: number,
    { memory, clock, onWriterError }: SampleOptions,
  ): Promise<void> {
    const { signal } = this.#writing
    try {
      for (let next = from; next < sample.count * maxRounds; next += linesPerAppend) {
        await clock.sleep(appendEveryMs, signal)
        // Noted before the append: after a crash a blob may be longer than it was, but never shorter.
        await memory.note(server, next + linesPerAppend)
        await append(client, sample.pieces(next, next + linesPerAppend))
      }
    } catch (error) {
      if (!signal.aborted) onWriterError?.(error)
    }
  }
}

async function append(client: AppendBlobClient, pieces: Iterable<Buffer>): Promise<void> {
  for (const bytes of pieces) {
    for (let from = 0; from < bytes.length; from += appendBytes) {
      const block = bytes.subarray(from, from + appendBytes)
      await client.appendBlock(block, block.length)
    }
  }
}

interface AzuriteServer {
  start(): Promise<void>
  close(): Promise<void>
  getHttpServerAddress(): string
}

/**
 * Azurite has no library export, so its classes are imported by path, and its version is pinned exactly. The arguments
 * are positional: see its BlobConfiguration.
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
    true, // skips the check of the API version: the SDK's is newer than Azurite's
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
