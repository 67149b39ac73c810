/** What one conditional range request told. */
export type BlobRead =
  /** Bytes from `offset` on; `totalBytes` may be more than what was asked for. */
  | {
      readonly kind: 'bytes'
      readonly bytes: Buffer
      readonly totalBytes: number
      readonly etag: string
      /** When the blob was created, as `20261124T084700Z`. */
      readonly generation: string
    }
  /** Nothing changed since the given ETag. */
  | { readonly kind: 'unchanged' }
  /** The blob exists and has no byte at `offset`: it is empty, or shorter than it was. */
  | { readonly kind: 'nothing-there' }
  /** The blob does not exist (yet, or any more). */
  | { readonly kind: 'missing' }

export interface ReadRequest {
  readonly offset: number
  readonly maxBytes: number
  /** Only meaningful when the previous read reached the blob's end. */
  readonly ifNoneMatch?: string
  readonly signal?: AbortSignal
}

/** One blob as a listing shows it. */
export interface ListedBlob {
  /** Name within the container. */
  readonly name: string
  readonly bytes: number
  readonly generation: string
  readonly modifiedAtMs: number
}

/**
 * Reads blobs of one container.
 *
 * Implementations translate their service's errors: SOURCE_UNAVAILABLE for what may pass, SOURCE_DENIED and
 * SOURCE_MISSING (the container) for what will not.
 */
export interface BlobReader {
  readonly container: string
  read(blobName: string, request: ReadRequest): Promise<BlobRead>
  /** Every blob under a prefix, in name order, page by page. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ListedBlob>
}
