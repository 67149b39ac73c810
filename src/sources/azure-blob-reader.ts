import type { Readable } from 'node:stream'
import type { BlobDownloadResponseParsed, ContainerClient } from '@azure/storage-blob'
import { Deadline } from '../azure/deadline.ts'
import { parseListing } from '../azure/list-xml.ts'
import { isRestError, serviceCode } from '../azure/sdk-error.ts'
import { takeListing } from '../azure/take-listing.ts'
import { type Clock, systemClock } from '../clock.ts'
import { translateAzureError } from './azure-errors.ts'
import { isRefusal } from './azure-refusals.ts'
import { type AzureRequest, credentialOf } from './azure-request.ts'
import type { BlobRead, BlobReader, BlobType, ListedPage, ListRequest, ReadRequest } from './blob-reader.ts'
import { ContainerConnection, type OpenedContainer } from './container-connection.ts'
import { instantOf } from './instant-of.ts'

export interface AzureBlobReaderOptions {
  /** How long a request may wait for its answer's head, credential included, in milliseconds. Default 30,000. */
  readonly firstByteMs?: number
  /** How long a body may stand still, in milliseconds. Default 30,000. */
  readonly idleMs?: number
  /** Default the machine's. */
  readonly clock?: Clock
}

/**
 * Reads blobs through `@azure/storage-blob`, one bounded range per request.
 *
 * The SDK has no client timeout and does not repeat a body that breaks off
 * (https://github.com/Azure/azure-sdk-for-js/issues/32268), so both are done here: a broken body returns what
 * arrived, and the caller asks again from that byte on. A growing blob is never pinned with If-Match: an
 * append between two ranges would fail the second one.
 *
 * A request that is refused is repeated once if its connection has a fresh credential to offer.
 */
export class AzureBlobReader implements BlobReader {
  readonly container: string
  #connection: ContainerConnection
  #firstByteMs: number
  #idleMs: number
  #clock: Clock
  #wasAdmitted = false

  /** @param source a client, whose credential stays as it is, or a connection that renews it */
  constructor(source: ContainerClient | ContainerConnection, options: AzureBlobReaderOptions = {}) {
    this.#clock = options.clock ?? systemClock
    this.#connection =
      source instanceof ContainerConnection ? source : ContainerConnection.of(source, this.#clock)
    this.container = this.#connection.container
    this.#firstByteMs = options.firstByteMs ?? 30_000
    this.#idleMs = options.idleMs ?? 30_000
  }

  async read(blobName: string, { offset, maxBytes, ifNoneMatch, signal }: ReadRequest): Promise<BlobRead> {
    const deadline = new Deadline(this.#clock, 'head of an answer', this.#firstByteMs, signal)
    return this.#ask({ kind: 'read', name: blobName }, deadline, async ({ client }) => {
      try {
        const answer = client.getBlobClient(blobName).download(offset, maxBytes, {
          abortSignal: deadline.signal,
          // Its repetitions would pin the first ETag.
          maxRetryRequests: 0,
          ...(ifNoneMatch === undefined ? {} : { conditions: { ifNoneMatch } }),
        })
        const response = await deadline.race(answer, discard)
        const bytes = await collect(response, { offset, maxBytes, deadline, idleMs: this.#idleMs })
        signal?.throwIfAborted()
        return {
          kind: 'bytes',
          bytes,
          totalBytes: totalBytes(response, offset + bytes.length),
          etag: response.etag ?? '',
          createdAt: instantOf(response.createdOn),
          blobType: blobTypeOf(response.blobType),
        }
      } catch (error) {
        if (!isRestError(error) || signal?.aborted === true) throw error
        if (error.statusCode === 304) return { kind: 'unchanged' }
        if (error.statusCode === 416) return { kind: 'nothing-there' }
        // A container that does not exist yet answers alike: Azure Monitor makes it with the first record.
        const service = serviceCode(error)
        if (error.statusCode === 404 && !isRefusal(404, service, credentialOf(client)))
          return { kind: 'missing', what: service === 'ContainerNotFound' ? 'container' : 'blob' }
        throw error
      }
    })
  }

  async listPage({ prefix, marker, folders, pageNames, signal }: ListRequest): Promise<ListedPage> {
    // The SDK reads the answer to its end before it tells anything of it, so its body's time is part of the one wait.
    const deadline = new Deadline(this.#clock, 'page', this.#firstByteMs + this.#idleMs, signal)
    // Where folders are marked by metadata alone, nothing else tells them from empty blobs.
    const options = { prefix, includeMetadata: true, abortSignal: deadline.signal }
    const paging = {
      maxPageSize: pageNames ?? 5_000,
      ...(marker === undefined ? {} : { continuationToken: marker }),
    }
    return this.#ask({ kind: 'list', name: prefix }, deadline, async ({ client }) => {
      const body = takeListing(client, deadline.signal)
      const pages =
        folders === true
          ? client.listBlobsByHierarchy('/', options).byPage(paging)
          : client.listBlobsFlat(options).byPage(paging)
      await deadline.race(pages.next())
      const listing = parseListing(body())
      return {
        blobs: listing.blobs.map(({ name, bytes, createdAtMs, modifiedAtMs }) => ({
          name,
          bytes,
          createdAt: instantOf(createdAtMs === undefined ? undefined : new Date(createdAtMs)),
          modifiedAtMs,
        })),
        folders: listing.folders,
        next: listing.next,
      }
    })
  }

  /** Sends a request, once more with a fresh credential if it is refused, and translates what goes wrong. */
  async #ask<T>(
    request: Pick<AzureRequest, 'kind' | 'name'>,
    deadline: Deadline,
    send: (opened: OpenedContainer) => Promise<T>,
  ): Promise<T> {
    let opened: OpenedContainer | undefined
    try {
      opened = await deadline.race(this.#connection.current())
      const answer = await this.#sendOrRenew(opened, deadline, async (used) => {
        opened = used
        return send(used)
      })
      this.#wasAdmitted = true
      return answer
    } catch (error) {
      if (deadline.expired === undefined && deadline.signal.aborted) throw deadline.signal.reason
      throw translateAzureError(deadline.expired ?? error, {
        ...request,
        container: this.container,
        credential: opened === undefined ? 'nothing' : credentialOf(opened.client),
        sasExpiresAtMs: opened?.sasExpiresAtMs,
        nowMs: this.#clock.now(),
        wasAdmitted: this.#wasAdmitted,
      })
    } finally {
      deadline.clear()
    }
  }

  async #sendOrRenew<T>(
    opened: OpenedContainer,
    deadline: Deadline,
    send: (opened: OpenedContainer) => Promise<T>,
  ): Promise<T> {
    try {
      return await send(opened)
    } catch (error) {
      const refused =
        isRestError(error) && isRefusal(error.statusCode, serviceCode(error), credentialOf(opened.client))
      if (!refused || deadline.signal.aborted) throw error
      const renewed = await deadline.race(this.#connection.renewed(opened))
      if (renewed === undefined) throw error
      return await send(renewed)
    }
  }
}

function blobTypeOf(told: string | undefined): BlobType {
  return told === 'BlockBlob' ? 'block' : told === 'PageBlob' ? 'page' : 'append'
}

function totalBytes(response: BlobDownloadResponseParsed, atLeast: number): number {
  const total = Number(response.contentRange?.split('/')[1])
  return Number.isSafeInteger(total) ? total : atLeast
}

interface Collecting {
  readonly offset: number
  readonly maxBytes: number
  readonly deadline: Deadline
  readonly idleMs: number
}

/** Collects a body; one that breaks off after its first byte counts as a short read. */
async function collect(
  response: BlobDownloadResponseParsed,
  { offset, maxBytes, deadline, idleMs }: Collecting,
): Promise<Buffer> {
  const body = response.readableStreamBody
  if (body === undefined) return Buffer.alloc(0)
  if (firstByte(response) !== offset) {
    discard(response)
    throw new Error(`the answer begins at byte ${firstByte(response)}, not at ${offset}`)
  }
  const promised = response.contentLength ?? maxBytes
  const buffer = Buffer.allocUnsafeSlow(Math.min(maxBytes, promised))
  let filled = 0
  // The SDK ends the body of an aborted request on its own, unless the answer has just come to its end.
  const stop = (): void => discard(response)
  deadline.signal.addEventListener('abort', stop, { once: true })
  try {
    deadline.next('piece of a body', idleMs)
    for await (const piece of body as AsyncIterable<Buffer>) {
      filled += piece.copy(buffer, filled, 0, Math.min(piece.length, buffer.length - filled))
      deadline.touch()
      // An append that races the request may send more than the range, and a proxy that drops the range sends all.
      // Leaving the loop ends the connection; at the usual end the stream ends by itself and keeps it.
      if (filled === buffer.length && promised > filled) break
    }
  } catch (error) {
    if (filled === 0) throw error
  } finally {
    deadline.signal.removeEventListener('abort', stop)
  }
  return filled === buffer.length ? buffer : buffer.subarray(0, filled)
}

/** Where a body begins in the blob: an answer without a range begins at its start. */
function firstByte({ contentRange }: BlobDownloadResponseParsed): number {
  return Number(/^bytes (\d+)-/.exec(contentRange ?? '')?.[1] ?? 0)
}

/** An unread body would keep its connection for good. */
function discard({ readableStreamBody }: BlobDownloadResponseParsed): void {
  const body = readableStreamBody as Readable | undefined
  body?.on('error', () => {}).destroy()
}
