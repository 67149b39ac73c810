import { isTailraceError, type TailraceError } from '../../errors.ts'
import { generationParts, type Span } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import { isWorthTelling, retryLog } from '../../reporting/retry-log.ts'
import { growingPauseMs, longerPause, type RetryEvent } from '../../retry.ts'
import type { TailEnd } from '../../sources/append-blob-tailer.ts'
import type { ListedBlob } from '../../sources/blob-reader.ts'
import type { BlobDiscovery } from '../../sources/discovery/blob-discovery.ts'
import { BlobBoard, type BoardBlob } from './blob-board.ts'
import { fence, fencedError } from './fenced-blob.ts'
import type { Lane } from './lane.ts'
import { type LaneContext, LaneRunner } from './lane-runner.ts'
import type { FencedRange, LaneSchedule, SetAsideBlob } from './lane-schedule.ts'

export interface ListedLanesOptions {
  readonly discovery: BlobDiscovery
  /** Whether any request of the account has succeeded since an instant. */
  readonly succeededSince: (instantMs: number) => boolean
  /** Hears when blobs are set aside or taken up again. */
  readonly onSetAside?: (blobs: readonly SetAsideBlob[]) => void
  /** Names that wait in the backlog; what a look finds beyond them is left to the next one. Default 10,000. */
  readonly maxQueued?: number
}

/** Blobs that are polled one by one, at most: a listing costs about as much as so many polls. */
const pollsPerListing = 12

/** Growth in this time makes a blob count as active. */
const activeMs = 10 * 60_000

/** A followed blob is quiet after this time without growth: a look finds it as soon as a poll would. */
const quietMs = 3 * 60_000

/** How often a blob's reads fail, while those of others succeed, before it is set aside. */
const mostAttempts = 6

/** Pauses of a blob that is set aside: the first, and the longest. */
const asidePauses = {
  failing: { minPauseMs: 30_000, maxPauseMs: 3_600_000 },
  refused: { minPauseMs: 3_600_000, maxPauseMs: 24 * 3_600_000 },
} as const

/**
 * The blobs that a listing finds: which of them have a lane, at most `maxLanes` at a time.
 *
 * Live blobs come first: the newest ones and those that were read to their end before and have grown. Some of them are
 * followed by polling; the others are found grown by the next look. The backlog goes oldest name first, in what lanes
 * the live blobs leave, and a quarter of the lanes is never the backlog's.
 */
export class ListedLanes implements LaneSchedule {
  #context: LaneContext
  #options: ListedLanesOptions
  #log: Logger
  #runner: LaneRunner
  #board: BlobBoard
  #running = new Map<BoardBlob, { readonly isBacklog: boolean; readonly done: Promise<void> }>()
  #wanted: ReadonlySet<string> = new Set()
  /** Followed by looks alone, because there are more active blobs than a listing costs polls. */
  #looksOnly = false
  #lookPauseMs: number
  #isFirstLook = true
  #isMissingTold = false
  #hasFoundBlobs = false
  #lookAgain = new AbortController()
  /** Blobs whose lane is ending because another process landed what it had read, with the generation. */
  #fenced = new Map<BoardBlob, string>()
  #failure: { readonly error: unknown } | undefined
  #toldSetAside = '[]'
  #maxQueued: number
  #changed: () => void = () => {}

  constructor(context: LaneContext, options: ListedLanesOptions) {
    this.#context = context
    this.#options = options
    this.#log = context.logger
    this.#runner = new LaneRunner(context)
    this.#maxQueued = options.maxQueued ?? 10_000
    this.#board = new BlobBoard({ maxQueued: this.#maxQueued, newestCount: this.#mostFollowed })
    this.#lookPauseMs = context.config.source.discoverMs
  }

  get laneCount(): number {
    return this.#running.size
  }

  get lagBytes(): number {
    let lag = this.#board.leftBytes
    for (const blob of this.#board.blobs) {
      const bytes = Math.max(blob.bytes, this.#runner.laneOf(blob.name)?.totalBytes ?? 0)
      lag += Math.max(0, bytes - (this.#landedOf(blob) ?? 0))
    }
    return lag
  }

  get hasFoundBlobs(): boolean {
    return this.#hasFoundBlobs
  }

  get setAside(): readonly SetAsideBlob[] {
    return [...this.#board.blobs].flatMap(({ state, aside }) =>
      state === 'aside' && aside !== undefined ? [aside] : [],
    )
  }

  recordMarks(): void {
    this.#runner.recordMarks()
  }

  fence(ranges: readonly FencedRange[]): void {
    for (const { span, landedTo } of ranges) {
      const blob = this.#board.get(span.blob.slice(this.#context.reader.container.length + 1))
      if (blob === undefined) continue
      const lane = this.#runner.laneOf(blob.name)
      if ((lane?.generation ?? blob.next?.generation) !== span.generation) continue
      lane?.stop()
      // A drain that has read it to its end has nothing left to do when the other process is there, too.
      if (!this.#context.follow && lane === undefined && landedTo >= (blob.next?.offset ?? 0)) continue
      if (blob.state === 'resting') this.#putFencedAside(blob, span.generation)
      else if (blob.state !== 'aside') this.#fenced.set(blob, span.generation)
    }
  }

  stop(): void {
    this.#runner.stop()
    this.#lookAgain.abort()
    this.#changed()
  }

  async run(): Promise<void> {
    try {
      if (this.#context.follow) await this.#lookUntilStopped()
      else await this.#drain()
    } catch (error) {
      this.#fail(error)
    }
    while (this.#running.size > 0) await Promise.race(this.#doneLanes())
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #lookUntilStopped(): Promise<void> {
    const { signal } = this.#runner
    while (!signal.aborted) {
      await this.#look()
      this.#lookAgain = new AbortController()
      if (signal.aborted) return
      // A backlog that did not fit is looked for again as soon as there is room.
      if (this.#board.leftBytes > 0 && this.#board.backlogCount < this.#maxQueued / 10) continue
      await this.#pause(this.#lookPauseMs)
    }
  }

  async #drain(): Promise<void> {
    do {
      await this.#look()
      while (this.#board.queuedCount + this.#running.size > 0 && !this.#runner.signal.aborted) {
        this.#fill()
        await this.#nextChange()
      }
    } while (this.#board.leftBytes > 0 && !this.#runner.signal.aborted)
  }

  /** Looks once at what there is; lanes begin while the look is still under way. */
  async #look(): Promise<void> {
    const { config, reader, clock } = this.#context
    const { discovery } = this.#options
    const { signal } = this.#runner
    const { coldStart } = config.source
    const skipsWhatIsThere = this.#isFirstLook && this.#context.isFirstRun && coldStart === 'latest'
    const starts: Span[] = []
    // What did not fit into the backlog is found again only by a look that leaves nothing out.
    const everything = this.#board.leftBytes > 0
    this.#board.beginLook()
    try {
      const onRetry = retryLog(this.#log, 'listing failed', { blobs: discovery.described })
      const retrying = { signal, clock, onRetry }
      for await (const listed of discovery.scan(clock.now(), retrying, { everything })) {
        this.#hasFoundBlobs = true
        if (skipsWhatIsThere) starts.push(...this.#startAtEnd(listed))
        else {
          this.#board.note(listed, this.#landedBytes(listed), clock.now())
          this.#fill()
        }
      }
    } catch (error) {
      if (signal.aborted) return
      // Azure Monitor creates the container with the first record, so its absence is a wait, not a failure.
      if (!isTailraceError(error, 'SOURCE_MISSING')) throw error
      if (!this.#isMissingTold)
        this.#log.warn({ err: error, container: reader.container }, 'the container does not exist yet')
      this.#isMissingTold = true
      this.#isFirstLook = false
      return
    }
    if (starts.length > 0) await this.#context.recordStarts(starts)
    this.#isFirstLook = false
    this.#endLook()
  }

  #endLook(): void {
    const { follow, clock, config } = this.#context
    const nowMs = clock.now()
    this.#retryAside(nowMs)
    if (follow) {
      this.#chooseHowToFollow(nowMs)
      const newest = this.#board.makeNewestLive({ alsoQuietOnes: !this.#looksOnly && !this.#looksSuffice })
      this.#wanted = this.#looksOnly ? new Set() : newest
      this.#stopQuietLanes(nowMs)
    }
    this.#board.forgetQuiet((blob) => this.#landedOf(blob) === blob.next?.offset, nowMs)
    this.#fill()
    const { pollMs, discoverMs } = config.source
    const grewLately = [...this.#board.blobs].some(({ grewAtMs }) => grewAtMs > nowMs - this.#lookPauseMs)
    if (!this.#looksOnly) this.#lookPauseMs = discoverMs
    else this.#lookPauseMs = grewLately ? pollMs : longerPause(this.#lookPauseMs, discoverMs)
  }

  /** Single polls, or looks that show them all: whichever costs less. */
  #chooseHowToFollow(nowMs: number): void {
    let active = 0
    for (const blob of this.#board.blobs) {
      const laneGrewAtMs = this.#runner.laneOf(blob.name)?.grewAtMs ?? 0
      if (Math.max(blob.grewAtMs, laneGrewAtMs) > nowMs - activeMs) active += 1
    }
    const looksOnly =
      active > this.#mostFollowed && active > pollsPerListing * this.#options.discovery.lastScanRequests
    if (looksOnly !== this.#looksOnly)
      this.#log.info(
        { activeBlobs: active, listingRequests: this.#options.discovery.lastScanRequests },
        looksOnly
          ? 'many blobs grow: listing them instead of polling each'
          : 'polling the newest blobs one by one',
      )
    this.#looksOnly = looksOnly
  }

  /** Starts lanes for what is queued, as far as there is room. */
  #fill(): void {
    if (this.#runner.signal.aborted || this.#failure !== undefined) return
    const { maxLanes } = this.#context.config.source
    while (this.#board.queuedCount > 0 && this.#running.size < maxLanes) {
      const isBacklog = this.#board.liveCount === 0
      if (isBacklog && this.#backlogLanes >= maxLanes - this.#reservedLanes) return
      const blob = this.#board.take(isBacklog ? 'backlog' : 'live')
      if (blob === undefined) return
      this.#start(blob, isBacklog)
    }
    const isBacklogStarving = this.#board.backlogCount > 0 && this.#backlogLanes === 0
    if (this.#board.liveCount > 0 || isBacklogStarving) this.#makeRoom()
  }

  #start(blob: BoardBlob, isBacklog: boolean): void {
    const done = this.#runBlob(blob)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#running.delete(blob)
        this.#fill()
        this.#lookAgainIfStarved()
        this.#changed()
      })
    this.#running.set(blob, { isBacklog, done })
  }

  /** A followed lane at its blob's end gives way: the next look finds its blob when it grows. */
  #makeRoom(): void {
    const idle = this.#followedLanes()
      .filter((lane) => lane.totalBytes > 0 && lane.lastRead.offset >= lane.totalBytes)
      .sort((a, b) => a.quietSinceMs - b.quietSinceMs)
    idle[0]?.stop()
  }

  /** Runs lanes of one blob, one per generation, until it rests or is set aside. */
  async #runBlob(blob: BoardBlob): Promise<void> {
    if (this.#fenced.has(blob)) return this.#putFencedAside(blob, this.#fenced.get(blob))
    if (blob.aside?.code === 'COMMIT_FENCED') await this.#context.refreshOffsets?.()
    const options = {
      follow: this.#shallFollow(blob),
      coldStart: 'earliest',
      giveUp: this.#givesUp(),
    } as const
    try {
      let lane = blob.next?.createdAt === blob.createdAt ? this.#runner.resume(blob, options) : undefined
      for (;;) {
        if (lane === undefined) {
          const opened = await this.#runner.open(blob, options)
          if (opened.kind !== 'lane') return this.#rest(blob, opened.kind === 'missing')
          lane = opened.lane
        }
        const end = await this.#runLane(lane, blob)
        if (this.#fenced.has(blob)) return this.#putFencedAside(blob, lane.generation)
        if (end !== 'replaced') {
          this.#rest(blob, end === 'missing')
          // Its lane began before the look had shown that it is one of the newest.
          if (end === 'end' && this.#shallFollow(blob)) this.#board.enqueue(blob)
          return
        }
        if (!lane.hasProgressed) await this.#pause(this.#context.config.source.pollMs)
        lane = undefined
      }
    } catch (error) {
      if (this.#runner.signal.aborted || !isTailraceError(error) || !isOfOneBlob(error)) throw error
      this.#putAside(blob, error)
    }
  }

  async #runLane(lane: Lane, blob: BoardBlob): Promise<TailEnd> {
    try {
      return await this.#runner.run(lane, blob)
    } finally {
      blob.grewAtMs = Math.max(blob.grewAtMs, lane.grewAtMs ?? 0)
      // Failures count in a row: one that comes after it was read again is the first.
      if (lane.hasProgressed) this.#clearAside(blob)
    }
  }

  #rest(blob: BoardBlob, isMissing: boolean): void {
    this.#clearAside(blob)
    blob.state = 'resting'
    blob.isLive = true
    blob.isGone = isMissing
    if (!isMissing) blob.bytes = Math.max(blob.bytes, blob.seenBytes)
  }

  #clearAside(blob: BoardBlob): void {
    if (blob.aside === undefined) return
    delete blob.aside
    this.#log.info({ blob: blob.name }, 'a blob that was set aside is read again')
    this.#tellSetAside()
  }

  #putAside(blob: BoardBlob, error: TailraceError): void {
    const nowMs = this.#context.clock.now()
    const failures = (blob.aside?.failures ?? 0) + 1
    const pauses = asidePauses[error.disposition === 'retry' ? 'failing' : 'refused']
    const pauseMs = growingPauseMs(failures, pauses)
    blob.aside = {
      blob: blob.name,
      code: error.code,
      reason: error.message,
      failures,
      sinceMs: blob.aside?.sinceMs ?? nowMs,
      untilMs: nowMs + pauseMs,
    }
    blob.state = 'aside'
    if (isWorthTelling(failures))
      this.#log.error({ err: error, blob: blob.name, failures, pauseMs }, 'a blob was set aside')
    this.#tellSetAside()
  }

  /** What of the blob is on its way to the sink will be dropped there, before the blob is read again. */
  #putFencedAside(blob: BoardBlob, generation = ''): void {
    this.#fenced.delete(blob)
    blob.aside = fence(blob, generation, blob.next?.offset ?? 0, this.#context.clock.now())
    blob.state = 'aside'
    const { failures, untilMs } = blob.aside
    if (isWorthTelling(failures))
      this.#log.warn({ blob: blob.name, failures, untilMs }, 'another process lands a blob: set aside')
    this.#tellSetAside()
    const isLost = ({ state, aside }: BoardBlob) => state === 'aside' && aside?.code === 'COMMIT_FENCED'
    if ([...this.#board.blobs].every(isLost)) {
      if (isWorthTelling(failures)) this.#log.error('another process lands every blob of this pipeline')
      if (this.#context.config.whenFenced === 'exit') this.#fail(fencedError('every blob of the pipeline'))
    }
  }

  #retryAside(nowMs: number): void {
    const { isSettled = () => true, reader } = this.#context
    for (const blob of this.#board.blobs) {
      if (blob.state !== 'aside' || (blob.aside?.untilMs ?? 0) > nowMs) continue
      const { generation = '', readTo = 0 } = blob.fence ?? {}
      if (isSettled({ blob: `${reader.container}/${blob.name}`, generation }, readTo)) {
        this.#board.enqueue(blob)
      }
    }
    this.#tellSetAside()
  }

  #tellSetAside(): void {
    const { setAside } = this
    const key = JSON.stringify(setAside)
    if (key === this.#toldSetAside) return
    this.#toldSetAside = key
    this.#options.onSetAside?.(setAside)
  }

  /** A lane gives up only when its blob alone is the matter: an outage is waited out, and so is throttling. */
  #givesUp(): (event: RetryEvent) => boolean {
    return ({ error, attempt, failingSinceMs }) =>
      attempt >= mostAttempts && !isThrottling(error) && this.#options.succeededSince(failingSinceMs)
  }

  #shallFollow({ name }: BoardBlob): boolean {
    const { follow } = this.#context
    return (
      follow &&
      !this.#looksOnly &&
      this.#wanted.has(name) &&
      this.#followedLanes().length < this.#mostFollowed
    )
  }

  #stopQuietLanes(nowMs: number): void {
    for (const lane of this.#followedLanes()) {
      const isQuiet = lane.quietSinceMs < nowMs - quietMs
      const isWanted = this.#wanted.has(lane.blobName) && !this.#looksSuffice
      if (this.#looksOnly || (isQuiet && !isWanted)) lane.stop()
    }
  }

  #followedLanes(): Lane[] {
    return [...this.#running.keys()].flatMap(({ name }) => {
      const lane = this.#runner.laneOf(name)
      return lane?.follows === true ? [lane] : []
    })
  }

  get #backlogLanes(): number {
    return [...this.#running.values()].filter(({ isBacklog }) => isBacklog).length
  }

  /** Whether a look finds a quiet blob grown as soon as a poll of it would. */
  get #looksSuffice(): boolean {
    const { discoverMs, maxPollMs } = this.#context.config.source
    return discoverMs <= maxPollMs
  }

  /** Lanes that the backlog never takes. */
  get #reservedLanes(): number {
    const { maxLanes } = this.#context.config.source
    return maxLanes === 1 || !this.#context.follow ? 0 : Math.max(1, Math.floor(maxLanes / 4))
  }

  get #mostFollowed(): number {
    const { maxLanes } = this.#context.config.source
    return Math.min(pollsPerListing, Math.max(1, Math.floor((maxLanes * 3) / 4)))
  }

  #startAtEnd({ name, bytes, createdAt }: ListedBlob): Span[] {
    const blob = `${this.#context.reader.container}/${name}`
    return bytes === 0 ? [] : [{ blob, generation: createdAt, start: bytes, end: bytes }]
  }

  /** How far the generation that a listing seems to show is landed. */
  #landedBytes({ name, createdAt }: ListedBlob): number | undefined {
    const { landedOf, markOf, reader } = this.#context
    const newest = landedOf(`${reader.container}/${name}`).at(-1)
    if (newest === undefined) return undefined
    const instant = markOf(newest)?.createdAt ?? generationParts(newest.generation)[0]
    return instant === createdAt ? newest.offset : undefined
  }

  #landedOf({ name, next, createdAt }: BoardBlob): number | undefined {
    const { landedOf, reader } = this.#context
    const generations = landedOf(`${reader.container}/${name}`)
    const generation = this.#runner.laneOf(name)?.generation ?? next?.generation ?? createdAt
    return generations.find((known) => known.generation === generation)?.offset
  }

  #lookAgainIfStarved(): void {
    if (this.#board.leftBytes > 0 && this.#board.backlogCount < this.#maxQueued / 10) this.#lookAgain.abort()
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.stop()
  }

  #doneLanes(): Promise<void>[] {
    return [...this.#running.values()].map(({ done }) => done)
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = resolve
    })
  }

  async #pause(ms: number): Promise<void> {
    // A stop aborts it too.
    const { signal } = this.#lookAgain
    try {
      await this.#context.clock.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

/** Storage asks for patience, whatever blob is asked for: https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes */
function isThrottling(error: unknown): boolean {
  if (!isTailraceError(error)) return false
  const { status, retryAfterMs } = error.context
  return status === 429 || status === 503 || typeof retryAfterMs === 'number'
}

/** Errors that one blob can have while its neighbors are well. */
function isOfOneBlob(error: TailraceError): boolean {
  return error.code === 'SOURCE_UNSUPPORTED' || error.code === 'SOURCE_UNAVAILABLE'
}
