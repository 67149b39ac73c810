import type { ListedBlob } from '../sources/blob-reader.ts'
import type { BlobMemory } from './lane-runner.ts'
import type { SetAsideBlob } from './lane-schedule.ts'

/** One blob that needs attention, or did lately. */
export interface BoardBlob extends BlobMemory {
  state: 'queued' | 'running' | 'resting' | 'aside'
  /** Its length as last seen, in bytes. */
  bytes: number
  createdAt: string
  modifiedAtMs: number
  /** Due before the backlog: it has been read to its end before, or is among the newest ones. */
  isLive: boolean
  /** When it was last found grown, in milliseconds since the epoch. */
  grewAtMs: number
  /** Why and until when it is set aside, or what its last lane failed with. */
  aside?: SetAsideBlob
}

export interface BlobBoardOptions {
  /** Blobs that may wait in the backlog; what a look finds beyond them is left to a later look. */
  readonly maxQueued: number
  /** How many of the newest blobs a look picks out. */
  readonly newestCount: number
}

/** Of the newest blobs, those changed this long before the newest one are live no more. */
export const warmMs = 3_600_000

/** Quiet blobs that are remembered, so that they are live when they grow. */
const mostQuiet = 10_000

/**
 * What is known of the blobs of a listing, as far as it matters: those that wait, those that are read, and those that
 * were read and may grow. A blob that has landed whole and is quiet is not on the board; the table knows it.
 */
export class BlobBoard {
  #options: BlobBoardOptions
  #blobs = new Map<string, BoardBlob>()
  #live = new Set<string>()
  /** In name order, which in a layout by date is the order of age. */
  #backlog: string[] = []
  /** Bytes of what was left to a later look. */
  #leftBytes = 0
  #newest: ListedBlob[] = []

  constructor(options: BlobBoardOptions) {
    this.#options = options
  }

  get blobs(): Iterable<BoardBlob> {
    return this.#blobs.values()
  }

  /** Blobs that have more to read and may not have been queued. */
  get leftBytes(): number {
    return this.#leftBytes
  }

  get queuedCount(): number {
    return this.#live.size + this.#backlog.length
  }

  get liveCount(): number {
    return this.#live.size
  }

  get backlogCount(): number {
    return this.#backlog.length
  }

  beginLook(): void {
    this.#leftBytes = 0
    this.#newest = []
  }

  /**
   * Takes one blob of a listing.
   *
   * @param landedBytes how far the generation that the listing seems to show is landed
   */
  note(listed: ListedBlob, landedBytes: number | undefined, nowMs: number): void {
    this.#noteNewest(listed)
    const known = this.#blobs.get(listed.name)
    if (known === undefined) {
      if (listed.bytes === 0 || landedBytes === listed.bytes) return
      this.#enqueueNew(listed, nowMs, Math.max(0, listed.bytes - (landedBytes ?? 0)))
      return
    }
    const isChanged =
      listed.bytes !== known.seenBytes ||
      (known.looked !== undefined && listed.createdAt !== known.looked.createdAt)
    known.modifiedAtMs = listed.modifiedAtMs
    if (known.state === 'running') {
      known.bytes = Math.max(known.bytes, listed.bytes)
      return
    }
    const isNews = listed.bytes !== known.bytes || listed.createdAt !== known.createdAt
    known.bytes = listed.bytes
    known.createdAt = listed.createdAt
    if (isNews && listed.bytes > known.seenBytes) known.grewAtMs = nowMs
    if (known.state === 'resting' && isChanged) this.enqueue(known)
    // What was refused may have become something else; what fails to be read is tried again in its time.
    if (known.state === 'aside' && isNews && known.aside?.code === 'SOURCE_UNSUPPORTED') this.enqueue(known)
  }

  /**
   * Makes the newest blobs of the last look live, as far as they were changed at about the same time.
   *
   * @param alsoQuietOnes whether those that have nothing to read are to have a lane, too
   * @returns their names
   */
  makeNewestLive(nowMs: number, { alsoQuietOnes }: { readonly alsoQuietOnes: boolean }): ReadonlySet<string> {
    const [first] = this.#newest
    const wanted = this.#newest.filter(
      ({ modifiedAtMs }) => modifiedAtMs >= (first?.modifiedAtMs ?? 0) - warmMs,
    )
    for (const listed of wanted) this.#makeLive(listed, nowMs, alsoQuietOnes)
    return new Set(wanted.map(({ name }) => name))
  }

  /** Takes the next blob to read: live ones first, in turn; then the backlog, the oldest name first. */
  take(from: 'live' | 'backlog'): BoardBlob | undefined {
    const name = from === 'live' ? first(this.#live) : this.#backlog.shift()
    const blob = name === undefined ? undefined : this.#blobs.get(name)
    if (blob === undefined) return undefined
    this.#live.delete(blob.name)
    blob.state = 'running'
    return blob
  }

  /** Puts a blob in the queue that it belongs to. */
  enqueue(blob: BoardBlob): void {
    blob.state = 'queued'
    if (blob.isLive) this.#live.add(blob.name)
    else this.#insert(blob.name)
  }

  /** Forgets blobs that are quiet and landed to where they were read. */
  forgetQuiet(isLanded: (blob: BoardBlob) => boolean, nowMs: number): void {
    let quiet = 0
    for (const blob of [...this.#blobs.values()].sort((a, b) => b.grewAtMs - a.grewAtMs)) {
      // One with an unfinished line would be queued at every look, so it is remembered.
      if (blob.state !== 'resting' || blob.seenBytes !== (blob.next?.offset ?? 0) || !isLanded(blob)) continue
      quiet += 1
      if (quiet > mostQuiet || blob.grewAtMs < nowMs - warmMs) this.#blobs.delete(blob.name)
    }
  }

  forget(blob: BoardBlob): void {
    this.#blobs.delete(blob.name)
  }

  #noteNewest(listed: ListedBlob): void {
    const { newestCount } = this.#options
    const last = this.#newest[newestCount - 1]
    if (last !== undefined && last.modifiedAtMs >= listed.modifiedAtMs) return
    this.#newest = [...this.#newest.filter(({ name }) => name !== listed.name), listed]
      .sort((a, b) => b.modifiedAtMs - a.modifiedAtMs)
      .slice(0, newestCount)
  }

  #makeLive(listed: ListedBlob, nowMs: number, alsoQuietOnes: boolean): void {
    const known = this.#blobs.get(listed.name) ?? (alsoQuietOnes ? this.#add(listed, nowMs) : undefined)
    if (known === undefined) return
    const wasLive = known.isLive
    known.isLive = true
    if (known.state === 'queued' && !wasLive) {
      this.#backlog = this.#backlog.filter((name) => name !== known.name)
      this.enqueue(known)
    }
    if (known.state === 'resting' && alsoQuietOnes) this.enqueue(known)
  }

  #enqueueNew(listed: ListedBlob, nowMs: number, unreadBytes: number): void {
    const last = this.#backlog.at(-1)
    if (this.#backlog.length >= this.#options.maxQueued) {
      if (last === undefined || listed.name > last) {
        this.#leftBytes += unreadBytes
        return
      }
      this.#backlog.pop()
      this.#leftBytes += this.#blobs.get(last)?.bytes ?? 0
      this.#blobs.delete(last)
    }
    this.enqueue(this.#add(listed, nowMs))
  }

  #add({ name, bytes, createdAt, modifiedAtMs }: ListedBlob, nowMs: number): BoardBlob {
    const blob: BoardBlob = {
      name,
      bytes,
      createdAt,
      modifiedAtMs,
      seenBytes: 0,
      state: 'resting',
      isLive: false,
      grewAtMs: nowMs,
    }
    this.#blobs.set(name, blob)
    return blob
  }

  #insert(name: string): void {
    let low = 0
    for (let high = this.#backlog.length; low < high; ) {
      const middle = (low + high) >>> 1
      if ((this.#backlog[middle] as string) < name) low = middle + 1
      else high = middle
    }
    this.#backlog.splice(low, 0, name)
  }
}

function first(names: ReadonlySet<string>): string | undefined {
  for (const name of names) return name
  return undefined
}
