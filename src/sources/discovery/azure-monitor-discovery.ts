import { isPauseOver } from '../../clock.ts'
import { isTailraceError } from '../../errors.ts'
import type { RetryOptions } from '../../retry.ts'
import type { BlobReader, ListedBlob } from '../blob-reader.ts'
import { dayMs, dayOf, hourMs, isServerResourceId, ServerSearch } from './azure-monitor-layout.ts'
import type { BlobDiscovery, ScanRequests, ScanScope } from './blob-discovery.ts'
import { CountedListing } from './counted-listing.ts'
import { isDue, type OpenHour, OpenHours, openMs, requestHour } from './open-hours.ts'
import { ServerFolder, type SkippedNames } from './server-folder.ts'

export interface AzureMonitorDiscoveryOptions {
  readonly reader: BlobReader
  /** Hours before the one of this instant are left out, in milliseconds since the epoch. Default: none is. */
  readonly startTimeMs: number | undefined
  /** How long a day is listed after its end and its last growth, in milliseconds. */
  readonly watchMs: number
  /** Pause between two listings of a watched day, in milliseconds. */
  readonly listMs: number
  /** Called once, after the first listing of all hours that found such names. */
  readonly onSkipped?: ((skipped: SkippedNames) => void) | undefined
}

/** Counts of one scan; see `ScanRequests`. */
interface NamedRequests {
  reads: number
  named: number
}

/** Pause between listings of all hours of a server, which find late blobs of closed days. */
const everythingMs = dayMs

/** Requests by name at the same time. */
const parallelRequests = 16

/** Listings of one scan, at least; more where they are needed to keep the pace. */
const minListings = 16

/** No request and no listing is left out after a pause between scans in which an hour may have come and gone. */
const maxScanPauseMs = openMs

/**
 * Finds the hourly blobs that Azure Monitor writes for servers, whose names follow from the server's id and the hour.
 *
 * The first scan lists everything. Later ones request the open hours of each server by name, which costs a twelfth of a
 * listing (`OpenHours`). Listings find the other changes: each watched day is listed every `listMs` (`WatchedDays`), all
 * hours of a server and the folders of servers once a day. Many listings that are due at once are spread over several scans.
 */
export class AzureMonitorDiscovery implements BlobDiscovery {
  #ids: readonly string[]
  #options: AzureMonitorDiscoveryOptions
  #startMs: number
  #servers: ServerFolder[] = []
  /** Ids that had no folder at the last search, with the hours that Azure Monitor would create. */
  #awaited = new Map<string, OpenHours>()
  #searchedAtMs = Number.NEGATIVE_INFINITY
  #scannedAtMs = Number.NEGATIVE_INFINITY
  #hasReportedSkipped = false
  /** The server whose listings come first in the next scan. */
  #turn = 0
  #lastScan: ScanRequests = { listings: 0, reads: 0, named: 0, isWhole: false }

  /** @param ids of servers, resource groups and subscriptions; `*` for every server of the container */
  constructor(ids: readonly string[], options: AzureMonitorDiscoveryOptions) {
    this.#ids = ids
    this.#options = options
    this.#startMs = Math.floor((options.startTimeMs ?? Number.NEGATIVE_INFINITY) / hourMs) * hourMs
  }

  /** The folders of the servers; until one is found, those that Azure Monitor would create. */
  get described(): string {
    const folders =
      this.#servers.length > 0 ? this.#servers.map(({ folder }) => folder) : this.#ids.map(conventionalFolder)
    const shown = folders.slice(0, 3).map((folder) => `${this.#options.reader.container}/${folder}`)
    const others = folders.length - shown.length
    return `${shown.join(' and ')}${others > 0 ? ` and ${others} others` : ''}`
  }

  get lastScan(): ScanRequests {
    return this.#lastScan
  }

  async *scan(
    nowMs: number,
    retrying: RetryOptions,
    { everything = false, isPolled = () => false }: ScanScope = {},
  ): AsyncGenerator<ListedBlob> {
    const listing = new CountedListing(this.#options.reader, retrying)
    const requests = { reads: 0, named: 0 }
    const hasBegun = await this.#requestAwaited(requests, nowMs, retrying)
    const isLate = nowMs - this.#scannedAtMs >= maxScanPauseMs
    if (everything || hasBegun || this.#isSearchDue(nowMs)) await this.#search(listing, nowMs)
    if (!everything) {
      const doubtful = yield* this.#requestOpenHours(requests, nowMs, isPolled, retrying)
      for (const [server, days] of doubtful) yield* server.listDays(listing, [...new Set(days)], nowMs)
    }
    yield* this.#list(listing, nowMs, { everything, isLate })
    this.#reportSkipped()
    this.#scannedAtMs = nowMs
    this.#lastScan = {
      listings: listing.requests,
      ...requests,
      isWhole: this.#servers.every(({ listedAtMs }) => listedAtMs === nowMs),
    }
  }

  #isSearchDue(nowMs: number): boolean {
    // The beginning of an id has no name to request, so the first server is searched in every scan.
    if (this.#servers.length === 0 && this.#awaited.size < this.#ids.length) return true
    const isComplete = this.#awaited.size === 0 && this.#ids.every(isServerResourceId)
    return isPauseOver(this.#searchedAtMs, isComplete ? everythingMs : this.#options.listMs, nowMs)
  }

  /** Searches for the folders of servers. */
  async #search(listing: CountedListing, nowMs: number): Promise<void> {
    const known = new Map(this.#servers.map((server) => [server.folder, server]))
    const found = new Map<string, ServerFolder>()
    const search = new ServerSearch(listing)
    for (const id of this.#ids) {
      const folders = await search.foldersOf(id)
      for (const folder of folders) {
        const server =
          known.get(folder) ?? new ServerFolder(folder, { ...this.#options, startMs: this.#startMs })
        found.set(folder, server)
      }
      if (folders.length > 0 || !isServerResourceId(id)) this.#awaited.delete(id)
      else if (!this.#awaited.has(id))
        this.#awaited.set(id, new OpenHours(conventionalFolder(id), this.#startMs))
    }
    this.#servers = [...found.values()].sort((a, b) => (a.folder < b.folder ? -1 : 1))
    this.#searchedAtMs = nowMs
  }

  /** Requests the current hours of servers without a folder. Returns whether a search may find one. */
  async #requestAwaited(requests: NamedRequests, nowMs: number, { signal }: RetryOptions): Promise<boolean> {
    const open = [...this.#awaited.values()].flatMap((one) => one.open(nowMs))
    const hours = open.filter((one) => isDue(one, nowMs))
    requests.named += open.length
    requests.reads += hours.length
    const failed = await this.#request(hours, nowMs, signal)
    return failed.size > 0 || hours.some(({ listed }) => listed !== undefined)
  }

  /** Requests the open hours by name. Returns the days of those without an answer. */
  async *#requestOpenHours(
    requests: NamedRequests,
    nowMs: number,
    isPolled: (blobName: string) => boolean,
    { signal }: RetryOptions,
  ): AsyncGenerator<ListedBlob, ReadonlyMap<ServerFolder, readonly number[]>> {
    const doubtful = new Map<ServerFolder, readonly number[]>()
    const due: { readonly server: ServerFolder; readonly hour: OpenHour }[] = []
    for (const server of this.#servers) {
      if (!server.isListed) continue
      for (const hour of server.hours.open(nowMs)) {
        requests.named += 1
        if (isPolled(hour.name)) hour.requestedAtMs = Number.NEGATIVE_INFINITY
        else if (isDue(hour, nowMs)) {
          due.push({ server, hour })
          continue
        }
        if (hour.listed !== undefined) yield hour.listed
      }
    }
    for (let first = 0; first < due.length; first += parallelRequests) {
      const some = due.slice(first, first + parallelRequests)
      requests.reads += some.length
      const failed = await this.#request(
        some.map(({ hour }) => hour),
        nowMs,
        signal,
      )
      for (const one of some) {
        if (failed.has(one.hour))
          doubtful.set(one.server, [...(doubtful.get(one.server) ?? []), dayOf(one.hour.startMs)])
        else if (one.hour.listed !== undefined) yield one.hour.listed
      }
    }
    return doubtful
  }

  /**
   * Requests hours at the same time. Each takes its answer.
   *
   * @returns those without an answer. A listing repeats its requests through an outage, and shows a blob that alone cannot be
   *   read
   */
  async #request(
    hours: readonly OpenHour[],
    nowMs: number,
    signal: AbortSignal | undefined,
  ): Promise<ReadonlySet<OpenHour>> {
    const results = await Promise.allSettled(
      hours.map((hour) => requestHour(hour, this.#options.reader, nowMs, signal)),
    )
    signal?.throwIfAborted()
    const failed = new Set<OpenHour>()
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') continue
      if (!canBeListed(result.reason)) throw result.reason
      failed.add(hours[index] as OpenHour)
    }
    return failed
  }

  /** Makes the listings that are due. Servers take turns: the first one is that behind the last one listed. */
  async *#list(
    listing: CountedListing,
    nowMs: number,
    { everything, isLate }: { readonly everything: boolean; readonly isLate: boolean },
  ): AsyncGenerator<ListedBlob> {
    const before = listing.requests
    const days = this.#servers.reduce((sum, server) => sum + server.days.count, 0)
    const sinceMs = nowMs - this.#scannedAtMs
    const pace = isLate ? Number.POSITIVE_INFINITY : Math.ceil((2 * days * sinceMs) / this.#options.listMs)
    const max = Math.max(minListings, pace)
    const first = this.#turn
    for (let turn = 0; turn < this.#servers.length; turn += 1) {
      const index = (first + turn) % this.#servers.length
      const server = this.#servers[index] as ServerFolder
      const isNew = everything || !server.isListed
      if (isNew || listing.requests - before < max) {
        if (isNew || isPauseOver(server.listedAtMs, everythingMs, nowMs))
          yield* server.listAll(listing, nowMs)
        else yield* server.listDue(listing, nowMs, isLate)
        if (!isNew) this.#turn = index + 1
      }
    }
  }

  #reportSkipped(): void {
    const skipped = this.#servers.flatMap((server) => server.skipped ?? [])
    const [first] = skipped
    if (this.#hasReportedSkipped || first === undefined) return
    this.#hasReportedSkipped = true
    this.#options.onSkipped?.({
      count: skipped.reduce((sum, { count }) => sum + count, 0),
      firstName: first.firstName,
    })
  }
}

function canBeListed(error: unknown): boolean {
  return isTailraceError(error, 'SOURCE_UNAVAILABLE') || isTailraceError(error, 'SOURCE_UNSUPPORTED')
}

/** Azure Monitor writes the id in capitals. */
function conventionalFolder(id: string): string {
  return id === '*' ? 'resourceId=/' : `resourceId=${id.toUpperCase()}/`
}
