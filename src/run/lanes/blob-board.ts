import type { ListedBlob } from '../../sources/blob-reader.ts'
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
  /** When it was last found grown after it had been read to its end, in milliseconds since the epoch; 0 when never. */
  grewAtMs: number
  /** It was not there any more when it was read last. */
  isGone?: boolean
  /** Why and until when it is set aside, or what its last lane failed with. */
  aside?: SetAsideBlob
}

export interface BlobBoardOptions {
  /** Blobs that may wait in the backlog; what a look finds beyond them is left to a later look. */
  readonly maxQueued: number
  /** How many of the newest blobs a look picks out. */
  readonly newestCount: number
}

interface Newest {
  readonly listed: ListedBlob
  readonly isWhole: boolean
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
  #newest: Newest[] = []
  /** Blobs that landed up to an unfinished last line, as they were then: all else of them is forgotten. */
  #unfinished = new Map<string, Pick<ListedBlob, 'bytes' | 'createdAt'>>()

  constructor(options: BlobBoardOptions) {
    this.#options = options
  }

  get(name: string): BoardBlob | undefined {
    return this.#blobs.get(name)
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
    const known = this.#blobs.get(listed.name)
    const isWhole = listed.bytes === 0 || landedBytes === listed.bytes || this.#isUnfinishedStill(listed)
    this.#noteNewest(listed, isWhole)
    if (known === undefined) {
      if (isWhole) return
      this.#unfinished.delete(listed.name)
      // What has landed before, at least in part, has been read to its end or nearly so: it has grown since.
      this.#enqueueNew(listed, nowMs, listed.bytes - Math.min(listed.bytes, landedBytes ?? 0), landedBytes)
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
    if (isNews && known.state === 'resting' && listed.bytes > known.seenBytes) known.grewAtMs = nowMs
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
  makeNewestLive({ alsoQuietOnes }: { readonly alsoQuietOnes: boolean }): ReadonlySet<string> {
    const [first] = this.#newest
    const warmFromMs = (first?.listed.modifiedAtMs ?? 0) - warmMs
    const wanted = this.#newest.filter(({ listed }) => listed.modifiedAtMs >= warmFromMs)
    for (const one of wanted) this.#makeLive(one, alsoQuietOnes)
    return new Set(wanted.map(({ listed }) => listed.name))
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
      // What is in flight is known here alone: read again, it would land twice.
      if (blob.state !== 'resting' || !isLanded(blob)) continue
      quiet += 1
      if (blob.isGone !== true && quiet <= mostQuiet && blob.grewAtMs >= nowMs - warmMs) continue
      this.#blobs.delete(blob.name)
      // Else it would be queued at every look.
      if (blob.isGone !== true && blob.seenBytes > (blob.next?.offset ?? 0))
        this.#unfinished.set(blob.name, { bytes: blob.seenBytes, createdAt: blob.createdAt })
    }
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

  #makeLive({ listed, isWhole }: Newest, alsoQuietOnes: boolean): void {
    const known = this.#blobs.get(listed.name)
    if (known === undefined) {
      // One that did not fit into the backlog is here; one that has landed whole has nothing to read.
      if (isWhole && !alsoQuietOnes) return
      const added = this.#add(listed)
      added.isLive = true
      this.enqueue(added)
      return
    }
    const wasLive = known.isLive
    known.isLive = true
    if (known.state === 'queued' && !wasLive) {
      this.#backlog = this.#backlog.filter((name) => name !== known.name)
      this.enqueue(known)
    }
    if (known.state === 'resting' && alsoQuietOnes) this.enqueue(known)
  }

  #enqueueNew(listed: ListedBlob, nowMs: number, unreadBytes: number, landedBytes: number | undefined): void {
    if (landedBytes !== undefined && landedBytes > 0) {
      const grown = this.#add(listed)
      grown.isLive = true
      grown.grewAtMs = nowMs
      this.enqueue(grown)
      return
    }
    if (this.#backlog.length >= this.#options.maxQueued) {
      const last = this.#blobs.get(this.#backlog.at(-1) ?? '')
      // What a lane has read of a blob is known here alone, so such a one keeps its place.
      if (last === undefined || last.next !== undefined || listed.name > last.name) {
        this.#leftBytes += unreadBytes
        return
      }
      this.#backlog.pop()
      this.#leftBytes += last.bytes
      this.#blobs.delete(last.name)
    }
    this.enqueue(this.#add(listed))
  }

  #add({ name, bytes, createdAt, modifiedAtMs }: ListedBlob): BoardBlob {
    const blob: BoardBlob = {
      name,
      bytes,
      createdAt,
      modifiedAtMs,
      seenBytes: 0,
      state: 'resting',
      isLive: false,
      grewAtMs: 0,
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
