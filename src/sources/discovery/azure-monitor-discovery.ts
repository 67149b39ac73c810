import type { RetryOptions } from '../../retry.ts'
import type { BlobReader, ListedBlob } from '../blob-reader.ts'
import { dayMs, dayPath, hourMs, hourOf, resourceFolders } from './azure-monitor-layout.ts'
import type { BlobDiscovery, ScanScope } from './blob-discovery.ts'
import { CountedListing } from './counted-listing.ts'
import { WatchedDays } from './watched-days.ts'

/** Blobs under a resource whose names are not those of hourly logs. */
export interface SkippedNames {
  readonly count: number
  readonly firstName: string
}

export interface AzureMonitorDiscoveryOptions {
  readonly reader: BlobReader
  /** Hours before the one of this instant are left out, in milliseconds since the epoch. Default: none is. */
  readonly startTimeMs: number | undefined
  /** How long a day is scanned after its end and its last growth, in milliseconds. */
  readonly watchMs: number
  /** Called once, after the first scan of everything that found such names. */
  readonly onSkipped?: ((skipped: SkippedNames) => void) | undefined
}

/** Pause between scans of everything, which find late blobs of closed days and new spellings of the resource id. */
const everythingMs = dayMs

/** Above so many due days, everything is listed if that takes fewer requests: a page holds 200 days. */
const maxSingleDays = 8

/**
 * Finds the hourly blobs that Azure Monitor writes for one server.
 *
 * The first scan lists everything, and so does one scan a day; the others list only the days that are due, by one request
 * each (`WatchedDays`). Until the resource has a folder, every scan searches for it.
 */
export class AzureMonitorDiscovery implements BlobDiscovery {
  #resourceId: string
  #reader: BlobReader
  #startMs: number
  #onSkipped: ((skipped: SkippedNames) => void) | undefined
  #days: WatchedDays
  #folders: readonly string[] = []
  #everythingAtMs = Number.NEGATIVE_INFINITY
  /** Requests of the last scan of everything. */
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

  /** The folders of the resource; until one is found, the one that Azure Monitor would create. */
  get described(): string {
    const folders =
      this.#folders.length > 0 ? this.#folders : [`resourceId=${this.#resourceId.toUpperCase()}/`]
    return folders.map((folder) => `${this.#reader.container}/${folder}`).join(' and ')
  }

  get lastScanRequests(): number {
    return this.#lastScanRequests
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
      // In a history that was just copied to this account, every day is due.
      if (due.length > Math.max(maxSingleDays, this.#everythingRequests / this.#folders.length)) {
        yield* this.#scanEverything(listing, nowMs)
      } else {
        for (const folder of this.#folders) {
          for (const day of due) yield* this.#hours(listing, folder, `${folder}${dayPath(day)}`, nowMs)
        }
        this.#days.noteScan(due, nowMs)
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
    this.#days.noteScan('all', nowMs)
    this.#reportSkipped()
  }

  #reportSkipped(): void {
    if (this.#hasReportedSkipped || this.#skipped === undefined) return
    this.#hasReportedSkipped = true
    this.#onSkipped?.(this.#skipped)
  }

  /** Whole years from the start on: a year fits on two pages, and listing it by days would take 365 requests. */
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
