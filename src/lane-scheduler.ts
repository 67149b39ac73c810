import type { Writable } from 'node:stream'
import type { Clock } from './clock.ts'
import { isTailraceError, TailraceError } from './errors.ts'
import { Lane } from './lane.ts'
import type { Logger } from './logger.ts'
import { type BlobGeneration, generationKey } from './records.ts'
import type { ResolvedPipeline } from './resolve-config.ts'
import { retry } from './retry.ts'
import { retryLog } from './retry-log.ts'
import type { TailEnd } from './sources/append-blob-tailer.ts'
import type { BlobReader, ListedBlob } from './sources/blob-reader.ts'
import { type ColdStart, findStart } from './sources/blob-start.ts'
import { listBlobs } from './sources/list-blobs.ts'

export interface LaneSchedulerOptions {
  readonly pipelineName: string
  readonly config: ResolvedPipeline
  readonly reader: BlobReader
  /** Go on after the blobs' ends; otherwise end where they ended when each was first seen. */
  readonly follow: boolean
  /** Where the table says a blob generation is, if it has ever landed. */
  readonly committedOffset: (source: BlobGeneration) => number | undefined
  /** Whether the table had no offset of this pipeline when it was opened. */
  readonly isFirstRun: boolean
  /** Records a cold start that is not the blob's beginning, so that a restart does not begin anew. */
  readonly recordStart: (source: BlobGeneration, offset: number) => Promise<void>
  /** A new inlet of the merged stream. */
  readonly inlet: () => Writable
  readonly clock: Clock
  readonly logger: Logger
}

/** What is known of one blob. */
interface KnownBlob {
  readonly name: string
  /** Where its next lane starts, once a lane of it has run in this process. */
  next?: { readonly generation: string; readonly offset: number; readonly alignToLine: boolean }
  /** How far its last lane read: a listing that shows more wakes it again. */
  seenBytes: number
  /** Where it begins if the table has no offset of it. */
  coldStart: ColdStart
  state: 'queued' | 'running' | 'resting' | 'retired'
}

/** Blobs of a prefix that are followed by polling, at most; the others are found grown by the listing. */
const mostFollowedBlobs = 2

/**
 * Decides which blobs have a lane.
 *
 * A fixed blob has one lane for good. Under a prefix, every blob is read to its end, oldest name first, at most
 * `maxLanes` at a time; the newest ones are then followed, and the others rest until a listing shows that they
 * have grown.
 */
export class LaneScheduler {
  #options: LaneSchedulerOptions
  #log: Logger
  #blobs = new Map<string, KnownBlob>()
  #lanes = new Map<string, Lane>()
  #running = new Set<Promise<void>>()
  #stopping = new AbortController()
  /** `latest` is for what is there when a pipeline begins its life; whatever comes later is wanted whole. */
  #coldStart: ColdStart
  #failed: ((error: unknown) => void) | undefined
  #blobBytes = new Map<string, number>()

  constructor(options: LaneSchedulerOptions) {
    this.#options = options
    this.#log = options.logger
    this.#coldStart = options.isFirstRun ? options.config.source.coldStart : 'earliest'
  }

  /** Length of each blob as last seen, in bytes, by `<container>/<name>`. */
  get blobBytes(): ReadonlyMap<string, number> {
    for (const lane of this.#lanes.values()) {
      if (lane.totalBytes > 0) this.#noteBytes(lane.blobName, lane.totalBytes)
    }
    return this.#blobBytes
  }

  /** Runs lanes until the end (without follow) or until `stop`; rejects when a lane fails for good. */
  async run(): Promise<void> {
    const failure = new Promise<never>((_resolve, reject) => {
      this.#failed = reject
    })
    failure.catch(() => {})
    await Promise.race([this.#work(), failure])
  }

  /** Stops all lanes; `run` resolves when each has handed on what it read. */
  stop(): void {
    this.#stopping.abort()
    for (const lane of this.#lanes.values()) lane.stop()
  }

  async #work(): Promise<void> {
    const { source } = this.#options.config
    if (source.blobs.endsWith('/')) await this.#scheduleListed(source.blobs)
    else
      await this.#runBlob(
        { name: source.blobs, seenBytes: 0, state: 'running', coldStart: this.#coldStart },
        this.#options.follow,
        false,
      )
    await Promise.all(this.#running)
  }

  async #scheduleListed(prefix: string): Promise<void> {
    const { config, follow } = this.#options
    const { signal } = this.#stopping
    if (!follow) {
      await this.#discover(prefix)
      this.#fillLanes(new Set())
      while (this.#running.size > 0) {
        await Promise.race(this.#running)
        this.#fillLanes(new Set())
      }
      return
    }
    while (!signal.aborted) {
      const newest = await this.#discover(prefix)
      let paused = false
      const pause = this.#pause(config.source.discoverMs).then(() => {
        paused = true
      })
      while (!paused) {
        this.#fillLanes(newest)
        await (this.#queued().length > 0 ? Promise.race([pause, ...this.#running]) : pause)
      }
    }
  }

  /** Lists the prefix once: adds new blobs and wakes those that grew. @returns the names of the newest blobs */
  async #discover(prefix: string): Promise<ReadonlySet<string>> {
    const { config, reader, clock } = this.#options
    const { signal } = this.#stopping
    // The last slot is kept for the backlog.
    const followed = Math.min(mostFollowedBlobs, config.source.maxLanes - 1)
    let newest: readonly ListedBlob[] = []
    try {
      const onRetry = retryLog(this.#log, 'listing failed', { prefix })
      for await (const listed of listBlobs(reader, prefix, { signal, clock, onRetry })) {
        this.#noteListed(listed)
        newest = [...newest, listed].sort((a, b) => b.modifiedAtMs - a.modifiedAtMs).slice(0, followed)
      }
    } catch (error) {
      // Azure Monitor creates the container with the first record, so its absence is a wait, not a failure.
      if (signal.aborted) return new Set()
      if (!isTailraceError(error, 'SOURCE_MISSING')) throw error
      this.#log.warn({ err: error, container: reader.container }, 'the container does not exist yet')
    }
    this.#coldStart = 'earliest'
    return new Set(newest.map(({ name }) => name))
  }

  #noteBytes(blobName: string, bytes: number): void {
    this.#blobBytes.set(`${this.#options.reader.container}/${blobName}`, bytes)
  }

  #noteListed({ name, bytes, createdAt }: ListedBlob): void {
    const known = this.#blobs.get(name)
    this.#noteBytes(name, bytes)
    if (known === undefined) {
      this.#blobs.set(name, { name, seenBytes: 0, state: 'queued', coldStart: this.#coldStart })
    } else if (known.state === 'resting' || known.state === 'retired') {
      const recreated = known.next !== undefined && known.next.generation !== createdAt
      if (recreated || (known.state === 'resting' && bytes > known.seenBytes)) known.state = 'queued'
    }
  }

  #fillLanes(newest: ReadonlySet<string>): void {
    const { follow, config } = this.#options
    for (const lane of this.#lanes.values()) {
      // Only one that follows: a lane with a backlog ends by itself.
      if (lane.follows && !newest.has(lane.blobName) && this.#queued().length > 0) lane.stop()
    }
    for (const blob of this.#queued()) {
      if (this.#running.size >= config.source.maxLanes || this.#stopping.signal.aborted) return
      blob.state = 'running'
      const running = this.#runBlob(blob, follow && newest.has(blob.name), true).catch((error: unknown) =>
        this.#failed?.(error),
      )
      this.#running.add(running)
      void running.finally(() => this.#running.delete(running))
    }
  }

  #queued(): KnownBlob[] {
    return [...this.#blobs.values()].filter(({ state }) => state === 'queued')
  }

  /**
   * Runs lanes of one blob, one per generation, until it rests.
   *
   * @param listed whether a listing will find it again; a fixed blob that is gone is waited for here
   */
  async #runBlob(blob: KnownBlob, follow: boolean, listed: boolean): Promise<void> {
    for (;;) {
      const lane = await this.#openLane(blob, follow, listed)
      if (lane === undefined) {
        blob.state = 'resting'
        return
      }
      let end: TailEnd
      try {
        end = await this.#runLane(lane)
      } catch (error) {
        // One blob that cannot be read must not stop its neighbors under a prefix.
        if (!listed || !isTailraceError(error, 'SOURCE_UNSUPPORTED')) throw error
        this.#log.error({ err: error, blob: blob.name }, 'a blob was set aside')
        blob.state = 'retired'
        return
      } finally {
        blob.next = { generation: lane.generation, offset: lane.nextOffset, alignToLine: lane.stillAligning }
        blob.seenBytes = lane.readOffset
      }
      this.#tellEnd(lane, end)
      if (end === 'recreated' || (end === 'missing' && follow && !listed)) continue
      if (end === 'shrank' && !listed) throw shrank(lane)
      blob.state = end === 'missing' || end === 'shrank' ? 'retired' : 'resting'
      return
    }
  }

  /** @returns `undefined` when the blob does not exist and is not waited for, or when a stop came first */
  async #openLane(blob: KnownBlob, follow: boolean, listed: boolean): Promise<Lane | undefined> {
    const { config, reader, clock, committedOffset, recordStart, pipelineName } = this.#options
    const { signal } = this.#stopping
    let told = false
    while (!signal.aborted) {
      // A generation that follows another one of the same blob is new data: all of it is wanted.
      const coldStart = blob.next === undefined && !told ? blob.coldStart : 'earliest'
      const start = await this.#unlessStopped(() => findStart(reader, blob.name, coldStart, signal))
      if (start !== undefined) {
        const source = { blob: `${reader.container}/${blob.name}`, generation: start.generation }
        const next = blob.next?.generation === start.generation ? blob.next : undefined
        const resumed = next?.offset ?? committedOffset(source)
        const offset = resumed ?? start.offset
        const alignToLine = next === undefined ? resumed === undefined && start.alignToLine : next.alignToLine
        if (resumed === undefined && offset > 0 && !alignToLine) await recordStart(source, offset)
        this.#log.info(
          {
            blob: source.blob,
            generation: source.generation,
            offset,
            blobBytes: start.totalBytes,
            coldStart: resumed === undefined ? coldStart : undefined,
          },
          resumed === undefined ? 'a blob begins' : 'a blob goes on',
        )
        this.#noteBytes(blob.name, start.totalBytes)
        return new Lane({
          pipelineName,
          config,
          reader,
          blobName: blob.name,
          generation: start.generation,
          offset,
          alignToLine,
          follow,
          clock,
          logger: this.#log,
        })
      }
      if (!told)
        this.#log.warn(
          { container: reader.container, blob: blob.name },
          follow && !listed ? 'the blob is missing or empty: waiting for it' : 'the blob is missing or empty',
        )
      told = true
      if (!follow || listed) return undefined
      await this.#pause(config.source.pollMs)
    }
    return undefined
  }

  async #runLane(lane: Lane): Promise<TailEnd> {
    const key = generationKey({ blob: lane.blobName, generation: lane.generation })
    this.#lanes.set(key, lane)
    if (this.#stopping.signal.aborted) lane.stop()
    try {
      return await lane.run(this.#options.inlet())
    } finally {
      this.#lanes.delete(key)
    }
  }

  #tellEnd(lane: Lane, end: TailEnd): void {
    const place = {
      blob: lane.blobName,
      generation: lane.generation,
      offset: lane.nextOffset,
      blobBytes: lane.totalBytes,
    }
    if (end === 'recreated')
      this.#log.warn(place, 'the blob was created anew: reading the new generation from its start')
    else if (end === 'missing') this.#log.warn(place, 'the blob is gone')
    else if (end === 'shrank')
      this.#log.error(place, 'the blob is shorter than what was read of it: set aside')
    else this.#log.debug({ ...place, end }, 'a lane ended')
  }

  async #unlessStopped<T>(operation: () => Promise<T>): Promise<T | undefined> {
    const { signal } = this.#stopping
    try {
      return await retry(operation, {
        signal,
        clock: this.#options.clock,
        onRetry: retryLog(this.#log, 'storage read failed'),
      })
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping
    try {
      await this.#options.clock.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}

function shrank({ blobName, nextOffset, totalBytes }: Lane): TailraceError {
  return new TailraceError('SOURCE_SHRANK', `${blobName} is shorter than what was read of it.`, {
    context: { offset: nextOffset, blobBytes: totalBytes },
  })
}
