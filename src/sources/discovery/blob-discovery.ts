import type { RetryOptions } from '../../retry.ts'
import type { ListedBlob } from '../blob-reader.ts'

export interface ScanScope {
  /** Leave nothing out, due or not. Default false. */
  readonly everything?: boolean
}

/** Finds out which blobs there are, one look after the other. */
export interface BlobDiscovery {
  /** What is looked at, for logs and messages: `logs/pg/**`. */
  readonly described: string
  /** Listing requests of the last finished look, repeated ones included. */
  readonly lastScanRequests: number
  /**
   * One look at what there is: blobs in name order, a page in memory at a time. May skip what is not due.
   *
   * A container that changes while it is listed may show a blob twice or out of order; a name comes twice only
   * if more than a page lies between. A look that is left or fails has not taken place: the next one repeats it.
   *
   * @param nowMs milliseconds since the epoch; never earlier than at the look before
   * @throws SOURCE_MISSING (the container), SOURCE_DENIED
   */
  scan(nowMs: number, retrying: RetryOptions, scope?: ScanScope): AsyncIterable<ListedBlob>
}
