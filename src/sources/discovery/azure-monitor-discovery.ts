import type { RetryOptions } from '../../retry.ts'
import type { BlobReader, ListedBlob } from '../blob-reader.ts'
import { dayMs, dayPath, hourMs, hourOf, resourceFolders } from './azure-monitor-layout.ts'
import type { BlobDiscovery, ScanScope } from './blob-discovery.ts'
import { CountedListing } from './counted-listing.ts'
import { WatchedDays } from './watched-days.ts'

/** Names under a resource that are no hourly blobs. */
export interface SkippedNames {
  readonly count: number
  readonly firstName: string
}

export interface AzureMonitorDiscoveryOptions {
  readonly reader: BlobReader
  /** Hours before its hour are left out, in milliseconds since the epoch. Default none. */
  readonly startTimeMs: number | undefined
  /** How long a day stays watched after its end and its last growth, in milliseconds. */
  readonly watchMs: number
  /** Hears once, after the first look at everything that met any. */
  readonly onSkipped?: (skipped: SkippedNames) => void
}

/** How often everything is listed anew: what came to closed days, and spellings that are new. */
const everythingMs = dayMs

/** More due days than that are listed in one go where this takes fewer requests: a page holds 200 days. */
const mostSingleDays = 8

/**
 * Finds the hourly blobs that Azure Monitor writes for one server.
 *
 * The first look lists everything there is, and so does one look a day; the others list only the days that are
 * due, which is one request for each (`WatchedDays`). Until the resource has a folder, every look searches it.
 */
export class AzureMonitorDiscovery implements BlobDiscovery {
  #resourceId: string
  #reader: BlobReader
  #startMs: number
  #onSkipped: ((skipped: SkippedNames) => void) | undefined
  #days: WatchedDays
  #folders: readonly string[] = []
  #everythingAtMs = Number.NEGATIVE_INFINITY
  /** What a listing of everything costs, as of the last one. */
  #everythingRequests = 0
  #skipped: SkippedNames | undefined
  #hasReportedSkipped = false
  #lastScanRequests = 0

  constructor(resourceId: string, options: AzureMonitorDiscoveryOptions) {
    this.#resourceId = resourceId
    this.#reader = options.reader
    const { startTimeMs = Number.NEGATIVE_INFINITY } = options
    this.#startMs = Math.floor(startTimeMs / hourMs) * hourMs
    this.#onSkipped = options.onSkipped
    this.#days = new WatchedDays({ watchMs: options.watchMs, startMs: this.#startMs })
  }

  /** The folders that were found; before that, the one that Azure Monitor would make. */
  get described(): string {
    const folders =
      this.#folders.length > 0 ? this.#folders : [`resourceId=${this.#resourceId.toUpperCase()}/`]
    return folders.map((folder) => `${this.#reader.container}/${folder}`).join(' and ')
  }

  get lastScanRequests(): number {
    return this.#lastScanRequests
  }

  /** Days that have an entry in memory. */
  get watchedDays(): number {
    return this.#days.count
  }

  async *scan(
    nowMs: number,
    retrying: RetryOptions,
    { everything = false }: ScanScope = {},
  ): AsyncGenerator<ListedBlob> {
    const listing = new CountedListing(this.#reader, retrying)
    if (everything || nowMs - this.#everythingAtMs >= everythingMs) {
      this.#folders = await resourceFolders(listing, this.#resourceId)
      if (this.#folders.length > 0) {
        yield* this.#scanEverything(listing, nowMs)
        this.#everythingAtMs = nowMs
      }
    } else {
      const due = this.#days.due(nowMs)
      // A history that was copied to this account a moment ago has every day of it due.
      if (due.length > Math.max(mostSingleDays, this.#everythingRequests / this.#folders.length)) {
        yield* this.#scanEverything(listing, nowMs)
      } else {
        for (const folder of this.#folders) {
          for (const day of due) yield* this.#hours(listing, folder, `${folder}${dayPath(day)}`, nowMs)
        }
        this.#days.looked(due, nowMs)
      }
    }
    this.#lastScanRequests = listing.requests
  }

  async *#scanEverything(listing: CountedListing, nowMs: number): AsyncGenerator<ListedBlob> {
    const before = listing.requests
    this.#skipped = undefined
    for (const folder of this.#folders) {
      for (const prefix of await this.#prefixesFromStart(listing, folder)) {
        yield* this.#hours(listing, folder, prefix, nowMs)
      }
    }
    this.#everythingRequests = listing.requests - before
    this.#days.looked('all', nowMs)
    this.#reportSkipped()
  }

  #reportSkipped(): void {
    if (this.#hasReportedSkipped || this.#skipped === undefined) return
    this.#hasReportedSkipped = true
    this.#onSkipped?.(this.#skipped)
  }

  /** Whole years where there is a start: two pages hold a year, and fifteen days cost as many requests. */
  async #prefixesFromStart(listing: CountedListing, folder: string): Promise<readonly string[]> {
    if (!Number.isFinite(this.#startMs)) return [folder]
    const startYear = new Date(this.#startMs).getUTCFullYear()
    const years = new Set<string>()
    for await (const child of listing.folders(folder)) {
      const year = /^y=(\d{4})\/$/.exec(child.slice(folder.length))?.[1]
      if (year !== undefined && Number(year) >= startYear) years.add(child)
    }
    return [...years].sort()
  }

  async *#hours(
    listing: CountedListing,
    folder: string,
    prefix: string,
    nowMs: number,
  ): AsyncGenerator<ListedBlob> {
    for await (const blob of listing.blobs(prefix)) {
      const hour = hourOf(blob.name.slice(folder.length))
      if (hour === undefined) {
        const { count = 0, firstName = blob.name } = this.#skipped ?? {}
        this.#skipped = { count: count + 1, firstName }
      } else if (hour >= this.#startMs) {
        this.#days.note(hour, blob.modifiedAtMs, nowMs)
        yield blob
      }
    }
  }
}
