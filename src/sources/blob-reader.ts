/** The service's three types. A tailer follows append blobs; a block blob is read as it is at the moment. */
export type BlobType = 'append' | 'block' | 'page'

/** The result of one conditional range request. */
export type BlobRead =
  /** Bytes from `offset` on, at most `maxBytes`; `totalBytes` is the blob's length. */
  | {
      readonly kind: 'bytes'
      readonly bytes: Buffer
      /** Ends the use of `bytes`: their memory gets other bytes. Without the call, the garbage collector takes it. */
      readonly release?: (() => void) | undefined
      readonly totalBytes: number
      readonly etag: string
      /** When the blob was created, as `20261124T084700Z`. An overwrite need not change it, so it does not prove the generation. */
      readonly createdAt: string
      readonly blobType: BlobType
    }
  /** The blob still has the given ETag. */
  | { readonly kind: 'unchanged' }
  /** The blob has no byte at `offset`: it is empty, or shorter than before. */
  | { readonly kind: 'nothing-there' }
  /** The blob, or its container, does not exist. */
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
  /** `next` of the previous page. Default: the first page. */
  readonly marker?: string | undefined
  /** List only up to the next `/` behind the prefix, and deeper names as folders. Default false. */
  readonly folders?: boolean | undefined
  /** Names on one page, at most 5,000. Default 5,000. */
  readonly pageNames?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** One page of a listing, which is one request. */
export interface ListedPage {
  /** In name order. */
  readonly blobs: readonly ListedBlob[]
  /** Prefixes that end in `/`, in name order; empty unless `folders` was set. */
  readonly folders: readonly string[]
  /** Marker of the next page; undefined on the last one. */
  readonly next: string | undefined
}

/**
 * Reads blobs of one container. One call is one request of the service.
 *
 * Implementations translate their service's errors: SOURCE_UNAVAILABLE when a retry may succeed, SOURCE_DENIED,
 * SOURCE_UNSUPPORTED and SOURCE_MISSING (the container of a listing) when none will.
 */
export interface BlobReader {
  readonly container: string
  read(blobName: string, request: ReadRequest): Promise<BlobRead>
  listPage(request: ListRequest): Promise<ListedPage>
}
