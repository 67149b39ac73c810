/** The service's own distinction; a tailer is made for the first, and reads the second as what it is now. */
export type BlobType = 'append' | 'block' | 'page'

/** What one conditional range request told. */
export type BlobRead =
  /** Bytes from `offset` on; `totalBytes` may be more than what was asked for. */
  | {
      readonly kind: 'bytes'
      readonly bytes: Buffer
      readonly totalBytes: number
      readonly etag: string
      /** When the blob was created, as `20261124T084700Z`: a hint at its generation, not a proof. */
      readonly createdAt: string
      readonly blobType: BlobType
    }
  /** Nothing changed since the given ETag. */
  | { readonly kind: 'unchanged' }
  /** The blob exists and has no byte at `offset`: it is empty, or shorter than it was. */
  | { readonly kind: 'nothing-there' }
  /** The blob, or its container, does not exist (yet, or any more). */
  | { readonly kind: 'missing'; readonly what: 'blob' | 'container' }

export interface ReadRequest {
  readonly offset: number
  readonly maxBytes: number
  /** Only meaningful when the previous read reached the blob's end. */
  readonly ifNoneMatch?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** One blob as a listing shows it. */
export interface ListedBlob {
  /** Name within the container. */
  readonly name: string
  readonly bytes: number
  /** When the blob was created, as `20261124T084700Z`. */
  readonly createdAt: string
  readonly modifiedAtMs: number
}

export interface ListRequest {
  /** Only blobs whose name begins with it; empty for all. Case counts. */
  readonly prefix: string
  /** Where the previous page ended. */
  readonly marker?: string | undefined
  /** Stop at the next `/` behind the prefix: what lies deeper is told as a folder. Default false. */
  readonly folders?: boolean | undefined
  /** Names on one page, at most 5,000. Default 5,000. */
  readonly pageNames?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** One page of a listing, which is one request. */
export interface ListedPage {
  /** In name order. */
  readonly blobs: readonly ListedBlob[]
  /** Prefixes that end in `/`, in name order; only where `folders` was asked for. */
  readonly folders: readonly string[]
  /** Where the next page begins; undefined on the last one. */
  readonly next: string | undefined
}

/**
 * Reads blobs of one container. One call is one request of the service.
 *
 * Implementations translate their service's errors: SOURCE_UNAVAILABLE for what may pass, SOURCE_DENIED and
 * SOURCE_MISSING (the container of a listing) for what will not.
 */
export interface BlobReader {
  readonly container: string
  read(blobName: string, request: ReadRequest): Promise<BlobRead>
  listPage(request: ListRequest): Promise<ListedPage>
}
