import type { ListedBlob } from '../../sources/blob-reader.ts'
import { Backlog } from './backlog.ts'
import type { BlobMemory } from './blob-memory.ts'
import {
  type BlobEvent,
  type BoardStatus,
  hasLane,
  isAtRest,
  nextStatus,
  queueOf,
  unknownBlob,
} from './blob-state.ts'
import type { SetAsideBlob } from './lane-schedule.ts'

/** A listed blob that has something to read, or had lately. */
export interface BoardBlob extends BlobMemory {
  /** Changed by `BlobBoard.apply` alone. */
  status: BoardStatus
  /** Its length as last seen, in bytes. */
  bytes: number
  createdAt: string
  /** How far it had landed when it was found, in bytes: its offset may be in the table's archive alone until it is read. */
  landedBytes: number
  modifiedAtMs: number
  /** When it was last found grown after it had been read to its end, in milliseconds since the epoch; 0 when never. */
  grewAtMs: number
  /** Since when it is known to have bytes to read; undefined while it is at rest. */
  behindSinceMs?: number | undefined
  /** Why and until when it is set aside. Kept while it is read again, so that failures in a row are counted. */
  aside?: SetAsideBlob | undefined
}

export interface BlobBoardOptions {
  /** Blobs that may wait in the backlog; a later scan finds the others. */
  readonly maxQueued: number
  /** How many of the newest blobs of a scan are kept apart. */
  readonly newestCount: number
  /** The server of a blob, by the blob's name. Default: all blobs are of one server. */
  readonly serverOf?: ((name: string) => string) | undefined
}

interface Newest {
  readonly listed: ListedBlob
  readonly isWhole: boolean
}

/** Of the newest blobs, those modified longer than this before the newest one are not live. */
const warmMs = 3_600_000

/** Quiet blobs that are remembered, so that they are live when they grow. */
const maxQuiet = 10_000

/**
 * The listed blobs that wait for a lane, have one, or had one and may grow, with the two queues.
 *
 * A blob that has landed whole and is quiet is not on the board: the table knows its offset.
 */
export class BlobBoard {
  #options: BlobBoardOptions
  #blobs = new Map<string, BoardBlob>()
  #live = new Set<string>()
  #backlog: Backlog
  #serverOf: (name: string) => string
  /** Unread bytes of the blobs that the backlog had no place for, by server: found by this scan, and by the last whole one. */
  #left = new Map<string, number>()
  #leftBefore: ReadonlyMap<string, number> = new Map()
  #leftSinceMs: number | undefined
  #newest: Newest[] = []
  /** Forgotten blobs that landed up to an unfinished last line, as they were then. */
  #unfinished = new Map<string, Pick<ListedBlob, 'bytes' | 'createdAt'>>()

  constructor(options: BlobBoardOptions) {
    this.#options = options
    this.#serverOf = options.serverOf ?? (() => '')
    this.#backlog = new Backlog(options.maxQueued, this.#serverOf)
  }

  get(name: string): BoardBlob | undefined {
    return this.#blobs.get(name)
  }

  get blobs(): Iterable<BoardBlob> {
    return this.#blobs.values()
  }

  /** Unread bytes of the blobs that the last whole scan left out, because the backlog was full. */
  get leftBytes(): number {
    return Math.max(sumOf(this.#left), sumOf(this.#leftBefore))
  }

  /** The same of one server. */
  leftBytesOf(server: string): number {
    return Math.max(this.#left.get(server) ?? 0, this.#leftBefore.get(server) ?? 0)
  }

  /** Since when scans have left out blobs without a break; undefined when the last complete one left out none. */
  get leftSinceMs(): number | undefined {
    return this.#leftSinceMs
  }

  get queuedCount(): number {
    return this.#live.size + this.#backlog.count
  }

  get liveCount(): number {
    return this.#live.size
  }

  get backlogCount(): number {
    return this.#backlog.count
  }

  /** Takes a blob to its next state, and to the queue that belongs to it. The one place that does. */
  apply(blob: BoardBlob, event: BlobEvent): void {
    const before = queueOf(blob.status)
    blob.status = nextStatus(blob.status, event)
    const after = queueOf(blob.status)
    if (before !== after) {
      if (before === 'live') this.#live.delete(blob.name)
      if (before === 'backlog') this.#backlog.remove(blob.name)
      if (after === 'live') this.#live.add(blob.name)
      if (after === 'backlog') this.#backlog.add(blob.name)
    }
    if (blob.status.state === 'unknown') this.#blobs.delete(blob.name)
  }

  #leave(name: string, bytes: number, behindSinceMs: number): void {
    const server = this.#serverOf(name)
    this.#left.set(server, (this.#left.get(server) ?? 0) + bytes)
    this.#leftSinceMs ??= behindSinceMs
  }

  /** @param isWhole whether the scan listed every blob, due or not: only such a scan shows that none is left out any more */
  endScan(isWhole: boolean): void {
    if (isWhole) this.#leftBefore = new Map()
    if (this.leftBytes === 0) this.#leftSinceMs = undefined
  }

  beginScan(): void {
    if (sumOf(this.#left) > sumOf(this.#leftBefore)) this.#leftBefore = this.#left
    this.#left = new Map()
    this.#newest = []
  }

  /**
   * Takes one blob of a scan.
   *
   * @param landedBytes how far the listed generation is landed, as far as a listing can show which one it is
   * @param behindSinceMs the start of the scan before: news of this one appeared after it
   */
  note(listed: ListedBlob, landedBytes: number | undefined, nowMs: number, behindSinceMs = nowMs): void {
    const known = this.#blobs.get(listed.name)
    const isWhole = listed.bytes === 0 || landedBytes === listed.bytes || this.#isUnfinishedStill(listed)
    this.#noteNewest(listed, isWhole)
    if (known !== undefined) this.#noteKnown(known, listed, nowMs, behindSinceMs)
    else if (!isWhole) {
      this.#unfinished.delete(listed.name)
      this.#noteUnknown(listed, landedBytes ?? 0, nowMs, behindSinceMs)
    }
  }

  /**
   * Makes the newest blobs of the last scan live, those that were modified at about the same time.
   *
   * @param followed whether they are to have a lane even when there is nothing to read
   * @returns their names
   */
  makeNewestLive({ followed }: { readonly followed: boolean }): ReadonlySet<string> {
    const warmFromMs = (this.#newest[0]?.listed.modifiedAtMs ?? 0) - warmMs
    const warm = this.#newest.filter(({ listed }) => listed.modifiedAtMs >= warmFromMs)
    for (const { listed, isWhole } of warm) {
      const known = this.#blobs.get(listed.name)
      // Not known: it did not fit into the backlog, or has landed whole and has nothing to read.
      if (known === undefined && isWhole && !followed) continue
      this.apply(known ?? this.#add(listed), followed ? 'followed' : 'newest')
    }
    return new Set(warm.map(({ listed }) => listed.name))
  }

  /** Takes the next blob to read: of the live ones in turn, of the backlog the oldest one of the server whose turn it is. */
  take(from: 'live' | 'backlog'): BoardBlob | undefined {
    const name = from === 'live' ? first(this.#live) : this.#backlog.next()
    const blob = name === undefined ? undefined : this.#blobs.get(name)
    if (blob !== undefined) this.apply(blob, 'taken')
    return blob
  }

  /** Forgets blobs that were read to their end, landed up to there, and are gone or have been quiet for long. */
  forgetQuiet(isLanded: (blob: BoardBlob) => boolean, nowMs: number): void {
    let quiet = 0
    for (const blob of [...this.#blobs.values()].sort((a, b) => b.grewAtMs - a.grewAtMs)) {
      const { state } = blob.status
      // The table does not know the bytes in flight: a blob forgotten with some would be read and landed again.
      if (!isAtRest(state) || !isLanded(blob)) continue
      quiet += 1
      if (state === 'quiet' && quiet <= maxQuiet && blob.grewAtMs >= nowMs - warmMs) continue
      this.apply(blob, 'forgotten')
      // The unfinished line is not landed, so each scan would find the blob longer than that and queue it.
      if (state === 'quiet' && blob.seenBytes > (blob.next?.offset ?? 0))
        this.#unfinished.set(blob.name, { bytes: blob.seenBytes, createdAt: blob.createdAt })
    }
  }

  #noteKnown(known: BoardBlob, listed: ListedBlob, nowMs: number, behindSinceMs: number): void {
    const { state } = known.status
    known.modifiedAtMs = listed.modifiedAtMs
    if (hasLane(state)) {
      known.bytes = Math.max(known.bytes, listed.bytes)
      return
    }
    const isNews = listed.bytes !== known.bytes || listed.createdAt !== known.createdAt
    known.bytes = listed.bytes
    if (known.createdAt !== listed.createdAt) known.landedBytes = 0
    known.createdAt = listed.createdAt
    if (!isAtRest(state)) {
      if (isNews) this.apply(known, 'changed')
      return
    }
    if (isNews && listed.bytes > known.seenBytes) known.grewAtMs = nowMs
    // Compared with the bytes read, not with the last listing: that one may have been a stale answer.
    const readInstant = known.identity?.createdAt ?? listed.createdAt
    if (listed.bytes !== known.seenBytes || listed.createdAt !== readInstant) {
      known.behindSinceMs = behindSinceMs
      this.apply(known, 'changed')
    }
  }

  #noteUnknown(listed: ListedBlob, landedBytes: number, nowMs: number, behindSinceMs: number): void {
    // Landed in part: it had been read to its end or nearly so, and has grown since.
    if (landedBytes > 0) {
      const grown = this.#add(listed)
      grown.landedBytes = landedBytes
      grown.grewAtMs = nowMs
      grown.behindSinceMs = behindSinceMs
      this.apply(grown, 'found-grown')
      return
    }
    const place = this.#backlog.placeFor(listed.name)
    if (place !== 'free') {
      const last = place === 'none' ? undefined : this.#blobs.get(place.of)
      // A blob with bytes in flight keeps its place: nothing else knows how far it was read.
      if (last === undefined || last.next !== undefined) {
        this.#leave(listed.name, listed.bytes, behindSinceMs)
        return
      }
      this.#leave(last.name, last.bytes, behindSinceMs)
      this.apply(last, 'displaced')
    }
    const found = this.#add(listed)
    found.behindSinceMs = behindSinceMs
    this.apply(found, 'found')
  }

  #isUnfinishedStill({ name, bytes, createdAt }: ListedBlob): boolean {
    const known = this.#unfinished.get(name)
    return known !== undefined && known.bytes === bytes && known.createdAt === createdAt
  }

  #noteNewest(listed: ListedBlob, isWhole: boolean): void {
    const { newestCount } = this.#options
    const last = this.#newest[newestCount - 1]
    if (last !== undefined && last.listed.modifiedAtMs >= listed.modifiedAtMs) return
    this.#newest = [...this.#newest.filter((other) => other.listed.name !== listed.name), { listed, isWhole }]
      .sort((a, b) => b.listed.modifiedAtMs - a.listed.modifiedAtMs)
      .slice(0, newestCount)
  }

  #add({ name, bytes, createdAt, modifiedAtMs }: ListedBlob): BoardBlob {
    const status = unknownBlob
    const blob: BoardBlob = {
      name,
      status,
      bytes,
      createdAt,
      landedBytes: 0,
      modifiedAtMs,
      seenBytes: 0,
      grewAtMs: 0,
    }
    this.#blobs.set(name, blob)
    return blob
  }
}

function sumOf(bytes: ReadonlyMap<string, number>): number {
  let sum = 0
  for (const one of bytes.values()) sum += one
  return sum
}

function first(names: ReadonlySet<string>): string | undefined {
  for (const name of names) return name
  return undefined
}
