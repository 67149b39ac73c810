import type { RetryOptions } from '../../retry.ts'
import type { ListedBlob } from '../blob-reader.ts'

export interface ScanScope {
  /** List everything, due or not. Default false. */
  readonly everything?: boolean | undefined
}

/** Finds the blobs of a source by repeated scans of a listing. */
export interface BlobDiscovery {
  /** The listed part of the container, for logs and messages: `logs/pg/**`. */
  readonly described: string
  /** Listing requests of the last finished scan, retries included. */
  readonly lastScanRequests: number
  /**
   * One scan: blobs in name order, a page in memory at a time. Parts of the listing that are not due may be left out.
   *
   * A container that changes while it is listed may show a blob twice or out of order; a name comes twice only if more
   * than a page lies between. The next scan repeats one that failed or was not read to its end.
   *
   * @param nowMs milliseconds since the epoch; never earlier than in the scan before
   * @throws SOURCE_MISSING (the container), SOURCE_DENIED
   */
  scan(nowMs: number, retrying: RetryOptions, scope?: ScanScope): AsyncIterable<ListedBlob>
}
