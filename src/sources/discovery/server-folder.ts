import type { ListedBlob } from '../blob-reader.ts'
import { dayPath, hourOf } from './azure-monitor-layout.ts'
import type { CountedListing } from './counted-listing.ts'
import { OpenHours } from './open-hours.ts'
import { WatchedDays } from './watched-days.ts'

/** Blobs under a resource whose names are not those of hourly logs. */
export interface SkippedNames {
  readonly count: number
  readonly firstName: string
}

export interface ServerFolderOptions {
  /** Hours before this instant are left out, in milliseconds since the epoch. */
  readonly startMs: number
  readonly watchMs: number
  readonly listMs: number
}

/** Above so many due days, all hours are listed if that takes fewer requests: a page holds 200 days. */
const maxSingleDays = 8

/** One server's folder in a container: its listings, the days that are watched, and the hours that are open. */
export class ServerFolder {
  /** Ends in `/`. */
  readonly folder: string
  readonly days: WatchedDays
  readonly hours: OpenHours
  /** When all hours were listed last, in milliseconds since the epoch. */
  listedAtMs = Number.NEGATIVE_INFINITY
  /** Found by the last listing of all hours. */
  skipped: SkippedNames | undefined
  #startMs: number
  /** Requests of the last listing of all hours. */
  #everythingRequests = 0

  constructor(folder: string, { startMs, watchMs, listMs }: ServerFolderOptions) {
    this.folder = folder
    this.#startMs = startMs
    this.days = new WatchedDays({ watchMs, listMs, startMs })
    this.hours = new OpenHours(folder, startMs)
  }

  /** Whether all hours have been listed. */
  get isListed(): boolean {
    return Number.isFinite(this.listedAtMs)
  }

  /** Lists all hours from the start on. */
  async *listAll(listing: CountedListing, nowMs: number): AsyncGenerator<ListedBlob> {
    const before = listing.requests
    this.skipped = undefined
    for (const prefix of await this.#prefixesFromStart(listing)) yield* this.#list(listing, prefix, nowMs)
    this.#everythingRequests = listing.requests - before
    this.days.noteListed('all', nowMs)
    this.listedAtMs = nowMs
  }

  /** Lists the watched days that are due. */
  async *listDue(listing: CountedListing, nowMs: number, all: boolean): AsyncGenerator<ListedBlob> {
    const due = this.days.due(nowMs, all)
    // In a history that was just copied to this account, every day is due.
    if (due.length > Math.max(maxSingleDays, this.#everythingRequests)) yield* this.listAll(listing, nowMs)
    else yield* this.listDays(listing, due, nowMs)
  }

  /** Lists days, by one request each. */
  async *listDays(
    listing: CountedListing,
    days: readonly number[],
    nowMs: number,
  ): AsyncGenerator<ListedBlob> {
    for (const day of days) yield* this.#list(listing, `${this.folder}${dayPath(day)}`, nowMs)
    if (days.length > 0) this.days.noteListed(days, nowMs)
  }

  /** Whole years from the start on: a year fits on two pages, and listing it by days would take 365 requests. */
  async #prefixesFromStart(listing: CountedListing): Promise<readonly string[]> {
    if (!Number.isFinite(this.#startMs)) return [this.folder]
    const startYear = new Date(this.#startMs).getUTCFullYear()
    const years = new Set<string>()
    for await (const child of listing.folders(this.folder)) {
      const year = /^y=(\d{4})\/$/.exec(child.slice(this.folder.length))?.[1]
      if (year !== undefined && Number(year) >= startYear) years.add(child)
    }
    return [...years].sort()
  }

  async *#list(listing: CountedListing, prefix: string, nowMs: number): AsyncGenerator<ListedBlob> {
    for await (const blob of listing.blobs(prefix)) {
      const hour = hourOf(blob.name.slice(this.folder.length))
      if (hour === undefined) {
        const { count = 0, firstName = blob.name } = this.skipped ?? {}
        this.skipped = { count: count + 1, firstName }
      } else if (hour >= this.#startMs) {
        this.days.note(hour, blob.modifiedAtMs, nowMs)
        this.hours.note(blob, hour, nowMs)
        yield blob
      }
    }
  }
}
