import type {
  BlobDownloadResponseParsed,
  ContainerClient,
  ContainerListBlobFlatSegmentResponse,
  ContainerListBlobHierarchySegmentResponse,
} from '@azure/storage-blob'
import { isRestError, translateAzureError } from './azure-errors.ts'
import type { BlobRead, BlobReader, BlobType, ListedPage, ListRequest, ReadRequest } from './blob-reader.ts'
import { Deadline } from './deadline.ts'

export interface AzureBlobReaderOptions {
  /** How long a request may wait for its answer's head, in milliseconds. Default 30,000. */
  readonly firstByteMs?: number
  /** How long a body may stand still, in milliseconds. Default 30,000. */
  readonly idleMs?: number
}

/**
 * Reads blobs through `@azure/storage-blob`, one bounded range per request.
 *
 * The SDK has no client timeout and does not repeat a body that breaks off
 * (https://github.com/Azure/azure-sdk-for-js/issues/32268), so both are done here: a broken body returns what
 * arrived, and the caller asks again from that byte on. A growing blob is never pinned with If-Match: an
 * append between two ranges would fail the second one.
 */
export class AzureBlobReader implements BlobReader {
  readonly container: string
  #client: ContainerClient
  #firstByteMs: number
  #idleMs: number

  constructor(client: ContainerClient, options: AzureBlobReaderOptions = {}) {
    this.#client = client
    this.container = client.containerName
    this.#firstByteMs = options.firstByteMs ?? 30_000
    this.#idleMs = options.idleMs ?? 30_000
  }

  async read(blobName: string, { offset, maxBytes, ifNoneMatch, signal }: ReadRequest): Promise<BlobRead> {
    const deadline = new Deadline(this.#firstByteMs, signal)
    try {
      const response = await this.#client.getBlobClient(blobName).download(offset, maxBytes, {
        abortSignal: deadline.signal,
        ...(ifNoneMatch === undefined ? {} : { conditions: { ifNoneMatch } }),
      })
      const bytes = await collect(response, maxBytes, deadline, this.#idleMs)
      return {
        kind: 'bytes',
        bytes,
        totalBytes: totalBytes(response, offset + bytes.length),
        etag: response.etag ?? '',
        createdAt: instantOf(response.createdOn),
        blobType: blobTypeOf(response.blobType),
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (isRestError(error)) {
        if (error.statusCode === 304) return { kind: 'unchanged' }
        if (error.statusCode === 416) return { kind: 'nothing-there' }
        // A container that does not exist yet answers alike: Azure Monitor makes it with the first record.
        if (error.statusCode === 404)
          return { kind: 'missing', what: error.code === 'ContainerNotFound' ? 'container' : 'blob' }
      }
      throw translateAzureError(error, `reading ${this.container}/${blobName}`)
    } finally {
      deadline.clear()
    }
  }

  async listPage({ prefix, marker, folders, pageNames, signal }: ListRequest): Promise<ListedPage> {
    const options = { prefix, ...(signal === undefined ? {} : { abortSignal: signal }) }
    const paging = {
      maxPageSize: pageNames ?? 5_000,
      ...(marker === undefined ? {} : { continuationToken: marker }),
    }
    try {
      const pages =
        folders === true
          ? this.#client.listBlobsByHierarchy('/', options).byPage(paging)
          : this.#client.listBlobsFlat(options).byPage(paging)
      const step = await pages.next()
      if (step.done === true) return { blobs: [], folders: [], next: undefined }
      const { segment, continuationToken } = step.value
      return {
        blobs: segment.blobItems
          // Accounts with a hierarchical namespace list their folders as empty blobs.
          .filter(({ metadata }) => metadata?.hdi_isfolder !== 'true')
          .map(({ name, properties }) => ({
            name,
            bytes: properties.contentLength ?? 0,
            createdAt: instantOf(properties.createdOn),
            modifiedAtMs: properties.lastModified.getTime(),
          })),
        folders: foldersOf(segment),
        next: continuationToken === '' ? undefined : continuationToken,
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw translateAzureError(error, `listing ${this.container}/${prefix}`)
    }
  }
}

type ListedSegment = (
  | ContainerListBlobFlatSegmentResponse
  | ContainerListBlobHierarchySegmentResponse
)['segment']

/** @returns an instant to the second, which is what the service keeps: `20261124T084700Z`. */
export function instantOf(createdOn: Date | undefined): string {
  if (createdOn === undefined) return 'unknown'
  return createdOn.toISOString().replace(/[-:]|\.\d+/g, '')
}

function foldersOf(segment: ListedSegment): string[] {
  return 'blobPrefixes' in segment ? (segment.blobPrefixes ?? []).map(({ name }) => name) : []
}

function blobTypeOf(told: string | undefined): BlobType {
  return told === 'BlockBlob' ? 'block' : told === 'PageBlob' ? 'page' : 'append'
}

function totalBytes(response: BlobDownloadResponseParsed, atLeast: number): number {
  const total = Number(response.contentRange?.split('/')[1])
  return Number.isSafeInteger(total) ? total : atLeast
}

/** Collects a body; one that breaks off after its first byte counts as a short read. */
async function collect(
  response: BlobDownloadResponseParsed,
  maxBytes: number,
  deadline: Deadline,
  idleMs: number,
): Promise<Buffer> {
  const body = response.readableStreamBody
  if (body === undefined) return Buffer.alloc(0)
  const buffer = Buffer.allocUnsafeSlow(Math.min(maxBytes, response.contentLength ?? maxBytes))
  let filled = 0
  try {
    deadline.extend(idleMs)
    for await (const piece of body as AsyncIterable<Buffer>) {
      // An append that races the request may send more than the range; the next read asks for the rest.
      filled += piece.copy(buffer, filled, 0, Math.min(piece.length, buffer.length - filled))
      deadline.extend(idleMs)
    }
  } catch (error) {
    if (filled === 0) throw error
  }
  return filled === buffer.length ? buffer : buffer.subarray(0, filled)
}
