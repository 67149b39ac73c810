import { sleepUnlessAborted } from '../../clock.ts'
import { isTailraceError, type TailraceError } from '../../errors.ts'
import type { RetryEvent } from '../../retry.ts'
import type { TailEnd } from '../../sources/append-blob-tailer.ts'
import { serverOf } from '../../sources/discovery/azure-monitor-layout.ts'
import type { BlobDiscovery } from '../../sources/discovery/blob-discovery.ts'
import { BlobBoard, type BoardBlob } from './blob-board.ts'
import { BlobScanner } from './blob-scanner.ts'
import { type BlobEvent, isAtRest, isSetAside, shownState } from './blob-state.ts'
import { fencedError } from './fenced-blob.ts'
import { FollowPlan } from './follow-plan.ts'
import type { Lane } from './lane.ts'
import type { LaneContext } from './lane-context.ts'
import { LaneRunner } from './lane-runner.ts'
import type {
  FencedRange,
  KnownBlob,
  LaneSchedule,
  QueuedBlobs,
  ServerLag,
  SetAsideBlob,
} from './lane-schedule.ts'
import { LaneSlots } from './lane-slots.ts'
import { canBeOfOneBlob, failsAlone, SetAsideBlobs } from './set-aside-blobs.ts'

export interface ListedLanesOptions {
  readonly discovery: BlobDiscovery
  /** Whether any request of the account has succeeded since an instant. */
  readonly succeededSince: (instantMs: number) => boolean
  /** Called with the whole list when blobs are set aside or read again. */
  readonly onSetAside?: ((blobs: readonly SetAsideBlob[]) => void) | undefined
  /** Blobs that may wait in the backlog; a later scan finds the others. Default 10,000. */
  readonly maxQueued?: number | undefined
}

/**
 * Lanes for the blobs that scans of a listing find, at most `maxLanes` at a time.
 *
 * Live blobs come first: the newest ones, and those that were read to their end before and have grown. Some of them are
 * followed by polling; the next scan finds the others grown. The backlog goes oldest name first, in the lanes that the
 * live blobs leave, and never takes the last quarter of the lanes.
 */
export class ListedLanes implements LaneSchedule {
  #context: LaneContext
  #options: ListedLanesOptions
  #runner: LaneRunner
  #scanner: BlobScanner
  #board: BlobBoard
  #plan: FollowPlan
  #asides: SetAsideBlobs
  #slots: LaneSlots
  #maxQueued: number
  /** The start of the last scan that came to its end. */
  #listedUpToMs: number
  #scanAgain = new AbortController()
  #failure: { readonly error: unknown } | undefined
  #changed: () => void = () => {}

  constructor(context: LaneContext, options: ListedLanesOptions) {
    const { config, clock, logger } = context
    this.#context = context
    this.#options = options
    this.#listedUpToMs = context.landedUpToMs ?? clock.now()
    this.#runner = new LaneRunner(context)
    this.#scanner = new BlobScanner(context, options.discovery)
    this.#maxQueued = options.maxQueued ?? 10_000
    this.#slots = new LaneSlots(config.source.maxLanes, context.follow)
    this.#plan = new FollowPlan(config.source, logger)
    this.#board = new BlobBoard({
      maxQueued: this.#maxQueued,
      newestCount: this.#plan.maxFollowed,
      serverOf: (name) => serverOf(name) ?? '',
    })
    this.#asides = new SetAsideBlobs({ board: this.#board, onChange: options.onSetAside, clock, logger })
  }

  get laneCount(): number {
    return this.#slots.count
  }

  get queuedBlobs(): QueuedBlobs {
    return { live: this.#board.liveCount, backlog: this.#board.backlogCount }
  }

  get handedOnUpToMs(): number {
    let upToMs = Math.min(this.#listedUpToMs, this.#board.leftSinceMs ?? Number.POSITIVE_INFINITY)
    for (const blob of this.#board.blobs) {
      const { state } = blob.status
      if (state !== 'queued' && state !== 'reading') continue
      const blobMs = this.#runner.laneOf(blob.name)?.handedOnUpToMs ?? blob.behindSinceMs
      upToMs = Math.min(upToMs, blobMs ?? Number.POSITIVE_INFINITY)
    }
    return upToMs
  }

  get heldSinceMs(): number | undefined {
    return this.#runner.heldSinceMs
  }

  get lagBytes(): number {
    let lag = this.#board.leftBytes
    for (const blob of this.#board.blobs) lag += Math.max(0, this.#lengthOf(blob) - this.#knownOffsetOf(blob))
    return lag
  }

  knownBlobs(max: number): readonly KnownBlob[] {
    const behind: KnownBlob[] = []
    const others: KnownBlob[] = []
    for (const blob of this.#board.blobs) {
      const offset = this.#knownOffsetOf(blob)
      const bytes = this.#lengthOf(blob)
      const isBehind = bytes > offset
      if (!isBehind && others.length >= max) continue
      const known = {
        blob: `${this.#context.reader.container}/${blob.name}`,
        generation: this.#runner.laneOf(blob.name)?.generation ?? blob.next?.generation,
        state: shownState(blob.status.state),
        offset,
        bytes,
      }
      if (isBehind) behind.push(known)
      else others.push(known)
    }
    return [...behind.sort((a, b) => b.bytes - b.offset - (a.bytes - a.offset)), ...others].slice(0, max)
  }

  serverLags(): readonly ServerLag[] {
    const servers = new Map<string, { lagBytes: number; blobs: number }>()
    for (const blob of this.#board.blobs) {
      const server = serverOf(blob.name)
      if (server === undefined) continue
      const lag = servers.get(server) ?? { lagBytes: this.#board.leftBytesOf(server), blobs: 0 }
      servers.set(server, lag)
      const bytes = Math.max(0, this.#lengthOf(blob) - this.#knownOffsetOf(blob))
      lag.lagBytes += bytes
      if (bytes > 0) lag.blobs += 1
    }
    return Array.from(servers, ([server, lag]) => ({ server, ...lag })).sort(
      (a, b) => b.lagBytes - a.lagBytes,
    )
  }

  #lengthOf(blob: BoardBlob): number {
    return Math.max(blob.bytes, this.#runner.laneOf(blob.name)?.totalBytes ?? 0)
  }

  get hasFoundBlobs(): boolean {
    return this.#scanner.hasFoundBlobs
  }

  get setAside(): readonly SetAsideBlob[] {
    return this.#asides.list
  }

  recordMarks(): void {
    this.#runner.recordMarks()
  }

  fence(ranges: readonly FencedRange[]): void {
    for (const { span, landedTo } of ranges) {
      const blob = this.#board.get(span.blob.slice(this.#context.reader.container.length + 1))
      if (blob === undefined || isSetAside(blob.status.state)) continue
      const lane = this.#runner.laneOf(blob.name)
      if ((lane?.generation ?? blob.next?.generation) !== span.generation) continue
      lane?.stop()
      // A drain is done with a blob that it has read to its end, once the other process has landed it up to there.
      if (!this.#context.follow && lane === undefined && landedTo >= (blob.next?.offset ?? 0)) continue
      this.#board.apply(blob, 'overtaken')
      if (blob.status.state === 'fenced') this.#setFencedAside(blob)
    }
    this.#changed()
  }

  stop(): void {
    this.#runner.stop()
    this.#scanAgain.abort()
    this.#changed()
  }

  async run(): Promise<void> {
    try {
      if (this.#context.follow) await this.#scanUntilStopped()
      else await this.#drain()
    } catch (error) {
      this.#fail(error)
    }
    await this.#slots.allEnded()
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #scanUntilStopped(): Promise<void> {
    const { signal } = this.#runner
    while (!signal.aborted) {
      await this.#scan()
      this.#scanAgain = new AbortController()
      if (signal.aborted) return
      if (!this.#isStarved) await this.#pause(this.#plan.scanPauseMs)
    }
  }

  async #drain(): Promise<void> {
    do {
      await this.#scan()
      while (this.#board.queuedCount + this.#slots.count > 0 && !this.#runner.signal.aborted) {
        this.#fill()
        await new Promise<void>((resolve) => {
          this.#changed = resolve
        })
      }
    } while (this.#board.leftBytes > 0 && !this.#runner.signal.aborted)
  }

  /** Lists the blobs once; lanes start while the scan is still under way. */
  async #scan(): Promise<void> {
    const { clock } = this.#context
    const { signal } = this.#runner
    // Only a scan of everything finds the blobs that did not fit into the backlog, and they fit once there is room.
    const everything = this.#isStarved
    const startedAtMs = clock.now()
    this.#board.beginScan()
    const isComplete = await this.#scanner.scan({
      everything,
      isPolled: (name) => this.#runner.laneOf(name)?.follows === true,
      signal,
      onBlob: (listed, landedBytes) => {
        this.#board.note(listed, landedBytes, clock.now(), this.#listedUpToMs)
        this.#fill()
      },
    })
    // Also after the answer that the container does not exist.
    if (!signal.aborted) this.#listedUpToMs = startedAtMs
    if (isComplete) this.#endScan(clock.now())
    if (isComplete && !signal.aborted) await this.#forgetArchived()
  }

  /** Blobs on the board may go on from their offsets; of all others, the archive has them. */
  async #forgetArchived(): Promise<void> {
    const { archive, reader } = this.#context
    const nameAt = reader.container.length + 1
    await archive?.forget((blob) => this.#board.get(blob.slice(nameAt)) !== undefined)
  }

  #endScan(nowMs: number): void {
    const { follow, reader, isSettled = () => true } = this.#context
    this.#board.endScan(this.#options.discovery.lastScan.isWhole)
    // The sink drops the bytes in flight of a fenced blob; read again before that, they would be dropped, too.
    this.#asides.retryDue(nowMs, ({ name, fence }) => {
      const { generation = '', readTo = 0 } = fence ?? {}
      return isSettled({ blob: `${reader.container}/${name}`, generation }, readTo)
    })
    if (follow) {
      const grewAtMs = [...this.#board.blobs].map((blob) =>
        Math.max(blob.grewAtMs, this.#runner.laneOf(blob.name)?.grewAtMs ?? 0),
      )
      this.#plan.choose(grewAtMs, this.#options.discovery.lastScan, nowMs)
      this.#plan.follow(this.#board.makeNewestLive({ followed: this.#plan.followsQuietBlobs }))
      for (const lane of this.#followedLanes()) if (this.#plan.shouldStop(lane, nowMs)) lane.stop()
    }
    this.#board.forgetQuiet((blob) => this.#landedOf(blob) === blob.next?.offset, nowMs)
    this.#fill()
    this.#plan.pace(
      [...this.#board.blobs].map(({ grewAtMs }) => grewAtMs),
      nowMs,
    )
  }

  /** Starts lanes for queued blobs, as far as there is room. */
  #fill(): void {
    if (this.#runner.signal.aborted || this.#failure !== undefined) return
    for (;;) {
      const queue = this.#slots.nextQueue(this.#board)
      const blob = queue && this.#board.take(queue)
      if (queue === undefined || blob === undefined) break
      const work = this.#runBlob(blob).catch((error: unknown) => this.#fail(error))
      this.#slots.hold(blob, queue, work, () => {
        this.#fill()
        if (this.#isStarved) this.#scanAgain.abort()
        this.#changed()
      })
    }
    if (this.#slots.isShort(this.#board)) this.#makeRoom()
  }

  /** Stops the quietest lane that waits at its blob's end: the next scan finds that blob when it grows. */
  #makeRoom(): void {
    const idle = this.#followedLanes()
      .filter((lane) => lane.totalBytes > 0 && lane.lastRead.offset >= lane.totalBytes)
      .sort((a, b) => a.quietSinceMs - b.quietSinceMs)
    idle[0]?.stop()
  }

  /** Runs lanes of one blob, one per generation, until it is at rest or set aside. */
  async #runBlob(blob: BoardBlob): Promise<void> {
    if (blob.aside?.code === 'COMMIT_FENCED') await this.#context.refreshOffsets?.()
    const options = {
      follow: this.#shouldFollow(blob),
      coldStart: 'earliest',
      listedBytes: blob.bytes,
      giveUp: (event: RetryEvent) => failsAlone(event, this.#options.succeededSince),
    } as const
    try {
      let lane = blob.next?.createdAt === blob.createdAt ? this.#runner.resume(blob, options) : undefined
      for (;;) {
        if (lane === undefined) {
          const opened = await this.#runner.open(blob, options)
          if (opened.kind !== 'lane')
            return this.#leave(blob, opened.kind === 'missing' ? 'vanished' : 'finished')
          lane = opened.lane
        }
        const end = await this.#runLane(lane, blob)
        if (end !== 'replaced' || blob.status.state === 'yielding') {
          this.#leave(blob, end === 'missing' ? 'vanished' : 'finished')
          // Its lane began before the scan had shown that it is one of the newest.
          if (end === 'end' && isAtRest(blob.status.state) && this.#shouldFollow(blob))
            this.#board.apply(blob, 'followed')
          return
        }
        if (!lane.hasProgressed) await this.#pause(this.#context.config.source.pollMs)
        lane = undefined
      }
    } catch (error) {
      if (this.#runner.signal.aborted || !isTailraceError(error) || !canBeOfOneBlob(error)) throw error
      this.#leave(blob, error.disposition === 'retry' ? 'read-failed' : 'content-refused', error)
    }
  }

  async #runLane(lane: Lane, blob: BoardBlob): Promise<TailEnd> {
    try {
      return await this.#runner.run(lane, blob)
    } finally {
      blob.grewAtMs = Math.max(blob.grewAtMs, lane.grewAtMs ?? 0)
      if (lane.hasProgressed) this.#asides.clear(blob)
    }
  }

  /** Ends the reading of a blob, which is then at rest or set aside. */
  #leave(blob: BoardBlob, event: BlobEvent, error?: TailraceError): void {
    this.#board.apply(blob, event)
    if (blob.status.state === 'fenced') this.#setFencedAside(blob)
    else if (error !== undefined) this.#asides.noteFailure(blob, error)
    else {
      this.#asides.clear(blob)
      blob.behindSinceMs = undefined
      blob.bytes = event === 'vanished' ? blob.bytes : Math.max(blob.bytes, blob.seenBytes)
    }
  }

  #setFencedAside(blob: BoardBlob): void {
    const isEveryBlob = this.#asides.noteFence(blob)
    if (isEveryBlob && this.#context.config.whenFenced === 'exit')
      this.#fail(fencedError('every blob of the pipeline'))
  }

  #shouldFollow({ name }: BoardBlob): boolean {
    return this.#context.follow && this.#plan.shouldFollow(name, this.#followedLanes().length)
  }

  #followedLanes(): Lane[] {
    return [...this.#slots.blobs].flatMap(({ name }) => {
      const lane = this.#runner.laneOf(name)
      return lane?.follows === true ? [lane] : []
    })
  }

  /** Whether there is room again for blobs that did not fit into the backlog. */
  get #isStarved(): boolean {
    return this.#board.leftBytes > 0 && this.#board.backlogCount < this.#maxQueued / 10
  }

  #landedOf(blob: BoardBlob): number | undefined {
    const { landedOf, reader } = this.#context
    const generation = this.#generationOf(blob)
    const generations = landedOf(`${reader.container}/${blob.name}`)
    return generations.find((known) => known.generation === generation)?.offset
  }

  /** As `#landedOf`, also by the archive; another generation than the listed one has no archived bytes. */
  #knownOffsetOf(blob: BoardBlob): number {
    const archived = this.#generationOf(blob) === blob.createdAt ? blob.landedBytes : 0
    return this.#landedOf(blob) ?? archived
  }

  #generationOf({ name, next, createdAt }: BoardBlob): string {
    return this.#runner.laneOf(name)?.generation ?? next?.generation ?? createdAt
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.stop()
  }

  /** Ended early by a stop, and by room for blobs that did not fit into the backlog. */
  #pause(ms: number): Promise<void> {
    return sleepUnlessAborted(this.#context.clock, ms, this.#scanAgain.signal)
  }
}
