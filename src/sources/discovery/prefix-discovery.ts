import type { RetryOptions } from '../../retry.ts'
import type { BlobReader, ListedBlob } from '../blob-reader.ts'
import type { BlobDiscovery, ScanRequests } from './blob-discovery.ts'
import type { BlobsUnder } from './blob-selection.ts'
import { CountedListing } from './counted-listing.ts'

export interface PrefixDiscoveryOptions {
  readonly reader: BlobReader
  /** Blobs last modified before this instant are left out, in milliseconds since the epoch. Default: none is. */
  readonly startTimeMs: number | undefined
}

/** Lists everything under a prefix in every scan, by one request for 5,000 names, and yields the blobs that match. */
export class PrefixDiscovery implements BlobDiscovery {
  readonly described: string
  #under: BlobsUnder
  #reader: BlobReader
  #startTimeMs: number
  #lastScan: ScanRequests = { listings: 0, reads: 0, named: 0, isWhole: false }

  constructor(under: BlobsUnder, { reader, startTimeMs }: PrefixDiscoveryOptions) {
    this.described = `${reader.container}/${under.written}`
    this.#under = under
    this.#reader = reader
    this.#startTimeMs = startTimeMs ?? Number.NEGATIVE_INFINITY
  }

  get lastScan(): ScanRequests {
    return this.#lastScan
  }

  async *scan(_nowMs: number, retrying: RetryOptions): AsyncGenerator<ListedBlob> {
    const listing = new CountedListing(this.#reader, retrying)
    for await (const blob of listing.blobs(this.#under.prefix)) {
      if (this.#under.matches(blob.name) && blob.modifiedAtMs >= this.#startTimeMs) yield blob
    }
    this.#lastScan = { listings: listing.requests, reads: 0, named: 0, isWhole: true }
  }
}
