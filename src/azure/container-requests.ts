import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ContainerClient } from '@azure/storage-blob'
import type { Clock } from '../clock.ts'
import { Deadline } from '../deadline.ts'
import { type StorageFailure, storageFailure } from './failure.ts'
import { parseListing, requireListed, takeListing } from './listing.ts'
import { downloadRange } from './range-body.ts'
import { WrongAnswer } from './wrong-answer.ts'

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

/** What to list. */
export interface FolderRequest {
  /** A prefix that is empty or ends in `/`. */
  readonly folder: string
  /** Leaves out the names in the folder that do not begin with it. */
  readonly prefix: string
  /** Where an earlier page said that the next one begins. */
  readonly marker?: string | undefined
  /** 5,000 at most: https://learn.microsoft.com/rest/api/storageservices/list-blobs */
  readonly maxNames: number
}

/** One page of a folder, in the order of the names' bytes. */
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
 * SDK's or named like its own, and `storageFailure` reads them.
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
        const asked = { offset, maxBytes }
        const { bytes, totalBytes, response } = await downloadRange(client.getBlobClient(name), asked, {
          deadline,
          idleMs,
          ...(etag === undefined ? {} : { conditions: { ifMatch: etag } }),
        })
        return { bytes, totalBytes, etag: response.etag as string, md5: response.blobContentMD5 }
      })
    } catch (error) {
      const failure = this.#failureOf(error)
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
      if (found.blobType === undefined || found.contentLength === undefined)
        throw new WrongAnswer('no properties of a blob')
      return { totalBytes: found.contentLength, metadata: found.metadata ?? {} }
    } catch (error) {
      if (this.#failureOf(error)?.kind === 'missing') return undefined
      throw error
    }
  }

  /** Deletes a blob; one that is not there is no error. */
  async remove(name: string): Promise<void> {
    try {
      await this.#answering((client, abortSignal) => client.getBlobClient(name).delete({ abortSignal }))
    } catch (error) {
      if (this.#failureOf(error)?.kind !== 'missing') throw error
    }
  }

  /** Lists what lies directly in a folder. */
  async page({ folder, prefix, marker, maxNames }: FolderRequest): Promise<FolderPage> {
    return this.#answering(async (client, abortSignal) => {
      const body = takeListing(client, abortSignal)
      await client
        // Without its metadata a folder of a hierarchical account looks like an empty blob.
        .listBlobsByHierarchy('/', { prefix: folder + prefix, includeMetadata: true, abortSignal })
        .byPage({ maxPageSize: maxNames, ...(marker === undefined ? {} : { continuationToken: marker }) })
        .next()
      const listing = parseListing(body())
      requireListed(listing, folder + prefix)
      const { blobs, folders, next } = listing
      const marked = new Set(folders)
      return {
        blobs: blobs
          .filter(({ name }) => name !== folder && !marked.has(`${name}/`))
          .map(({ name, modifiedAtMs, bytes }) => ({
            name: name.slice(folder.length),
            modifiedMs: modifiedAtMs,
            bytes,
          })),
        folders: folders.map((name) => name.slice(folder.length, -1)),
        next,
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
    const deadline = new Deadline(clock, 'credential', ms, signal)
    const send = ({ client }: OpenedClient): Promise<T> => {
      deadline.next('answer', ms)
      return request(client, deadline)
    }
    try {
      const opened = await deadline.race(clients.current())
      try {
        return await send(opened)
      } catch (error) {
        if (deadline.signal.aborted || this.#failureOf(error)?.kind !== 'denied') throw error
        deadline.next('credential', ms)
        const renewed = await deadline.race(clients.renewed(opened))
        if (renewed === undefined) throw error
        // A refused request was not executed, so asking again with another credential cannot do it twice.
        return await send(renewed)
      }
    } catch (error) {
      throw deadline.expired ?? error
    } finally {
      deadline.clear()
    }
  }

  #failureOf(error: unknown): StorageFailure | undefined {
    return storageFailure(error, this.#options.clock.now())
  }
}

function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += pieceBytes) yield bytes.subarray(from, from + pieceBytes)
}

function md5Of(bytes: Buffer): Buffer {
  return createHash('md5').update(bytes).digest()
}
