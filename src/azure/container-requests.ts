import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { ContainerClient } from '@azure/storage-blob'
import { type Clock, Deadline } from '../clock.ts'
import { type StorageFailure, storageFailure, WrongAnswer } from './failure.ts'
import { parseListing, requireListed, takeListing } from './listing.ts'
import { downloadRange } from './range-body.ts'

/** A client with the credential that was current when it was created. */
export interface OpenedClient {
  readonly client: ContainerClient
}

/** Provides clients of one container, and a new one when storage refuses the credential. */
export interface ContainerClients {
  current(): Promise<OpenedClient>
  /** @returns undefined when there is no other credential */
  renewed(refused: OpenedClient): Promise<OpenedClient | undefined>
}

export interface ContainerRequestsOptions {
  readonly clients: ContainerClients
  readonly clock: Clock
  /** Aborts requests in progress. */
  readonly signal?: AbortSignal | undefined
  /** Limit between the end of the request and the head of its answer, in milliseconds. */
  readonly firstByteMs: number
  /** Limit without progress of a body, in milliseconds. */
  readonly idleMs: number
}

/** A range of a blob: at least one byte, unless the blob is empty. */
export interface BlobRange {
  readonly bytes: Buffer
  /** Size of the whole blob. */
  readonly totalBytes: number
  readonly etag: string
  /** Checksum of the whole blob; undefined if its writer stored none. */
  readonly md5: Uint8Array | undefined
}

/** The properties of a blob, read without its content. */
export interface BlobFacts {
  readonly totalBytes: number
  readonly metadata: Readonly<Record<string, string>>
  /** When the service answered, by its own clock, in milliseconds since the epoch; undefined if the answer does not say. */
  readonly answeredAtMs: number | undefined
}

/** One request for a page of a folder. */
export interface FolderRequest {
  /** A prefix that is empty or ends in `/`. */
  readonly folder: string
  /** Only names in the folder that begin with it are listed. */
  readonly prefix: string
  /** `FolderPage.next` of the page before; undefined for the first page. */
  readonly marker?: string | undefined
  /** 5,000 at most: https://learn.microsoft.com/rest/api/storageservices/list-blobs */
  readonly maxNames: number
}

/** One page of a folder, ordered by the bytes of the names. */
export interface FolderPage {
  readonly blobs: readonly { readonly name: string; readonly modifiedMs: number; readonly bytes: number }[]
  /** Names of the subfolders, without `/`. */
  readonly folders: readonly string[]
  /** Marker of the next page; undefined on the last page. */
  readonly next: string | undefined
}

type Progress = (progress: { readonly loadedBytes: number }) => void

/** An upload is sent in pieces of this size, so that the progress of a slow one can be observed. */
const pieceBytes = 64 * 1024

/**
 * The requests that a table sends to its container. Each is one HTTP request, bounded in time and memory.
 *
 * The SDK has no client timeout, so a silent server would hold a request forever; and it does not resume a body that
 * breaks off (https://github.com/Azure/azure-sdk-for-js/issues/32268). Nothing is retried here. Errors are those of the
 * SDK, or have names like them; `storageFailure` classifies them.
 */
export class ContainerRequests {
  readonly #options: ContainerRequestsOptions

  constructor(options: ContainerRequestsOptions) {
    this.#options = options
  }

  /** Creates or replaces a blob atomically. The service refuses bytes that do not match their checksum. */
  async put(
    name: string,
    bytes: Buffer,
    options: {
      readonly ifAbsent?: boolean | undefined
      readonly metadata?: Record<string, string> | undefined
    } = {},
  ): Promise<void> {
    await this.#sending(bytes, (client, body, abortSignal, onProgress) =>
      // `upload` is one Put Blob whatever the size; `uploadData` may become a block list, which is not atomic.
      client.getBlockBlobClient(name).upload(body, bytes.length, {
        abortSignal,
        onProgress,
        blobHTTPHeaders: { blobContentMD5: md5Of(bytes) },
        conditions: options.ifAbsent === true ? { ifNoneMatch: '*' } : {},
        metadata: options.metadata ?? {},
      }),
    )
  }

  /** Uploads a block of a blob, which becomes visible with `commitBlocks`. Idempotent. */
  async stageBlock(name: string, blockId: string, bytes: Buffer): Promise<void> {
    await this.#sending(bytes, (client, body, abortSignal, onProgress) =>
      client.getBlockBlobClient(name).stageBlock(blockId, body, bytes.length, {
        abortSignal,
        onProgress,
        transactionalContentMD5: md5Of(bytes),
      }),
    )
  }

  /** Creates a blob from staged blocks. Idempotent. @param md5 of the whole blob */
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
   * @param etag the request fails if the blob has another one
   * @returns undefined when the blob does not exist
   */
  async range(name: string, offset: number, maxBytes: number, etag?: string): Promise<BlobRange | undefined> {
    const { firstByteMs, idleMs } = this.#options
    try {
      return await this.#inTime(firstByteMs, async (client, deadline) => {
        const asked = { offset, maxBytes }
        const { bytes, totalBytes, response } = await downloadRange(client.getBlobClient(name), asked, {
          deadline,
          idleMs,
          conditions: etag === undefined ? {} : { ifMatch: etag },
        })
        return { bytes, totalBytes, etag: response.etag as string, md5: response.blobContentMD5 }
      })
    } catch (error) {
      const failure = this.#failureOf(error)
      if (failure?.kind === 'missing') return undefined
      // The service answers 416 to any range of an empty blob.
      if (failure?.status === 416 && offset === 0) {
        return { bytes: Buffer.alloc(0), totalBytes: 0, etag: '', md5: undefined }
      }
      throw error
    }
  }

  /** @returns undefined when the blob does not exist */
  async facts(name: string): Promise<BlobFacts | undefined> {
    try {
      const found = await this.#answering((client, abortSignal) =>
        client.getBlobClient(name).getProperties({ abortSignal }),
      )
      if (found.blobType === undefined || found.contentLength === undefined)
        throw new WrongAnswer('no properties of a blob', found)
      return {
        totalBytes: found.contentLength,
        metadata: found.metadata ?? {},
        answeredAtMs: found.date?.getTime(),
      }
    } catch (error) {
      if (this.#failureOf(error)?.kind === 'missing') return undefined
      throw error
    }
  }

  /** Deletes a blob if it exists. */
  async remove(name: string): Promise<void> {
    try {
      await this.#answering((client, abortSignal) => client.getBlobClient(name).delete({ abortSignal }))
    } catch (error) {
      if (this.#failureOf(error)?.kind !== 'missing') throw error
    }
  }

  /** Lists one page of a folder, without the content of its subfolders. */
  async page({ folder, prefix, marker, maxNames }: FolderRequest): Promise<FolderPage> {
    return this.#answering(async (client, abortSignal) => {
      const body = takeListing(client, abortSignal)
      await client
        // Accounts with a hierarchical namespace list folders as empty blobs; only their metadata shows it.
        .listBlobsByHierarchy('/', { prefix: folder + prefix, includeMetadata: true, abortSignal })
        .byPage(
          marker === undefined
            ? { maxPageSize: maxNames }
            : { maxPageSize: maxNames, continuationToken: marker },
        )
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

  /** Sends a request with a small answer. */
  #answering<T>(request: (client: ContainerClient, abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#inTime(this.#options.firstByteMs, (client, { signal }) => request(client, signal))
  }

  /** Sends a request with a body. */
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
        // A refused request was not executed, so sending it again cannot execute it twice.
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
