import type { ContainerClient } from '@azure/storage-blob'
import { ContainerConnection, type OpenedContainer } from '../../azure/container-connection.ts'
import { isOfService, isRestError, serviceCode } from '../../azure/failure.ts'
import { parseListing, requireListed, takeListing } from '../../azure/listing.ts'
import { downloadRange } from '../../azure/range-body.ts'
import {
  type AzureRequest,
  credentialOf,
  isRefusal,
  sasTermsOf,
  translateAzureError,
} from '../../azure/source-errors.ts'
import { type Clock, Deadline, systemClock } from '../../clock.ts'
import { instantOf } from '../../records.ts'
import type { BlobRead, BlobReader, BlobType, ListedPage, ListRequest, ReadRequest } from '../blob-reader.ts'
import { Admission } from './admission.ts'
import { RangeMemory } from './range-memory.ts'

export interface AzureBlobReaderOptions {
  /** Limit of the time until the head of the answer, in milliseconds; getting a credential is part of it. Default 30,000. */
  readonly firstByteMs?: number | undefined
  /** Limit of the time between two parts of a body, in milliseconds. Default 30,000. */
  readonly idleMs?: number | undefined
  /** Default: the machine's. */
  readonly clock?: Clock | undefined
}

/**
 * Reads blobs through `@azure/storage-blob`, one bounded range per request.
 *
 * The SDK has no client timeout and does not resume a truncated body
 * (https://github.com/Azure/azure-sdk-for-js/issues/32268), so a truncated body returns the bytes that arrived, and the
 * caller reads on from there. An answer with another range than requested is a failed read. If-Match is never sent: on a
 * growing blob, an append between two ranges would fail the second one.
 *
 * A refused request is sent once more if its connection can get a new credential.
 */
export class AzureBlobReader implements BlobReader {
  readonly container: string
  #connection: ContainerConnection
  #firstByteMs: number
  #idleMs: number
  #clock: Clock
  #admission = new Admission()
  #memory = new RangeMemory()

  /** @param source a client with a fixed credential, or a connection that renews it */
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
      let release: (() => void) | undefined
      const allocate = (needed: number): Buffer => {
        const taken = this.#memory.take(needed)
        release = taken.release
        return taken.buffer
      }
      try {
        const { bytes, totalBytes, response } = await downloadRange(
          client.getBlobClient(blobName),
          { offset, maxBytes },
          {
            deadline,
            idleMs: this.#idleMs,
            allocate,
            conditions: ifNoneMatch === undefined ? undefined : { ifNoneMatch },
          },
        )
        signal?.throwIfAborted()
        return {
          kind: 'bytes',
          bytes,
          release,
          totalBytes,
          etag: response.etag as string,
          createdAt: instantOf(response.createdOn),
          blobType: blobTypeOf(response.blobType),
        }
      } catch (error) {
        if (!isRestError(error) || signal?.aborted === true) throw error
        if (error.statusCode === 304 && ifNoneMatch !== undefined) return { kind: 'unchanged' }
        // An answer that a proxy made up must not be taken for the end of a blob.
        if (!isOfService(error)) throw error
        if (error.statusCode === 416) return { kind: 'nothing-there' }
        // A missing container is no failure either: Azure Monitor creates it with the first record.
        const service = serviceCode(error)
        if (error.statusCode === 404 && !isRefusal(404, service, credentialOf(client)))
          return { kind: 'missing', what: service === 'ContainerNotFound' ? 'container' : 'blob' }
        throw error
      }
    })
  }

  async listPage({ prefix, marker, folders, pageNames, signal }: ListRequest): Promise<ListedPage> {
    // The SDK returns nothing before the whole answer has arrived, so one deadline covers its head and its body.
    const deadline = new Deadline(this.#clock, 'page', this.#firstByteMs + this.#idleMs, signal)
    // Folders may be marked by metadata alone, without which they would be taken for empty blobs.
    const options = { prefix, includeMetadata: true, abortSignal: deadline.signal }
    const maxPageSize = pageNames ?? 5_000
    const paging = marker === undefined ? { maxPageSize } : { maxPageSize, continuationToken: marker }
    return this.#ask({ kind: 'list', name: prefix }, deadline, async ({ client }) => {
      const body = takeListing(client, deadline.signal)
      const pages =
        folders === true
          ? client.listBlobsByHierarchy('/', options).byPage(paging)
          : client.listBlobsFlat(options).byPage(paging)
      await deadline.race(pages.next())
      const listing = parseListing(body())
      requireListed(listing, prefix)
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

  /** Sends a request, once more with a new credential if it is refused, and translates its error. */
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
      this.#admission.granted(request.kind)
      return answer
    } catch (error) {
      if (deadline.expired === undefined && deadline.signal.aborted) throw deadline.signal.reason
      const nowMs = this.#clock.now()
      const service = isRestError(error) ? serviceCode(error) : undefined
      throw translateAzureError(deadline.expired ?? error, {
        ...request,
        container: this.container,
        credential: opened === undefined ? 'nothing' : credentialOf(opened.client),
        sas: opened === undefined ? undefined : sasTermsOf(opened.client),
        nowMs,
        wasAdmitted: this.#admission.wasGranted,
        refusalMayPass: isRefused(error, opened) && this.#admission.refused(request.kind, service, nowMs),
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
      if (!isRefused(error, opened) || deadline.signal.aborted) throw error
      const renewed = await deadline.race(this.#connection.renewed(opened))
      if (renewed === undefined) throw error
      return await send(renewed)
    }
  }
}

function isRefused(error: unknown, opened: OpenedContainer | undefined): boolean {
  const credential = opened === undefined ? 'nothing' : credentialOf(opened.client)
  return isRestError(error) && isRefusal(error.statusCode, serviceCode(error), credential)
}

function blobTypeOf(name: string | undefined): BlobType {
  return name === 'BlockBlob' ? 'block' : name === 'PageBlob' ? 'page' : 'append'
}
