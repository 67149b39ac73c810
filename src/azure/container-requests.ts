import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { BlobItem, ContainerClient } from '@azure/storage-blob'
import type { Clock } from '../clock.ts'
import { Deadline } from './deadline.ts'
import { storageFailure } from './storage-failure.ts'

/** A client with the credential that was current when it was made. */
export interface OpenedClient {
  readonly client: ContainerClient
}

/** Hands out clients of one container, and fresh ones when storage refuses the credential. */
export interface ContainerClients {
  current(): Promise<OpenedClient>
  /** @returns undefined when there is no other credential to try */
  renewed(refused: OpenedClient): Promise<OpenedClient | undefined>
}

export interface ContainerRequestsOptions {
  readonly clients: ContainerClients
  readonly clock: Clock
  /** Ends what is under way. */
  readonly signal?: AbortSignal | undefined
  /** How long a request may wait for its answer's head after its body is sent, in milliseconds. */
  readonly firstByteMs: number
  /** How long a body may stand still, in milliseconds. */
  readonly idleMs: number
}

/** Bytes of a blob from an offset on: at least one, unless the blob is empty. */
export interface BlobRange {
  readonly bytes: Buffer
  /** Of the whole blob. */
  readonly totalBytes: number
  readonly etag: string
  /** Of the whole blob, where its writer stored one. */
  readonly md5: Uint8Array | undefined
}

/** What the service knows of a blob without its bytes. */
export interface BlobFacts {
  readonly totalBytes: number
  readonly metadata: Readonly<Record<string, string>>
}

/** One page of a folder. */
export interface FolderPage {
  readonly blobs: readonly { readonly name: string; readonly modifiedMs: number; readonly bytes: number }[]
  /** Names of the folders in it. */
  readonly folders: readonly string[]
  /** Where the next page begins; undefined on the last one. */
  readonly next: string | undefined
}

type Progress = (progress: { readonly loadedBytes: number }) => void

/** A body is handed to the socket in pieces of this size, so that a slow upload is seen to move. */
const pieceBytes = 64 * 1024

/**
 * The requests that a table needs of its container: each is one HTTP request, bounded in time and memory.
 *
 * The SDK has no client timeout, so a silent server would hang for ever; it also does not repeat a body that
 * breaks off (https://github.com/Azure/azure-sdk-for-js/issues/32268). Nothing is repeated here: errors are the
 * SDK's, and `storageFailure` reads them.
 */
export class ContainerRequests {
  readonly #options: ContainerRequestsOptions

  constructor(options: ContainerRequestsOptions) {
    this.#options = options
  }

  /** Creates or replaces a blob in one atomic step, unless its bytes differ from their checksum on arrival. */
  async put(
    name: string,
    bytes: Buffer,
    options: { readonly ifAbsent?: boolean; readonly metadata?: Record<string, string> } = {},
  ): Promise<void> {
    await this.#sending(bytes, (client, body, abortSignal, onProgress) =>
      // `upload` is one Put Blob whatever the size; `uploadData` may become a block list, which is not atomic.
      client.getBlockBlobClient(name).upload(body, bytes.length, {
        abortSignal,
        onProgress,
        blobHTTPHeaders: { blobContentMD5: md5Of(bytes) },
        ...(options.ifAbsent === true ? { conditions: { ifNoneMatch: '*' } } : {}),
        ...(options.metadata === undefined ? {} : { metadata: options.metadata }),
      }),
    )
  }

  /** Uploads a part of a blob that is not visible before `commitBlocks`. Doing it twice is doing it once. */
  async stageBlock(name: string, blockId: string, bytes: Buffer): Promise<void> {
    await this.#sending(bytes, (client, body, abortSignal, onProgress) =>
      client.getBlockBlobClient(name).stageBlock(blockId, body, bytes.length, {
        abortSignal,
        onProgress,
        transactionalContentMD5: md5Of(bytes),
      }),
    )
  }

  /** Makes staged blocks a blob. Doing it twice is doing it once. @param md5 of the whole */
  async commitBlocks(name: string, blockIds: readonly string[], md5: Uint8Array): Promise<void> {
    await this.#answering((client, abortSignal) =>
      client
        .getBlockBlobClient(name)
        .commitBlockList([...blockIds], { abortSignal, blobHTTPHeaders: { blobContentMD5: md5 } }),
    )
  }

  /**
   * Reads a range; a body that breaks off after its first byte counts as a shorter range.
   *
   * @param etag when the blob is another one by now, the request fails
   * @returns undefined when there is no such blob
   */
  async range(name: string, offset: number, maxBytes: number, etag?: string): Promise<BlobRange | undefined> {
    const { firstByteMs, idleMs } = this.#options
    try {
      return await this.#inTime(firstByteMs, async (client, deadline) => {
        const response = await client.getBlobClient(name).download(offset, maxBytes, {
          abortSignal: deadline.signal,
          ...(etag === undefined ? {} : { conditions: { ifMatch: etag } }),
        })
        const length = response.contentLength ?? maxBytes
        const body = response.readableStreamBody as AsyncIterable<Buffer> | undefined
        const bytes = await collect(body ?? [], Math.min(length, maxBytes), () =>
          deadline.next('piece of a body', idleMs),
        )
        const total = Number(response.contentRange?.split('/')[1])
        return {
          bytes,
          totalBytes: Number.isSafeInteger(total) ? total : length,
          etag: response.etag ?? '',
          md5: response.blobContentMD5,
        }
      })
    } catch (error) {
      const failure = storageFailure(error)
      if (failure?.kind === 'missing') return undefined
      // No range of an empty blob can be satisfied.
      if (failure?.status === 416 && offset === 0) {
        return { bytes: Buffer.alloc(0), totalBytes: 0, etag: '', md5: undefined }
      }
      throw error
    }
  }

  /** @returns undefined when there is no such blob. */
  async facts(name: string): Promise<BlobFacts | undefined> {
    try {
      const found = await this.#answering((client, abortSignal) =>
        client.getBlobClient(name).getProperties({ abortSignal }),
      )
      return { totalBytes: found.contentLength ?? 0, metadata: found.metadata ?? {} }
    } catch (error) {
      if (storageFailure(error)?.kind === 'missing') return undefined
      throw error
    }
  }

  /** Deletes a blob; one that is not there is no error. */
  async remove(name: string): Promise<void> {
    try {
      await this.#answering((client, abortSignal) => client.getBlobClient(name).delete({ abortSignal }))
    } catch (error) {
      if (storageFailure(error)?.kind !== 'missing') throw error
    }
  }

  /** Lists what lies directly in a folder. @param folder a prefix that is empty or ends in `/` */
  async page(folder: string, marker: string | undefined, maxNames: number): Promise<FolderPage> {
    return this.#answering(async (client, abortSignal) => {
      const pages = client
        // Without its metadata a folder of a hierarchical account looks like an empty blob.
        .listBlobsByHierarchy('/', { prefix: folder, includeMetadata: true, abortSignal })
        .byPage({ maxPageSize: maxNames, ...(marker === undefined ? {} : { continuationToken: marker }) })
      const step = await pages.next()
      if (step.done === true) return { blobs: [], folders: [], next: undefined }
      const { segment, continuationToken } = step.value
      const folders = new Set((segment.blobPrefixes ?? []).map(({ name }) => name))
      return {
        blobs: segment.blobItems
          .filter((item) => !isFolder(item, folders))
          .map(({ name, properties }) => ({
            name: name.slice(folder.length),
            modifiedMs: properties.lastModified.getTime(),
            bytes: properties.contentLength ?? 0,
          }))
          .filter(({ name }) => name !== ''),
        folders: [...folders].map((name) => name.slice(folder.length, -1)),
        next: continuationToken === '' ? undefined : continuationToken,
      }
    })
  }

  /** A request whose answer is small. */
  #answering<T>(request: (client: ContainerClient, abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#inTime(this.#options.firstByteMs, (client, { signal }) => request(client, signal))
  }

  /** A request with a body. */
  async #sending(
    bytes: Buffer,
    request: (
      client: ContainerClient,
      body: () => Readable,
      abortSignal: AbortSignal,
      onProgress: Progress,
    ) => Promise<unknown>,
  ): Promise<void> {
    const { firstByteMs, idleMs } = this.#options
    const body = () => Readable.from(piecesOf(bytes), { objectMode: false })
    await this.#inTime(firstByteMs, (client, deadline) =>
      request(client, body, deadline.signal, ({ loadedBytes }) =>
        loadedBytes < bytes.length
          ? deadline.next('progress of a body', idleMs)
          : deadline.next('answer', firstByteMs),
      ),
    )
  }

  async #inTime<T>(
    ms: number,
    request: (client: ContainerClient, deadline: Deadline) => Promise<T>,
  ): Promise<T> {
    const { clients, clock, signal } = this.#options
    const attempt = async ({ client }: OpenedClient): Promise<T> => {
      const deadline = new Deadline(clock, 'answer', ms, signal)
      try {
        return await request(client, deadline)
      } finally {
        deadline.clear()
      }
    }
    const opened = await clients.current()
    try {
      return await attempt(opened)
    } catch (error) {
      // A refused request was not executed, so asking again with another credential cannot do it twice.
      const renewed = storageFailure(error)?.kind === 'denied' ? await clients.renewed(opened) : undefined
      if (renewed === undefined) throw error
      return attempt(renewed)
    }
  }
}

function isFolder({ name, metadata }: BlobItem, folders: ReadonlySet<string>): boolean {
  return metadata?.hdi_isfolder === 'true' || folders.has(`${name}/`)
}

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += pieceBytes) yield bytes.subarray(from, from + pieceBytes)
}

async function collect(
  body: AsyncIterable<Buffer> | Iterable<Buffer>,
  bytes: number,
  moved: () => void,
): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  let filled = 0
  try {
    moved()
    for await (const piece of body) {
      filled += piece.copy(buffer, filled, 0, Math.min(piece.length, buffer.length - filled))
      moved()
    }
  } catch (error) {
    if (filled === 0) throw error
  }
  return filled === buffer.length ? buffer : buffer.subarray(0, filled)
}

function md5Of(bytes: Buffer): Buffer {
  return createHash('md5').update(bytes).digest()
}
