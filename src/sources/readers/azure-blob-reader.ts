import type { ContainerClient } from '@azure/storage-blob'
import { ContainerConnection, type OpenedContainer } from '../../azure/container-connection.ts'
import { isOfService, isRestError, serviceCode } from '../../azure/failure.ts'
import { parseListing, requireListed, takeListing } from '../../azure/listing.ts'
import { downloadRange } from '../../azure/range-body.ts'
import { type Clock, systemClock } from '../../clock.ts'
import { Deadline } from '../../deadline.ts'
import type { BlobRead, BlobReader, BlobType, ListedPage, ListRequest, ReadRequest } from '../blob-reader.ts'
import { Admission } from './admission.ts'
import {
  type AzureRequest,
  credentialOf,
  isRefusal,
  sasTermsOf,
  translateAzureError,
} from './azure-errors.ts'

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
 * (https://github.com/Azure/azure-sdk-for-js/issues/32268), so a broken body returns what arrived, and the caller asks
 * again from that byte on. An answer that is not the asked range is a failed read. A growing blob is never pinned with If-Match: an
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
  #admission = new Admission()

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
        const { bytes, totalBytes, response } = await downloadRange(
          client.getBlobClient(blobName),
          { offset, maxBytes },
          {
            deadline,
            idleMs: this.#idleMs,
            ...(ifNoneMatch === undefined ? {} : { conditions: { ifNoneMatch } }),
          },
        )
        signal?.throwIfAborted()
        return {
          kind: 'bytes',
          bytes,
          totalBytes,
          etag: response.etag as string,
          createdAt: instantOf(response.createdOn),
          blobType: blobTypeOf(response.blobType),
        }
      } catch (error) {
        if (!isRestError(error) || signal?.aborted === true) throw error
        if (error.statusCode === 304 && ifNoneMatch !== undefined) return { kind: 'unchanged' }
        // What a proxy says on its own must not pass for the end of a blob.
        if (!isOfService(error)) throw error
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

function blobTypeOf(told: string | undefined): BlobType {
  return told === 'BlockBlob' ? 'block' : told === 'PageBlob' ? 'page' : 'append'
}

/** @returns an instant to the second, which is what the service keeps: `20261124T084700Z`. */
export function instantOf(createdOn: Date | undefined): string {
  if (createdOn === undefined) return 'unknown'
  return createdOn.toISOString().replace(/[-:]|\.\d+/g, '')
}
