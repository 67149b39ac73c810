import type { RetryOptions } from '../../retry.ts'
import type { ListedBlob } from '../blob-reader.ts'

export interface ScanScope {
  /** List everything, due or not. Default false. */
  readonly everything?: boolean | undefined
  /** Whether a lane polls a blob, so that it need not be requested. Default: none is polled. */
  readonly isPolled?: ((blobName: string) => boolean) | undefined
}

/** The requests of a scan, retries included. */
export interface ScanRequests {
  readonly listings: number
  /** Requests of one blob each. */
  readonly reads: number
  /** Blobs that scans request by name, also those that a lane polls or that were not due in this scan. */
  readonly named: number
  /** Whether every blob was listed, due or not. */
  readonly isWhole: boolean
}

/** Finds the blobs of a source by repeated scans. */
export interface BlobDiscovery {
  /** The listed part of the container, for logs and messages: `logs/pg/**`. */
  readonly described: string
  /** Of the last finished scan. */
  readonly lastScan: ScanRequests
  /**
   * One scan, with a page of a listing in memory at a time. Parts of the listing that are not due may be left out.
   *
   * A container that changes while it is listed may show a blob twice or out of order; a name comes twice only if more
   * than a page lies between. The next scan repeats one that failed or was not read to its end.
   *
   * @param nowMs milliseconds since the epoch; earlier than in the scan before after the clock was set back
   * @throws SOURCE_MISSING (the container), SOURCE_DENIED
   */
  scan(nowMs: number, retrying: RetryOptions, scope?: ScanScope): AsyncIterable<ListedBlob>
}
