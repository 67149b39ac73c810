import { setMaxListeners } from 'node:events'
import type { Writable } from 'node:stream'
import type { Clock } from '../../clock.ts'
import type { ResolvedPipeline } from '../../config/resolve.ts'
import { TailraceError } from '../../errors.ts'
import type { LandedOffset } from '../../offsets/landed-offsets.ts'
import type { BlobGeneration, EntryBlock, GenerationMark, Span } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import { retryLog } from '../../reporting/retry-log.ts'
import { type RetryEvent, retry } from '../../retry.ts'
import type { TailEnd } from '../../sources/append-blob-tailer.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'
import { framingOf, type KnownFraming } from '../../sources/recognition/framing.ts'
import {
  type ColdStart,
  type IdentifiedBlob,
  identifyBlob,
  type KnownGeneration,
  markOf,
} from '../../sources/recognition/identify-blob.ts'
import type { ByteBudget } from '../../sources/tailing/byte-budget.ts'
import type { DiskSpaceMonitor } from '../../streams/staging/disk-space-monitor.ts'
import type { Staging } from '../../streams/staging/staging.ts'
import type { BlobFence } from './fenced-blob.ts'
import { Lane, type LaneStart } from './lane.ts'

/** What a pipeline gives its lanes. */
export interface LaneContext {
  readonly pipelineName: string
  readonly config: ResolvedPipeline
  readonly reader: BlobReader
  /** Go on after the blobs' ends; otherwise end where they ended when each was first seen. */
  readonly follow: boolean
  /** The generations of `<container>/<name>` that have landed, the newest one last. */
  readonly landedOf: (blob: string) => readonly LandedOffset[]
  /** Whether the table had no offset of this pipeline when it was opened. */
  readonly isFirstRun: boolean
  /** Records cold starts that are not the blobs' beginnings, all or none, so that a restart does not begin anew. */
  readonly recordStarts: (starts: readonly Span[]) => Promise<void>
  readonly markOf: (source: BlobGeneration) => GenerationMark | undefined
  /** Hears what a generation is to be recognized by after a restart. */
  readonly recordMark: (mark: GenerationMark) => void
  /** A new inlet of the merged stream, which tells what it has taken. */
  readonly inlet: (onTaken: (block: EntryBlock) => void) => Writable
  readonly budget: ByteBudget
  readonly staging: Staging
  readonly diskSpace?: DiskSpaceMonitor
  /** Whether what was read of a generation up to an offset is landed or dropped. Default: always. */
  readonly isSettled?: ((source: BlobGeneration, offset: number) => boolean) | undefined
  /** Takes up what other processes have committed. Default: nobody else commits. */
  readonly refreshOffsets?: (() => Promise<void>) | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** What is known of a blob from the lanes that it has had in this process. */
export interface BlobMemory {
  readonly name: string
  /** Where its next lane begins. */
  next?: LaneStart | undefined
  /** How far its last lane read, complete lines or not. */
  seenBytes: number
  /** Its first bytes and creation instant, as last looked at. */
  identity?: Pick<IdentifiedBlob, 'head' | 'createdAt'>
  /** When another process last landed what this one had read. */
  fence?: BlobFence
}

export type OpenedLane =
  | { readonly kind: 'lane'; readonly lane: Lane }
  | { readonly kind: 'empty' }
  | { readonly kind: 'missing'; readonly what: 'blob' | 'container' }
  | { readonly kind: 'stopped' }

export interface OpenOptions {
  readonly follow: boolean
  readonly coldStart: ColdStart
  readonly giveUp?: (event: RetryEvent) => boolean
}

/** Opens and runs the lanes of single blobs; which blobs these are is decided elsewhere. */
export class LaneRunner {
  #context: LaneContext
  #log: Logger
  #lanes = new Map<string, { readonly lane: Lane; readonly memory: BlobMemory }>()
  #stopping = new AbortController()

  constructor(context: LaneContext) {
    this.#context = context
    this.#log = context.logger
    // Each lane that is being opened listens to it.
    setMaxListeners(0, this.#stopping.signal)
  }

  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  /** The lane that a blob has now. */
  laneOf(blobName: string): Lane | undefined {
    return this.#lanes.get(blobName)?.lane
  }

  /** Stops all lanes, and those that are being opened. */
  stop(): void {
    this.#stopping.abort()
    for (const { lane } of this.#lanes.values()) lane.stop()
  }

  /**
   * Looks at a blob and prepares the lane that goes on with it.
   *
   * @throws SOURCE_UNSUPPORTED, SOURCE_DENIED, and SOURCE_UNAVAILABLE when `giveUp` says so
   */
  async open(memory: BlobMemory, options: OpenOptions): Promise<OpenedLane> {
    const { reader } = this.#context
    const blob = `${reader.container}/${memory.name}`
    const known = this.#known(blob, memory)
    const { coldStart, giveUp } = options
    const identity = await this.#unlessStopped(
      () => identifyBlob(reader, memory.name, { known, coldStart, signal: this.signal }),
      giveUp,
    )
    if (identity === undefined) return { kind: 'stopped' }
    if (identity.kind !== 'found') return identity

    const { generation, offset, totalBytes, recognition } = identity
    const framing = this.#framingOf(blob, identity)
    const place = { blob, generation, offset, blobBytes: totalBytes }
    if (recognition === 'replaced') {
      const previous = known.at(-1)
      this.#log.warn(
        { ...place, previous: { generation: previous?.generation, offset: previous?.offset } },
        'the blob was replaced: reading the new generation from its start; the rows of the old one stay',
      )
    } else if (recognition === 'copied') {
      this.#log.warn(place, 'the blob was created anew with the same content: going on where it was')
    } else {
      this.#log.info(place, recognition === 'begins' ? 'a blob begins' : 'a blob goes on')
    }
    if (identity.resume !== undefined)
      this.#log.info(
        { ...place, readFrom: identity.resume.readFrom },
        'a document has grown: its new records are landed',
      )
    if (recognition === 'begins' && offset > 0) {
      await this.#context.recordStarts([{ blob, generation, start: offset, end: offset }])
      // Another process was first to record where it begins.
      const recorded = this.#context.landedOf(blob).find((landed) => landed.generation === generation)
      if (recorded !== undefined && recorded.offset !== offset) return this.open(memory, options)
    }
    memory.identity = identity
    this.#context.recordMark(markOf({ blob, generation }, identity, identity.tail))
    const insideLine = identity.insideLine && framing === 'lines'
    return { kind: 'lane', lane: this.#lane(memory, { ...identity, insideLine, framing }, options) }
  }

  /** Prepares a lane that goes on where the blob's last one ended in this process, without another look at the blob. */
  resume(memory: BlobMemory, options: OpenOptions): Lane | undefined {
    // Without the bytes before it, nothing would tell whether the blob is still the same.
    if (memory.next?.before === undefined || memory.identity === undefined) return undefined
    return this.#lane(memory, memory.next, options)
  }

  /** Runs a lane to its end; what it came to is then in the blob's memory, also when it failed. */
  async run(lane: Lane, memory: BlobMemory): Promise<TailEnd> {
    this.#lanes.set(memory.name, { lane, memory })
    if (this.signal.aborted) lane.stop()
    try {
      const end = await lane.run(this.#context.inlet)
      this.#tellEnd(lane, end)
      return end
    } finally {
      this.#lanes.delete(memory.name)
      memory.next = lane.next
      memory.seenBytes = lane.lastRead.offset
      this.#recordMark(lane, memory)
    }
  }

  /** Tells how far each lane has read, so that its blob is recognized there after a restart. */
  recordMarks(): void {
    for (const { lane, memory } of this.#lanes.values()) this.#recordMark(lane, memory)
  }

  #recordMark(lane: Lane, { identity }: BlobMemory): void {
    const { reader, recordMark } = this.#context
    const { tail } = lane
    if (identity === undefined || tail === undefined) return
    const source = { blob: `${reader.container}/${lane.blobName}`, generation: lane.generation }
    recordMark(markOf(source, identity, tail))
  }

  /** What landed, and what this process has read since. */
  #known(blob: string, { next, identity }: BlobMemory): readonly KnownGeneration[] {
    const { landedOf, markOf: mark } = this.#context
    const landed = landedOf(blob).map((one) => ({ ...one, mark: mark(one) }))
    if (next === undefined) return landed
    const source = { blob, generation: next.generation }
    const current = { ...source, offset: next.offset, mark: mark(source) ?? plainMark(source, identity) }
    return [...landed.filter(({ generation }) => generation !== next.generation), current]
  }

  #framingOf(blob: string, { head, blobType }: IdentifiedBlob): KnownFraming {
    const framing = framingOf(head, blobType)
    if (framing.kind !== 'refused') return framing.kind
    throw new TailraceError('SOURCE_UNSUPPORTED', `${blob} ${framing.reason}.`)
  }

  #lane(memory: BlobMemory, start: LaneStart, { follow, giveUp }: OpenOptions): Lane {
    const { pipelineName, config, reader, budget, staging, diskSpace, clock } = this.#context
    return new Lane({
      pipelineName,
      config,
      reader,
      blobName: memory.name,
      start,
      follow,
      budget,
      staging,
      ...(diskSpace === undefined ? {} : { diskSpace }),
      ...(giveUp === undefined ? {} : { giveUp }),
      clock,
      logger: this.#log,
    })
  }

  #tellEnd(lane: Lane, end: TailEnd): void {
    const place = {
      blob: lane.blobName,
      generation: lane.generation,
      offset: lane.next.offset,
      blobBytes: lane.totalBytes,
    }
    if (end !== 'missing') this.#log.debug({ ...place, end }, 'a lane ended')
    else if (lane.next.offset < lane.totalBytes)
      this.#log.warn(
        { ...place, unreadBytes: lane.totalBytes - lane.next.offset },
        'the blob is gone, and not all of it was read',
      )
    else this.#log.info(place, 'the blob is gone; all of it was read')
  }

  async #unlessStopped<T>(
    operation: () => Promise<T>,
    giveUp: ((event: RetryEvent) => boolean) | undefined,
  ): Promise<T | undefined> {
    try {
      return await retry(operation, {
        signal: this.signal,
        clock: this.#context.clock,
        onRetry: retryLog(this.#log, 'storage read failed'),
        ...(giveUp === undefined ? {} : { giveUp }),
      })
    } catch (error) {
      if (this.signal.aborted) return undefined
      throw error
    }
  }
}

function plainMark(
  source: BlobGeneration,
  identity: Pick<IdentifiedBlob, 'createdAt'> | undefined,
): GenerationMark | undefined {
  return identity === undefined ? undefined : { ...source, createdAt: identity.createdAt }
}
