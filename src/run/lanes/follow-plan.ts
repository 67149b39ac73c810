import type { Logger } from '../../reporting/logger.ts'
import { longerPause } from '../../retry.ts'
import type { ScanRequests } from '../../sources/discovery/blob-discovery.ts'
import type { SourceOptions } from '../../sources/options.ts'
import type { Lane } from './lane.ts'

/** Blobs that are polled one by one, at most: one listing costs about as much as so many polls. */
const pollsPerListing = 12

/** A blob that grew in this time counts as active. */
const activeMs = 10 * 60_000

/** A followed blob is quiet after this time without growth. */
const quietMs = 3 * 60_000

/**
 * Decides how growth is found: by polling the newest blobs, each in a lane that waits at the blob's end, or by scans.
 *
 * Polls find growth soonest, but each is a request. Where more blobs are active than a listing costs polls, scans alone
 * are cheaper, and they follow each other as fast as polls would.
 */
export class FollowPlan {
  #source: SourceOptions
  #log: Logger
  #followed: ReadonlySet<string> = new Set()
  #scansOnly = false
  #pauseMs: number

  constructor(source: SourceOptions, logger: Logger) {
    this.#source = source
    this.#log = logger
    this.#pauseMs = source.discoverMs
  }

  /** Pause before the next scan, in milliseconds. */
  get scanPauseMs(): number {
    return this.#pauseMs
  }

  /** Lanes that wait at their blobs' ends, at most: a quarter of all stays free for others. */
  get maxFollowed(): number {
    return Math.min(pollsPerListing, Math.max(1, Math.floor((this.#source.maxLanes * 3) / 4)))
  }

  /** Whether the newest blobs are to have a lane even when there is nothing to read. */
  get followsQuietBlobs(): boolean {
    return !this.#scansOnly && !this.#scansAreAsFast
  }

  /**
   * Chooses between polls and scans.
   *
   * @param grewAtMs when each blob last grew
   * @param scan requests of the last scan
   */
  choose(grewAtMs: readonly number[], scan: ScanRequests, nowMs: number): void {
    const active = grewAtMs.filter((atMs) => atMs > nowMs - activeMs).length
    // Polled blobs count too: a scan leaves them out, so it would look cheap while they are polled and expensive afterwards,
    // and the choice would change with each scan.
    const scanCost = pollsPerListing * scan.listings + scan.named
    const scansOnly = active > this.maxFollowed && active > scanCost
    if (scansOnly !== this.#scansOnly)
      this.#log.info(
        { activeBlobs: active, scan },
        scansOnly
          ? 'many blobs grow: listing them instead of polling each'
          : 'polling the newest blobs one by one',
      )
    this.#scansOnly = scansOnly
  }

  /** Takes the names of the newest blobs, which are to be followed. */
  follow(newest: ReadonlySet<string>): void {
    this.#followed = this.#scansOnly ? new Set() : newest
  }

  /** Whether a blob's next lane waits at the blob's end, while so many others do. */
  shouldFollow(name: string, followedLanes: number): boolean {
    return !this.#scansOnly && this.#followed.has(name) && followedLanes < this.maxFollowed
  }

  /** Whether a lane that waits at its blob's end is to stop, because a scan finds growth as soon as it would. */
  shouldStop({ blobName, quietSinceMs }: Lane, nowMs: number): boolean {
    const isWanted = this.#followed.has(blobName) && !this.#scansAreAsFast
    return this.#scansOnly || (quietSinceMs < nowMs - quietMs && !isWanted)
  }

  /**
   * Sets the pause before the next scan. Where scans take the place of polls, they keep the pace of polls.
   *
   * @param grewAtMs when the last scans found each blob grown
   */
  pace(grewAtMs: readonly number[], nowMs: number): void {
    const { pollMs, discoverMs } = this.#source
    const grewLately = grewAtMs.some((atMs) => atMs > nowMs - this.#pauseMs)
    if (!this.#scansOnly) this.#pauseMs = discoverMs
    else this.#pauseMs = grewLately ? pollMs : longerPause(this.#pauseMs, discoverMs)
  }

  /** A quiet blob is polled at the longest pause, and scans come as often. */
  get #scansAreAsFast(): boolean {
    return this.#source.discoverMs <= this.#source.maxPollMs
  }
}
