import { setMaxListeners } from 'node:events'
import { TailraceError } from '../../errors.ts'
import type { BlobGeneration, GenerationMark } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import { retryLog } from '../../reporting/retry-log.ts'
import { type RetryEvent, retry } from '../../retry.ts'
import type { TailEnd } from '../../sources/append-blob-tailer.ts'
import { framingOf, type KnownFraming } from '../../sources/recognition/framing.ts'
import {
  type ColdStart,
  type IdentifiedBlob,
  identifyBlob,
  type KnownGeneration,
  markOf,
} from '../../sources/recognition/identify-blob.ts'
import type { BytesRead } from '../../sources/tailing/read-position.ts'
import { LongLines } from '../../streams/staging/long-lines.ts'
import { RowMemories } from '../../streams/staging/usual-rows.ts'
import type { BlobMemory, LaneStart } from './blob-memory.ts'
import { Lane } from './lane.ts'
import type { LaneContext } from './lane-context.ts'

export type OpenedLane =
  | { readonly kind: 'lane'; readonly lane: Lane }
  | { readonly kind: 'empty' }
  | { readonly kind: 'missing'; readonly what: 'blob' | 'container' }
  | { readonly kind: 'stopped' }

/** A blob up to this length is read with its head. 16 lanes hold at most 16 MiB so, beside the budget if that is used up. */
const maxFirstBytes = 1024 * 1024

export interface OpenOptions {
  readonly follow: boolean
  readonly coldStart: ColdStart
  /** The blob's length in the listing, if it was listed: a small blob is read with its head in one request. */
  readonly listedBytes?: number | undefined
  /** Called before each retry of a read: true gives up with the error. Default: never. */
  readonly giveUp?: ((event: RetryEvent) => boolean) | undefined
}

/** Opens and runs lanes; a `LaneSchedule` decides of which blobs. */
export class LaneRunner {
  #context: LaneContext
  #log: Logger
  #rowMemories = new RowMemories()
  #longLines: LongLines
  #lanes = new Map<string, { readonly lane: Lane; readonly memory: BlobMemory }>()
  #stopping = new AbortController()

  constructor(context: LaneContext) {
    this.#context = context
    this.#log = context.logger
    this.#longLines = new LongLines(context)
    // Each lane that is being opened adds a listener; Node would warn of a leak at the eleventh.
    setMaxListeners(0, this.#stopping.signal)
  }

  get signal(): AbortSignal {
    return this.#stopping.signal
  }

  /** The running lane of a blob. */
  laneOf(blobName: string): Lane | undefined {
    return this.#lanes.get(blobName)?.lane
  }

  /** Since when lines that a lane has read have not been handed on; undefined when there are none. */
  get heldSinceMs(): number | undefined {
    let since: number | undefined
    for (const { lane } of this.#lanes.values()) {
      const held = lane.heldSinceMs
      if (held !== undefined) since = Math.min(held, since ?? held)
    }
    return since
  }

  /** Stops all lanes, and those that are being opened. */
  stop(): void {
    this.#stopping.abort()
    for (const { lane } of this.#lanes.values()) lane.stop()
  }

  /**
   * Identifies a blob, and prepares the lane that resumes it.
   *
   * @throws SOURCE_UNSUPPORTED, SOURCE_DENIED, and SOURCE_UNAVAILABLE when `giveUp` returns true
   */
  async open(memory: BlobMemory, options: OpenOptions): Promise<OpenedLane> {
    const { reader } = this.#context
    const blob = `${reader.container}/${memory.name}`
    try {
      await this.#context.archive?.recall([blob])
    } catch (error) {
      if (this.signal.aborted) return { kind: 'stopped' }
      throw error
    }
    const known = this.#known(blob, memory)
    const { coldStart, giveUp, listedBytes = 0 } = options
    const firstBytes = listedBytes <= maxFirstBytes ? listedBytes : 0
    const identity = await this.#unlessStopped(
      () => identifyBlob(reader, memory.name, { known, coldStart, firstBytes, signal: this.signal }),
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
      // Another process was first to record a start, so that one counts.
      const recorded = this.#context.landedOf(blob).find((landed) => landed.generation === generation)
      if (recorded !== undefined && recorded.offset !== offset) return this.open(memory, options)
    }
    const { first, createdAt, before, head, resume } = identity
    // Kept as long as the blob is known: nothing more than a later lane needs.
    memory.identity = { head, createdAt }
    this.#context.recordMark(markOf({ blob, generation }, identity, identity.tail))
    const insideLine = identity.insideLine && framing === 'lines'
    const start = { generation, createdAt, offset, insideLine, before, resume, head, framing }
    const lane = this.#lane(memory, start, options, first)
    return { kind: 'lane', lane }
  }

  /** Prepares a lane that resumes where the blob's last one in this process ended, without identifying the blob again. */
  resume(memory: BlobMemory, options: OpenOptions): Lane | undefined {
    // Without the bytes before it, the tailer could not recognize that the blob was replaced.
    if (memory.next?.before === undefined || memory.identity === undefined) return undefined
    return this.#lane(memory, memory.next, options)
  }

  /** Runs a lane to its end; the blob's memory then says how far it read, also when it failed. */
  async run(lane: Lane, memory: BlobMemory): Promise<TailEnd> {
    this.#lanes.set(memory.name, { lane, memory })
    if (this.signal.aborted) lane.stop()
    try {
      const end = await lane.run(this.#context.inlet)
      this.#logEnd(lane, end)
      return end
    } finally {
      this.#lanes.delete(memory.name)
      memory.next = lane.next
      memory.seenBytes = lane.lastRead.offset
      this.#recordMark(lane, memory)
    }
  }

  /** Records how far each lane has read, so that a restart recognizes its blob there. */
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

  /** The generations that landed, the last one as far as this process has read it since. */
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

  #lane(memory: BlobMemory, start: LaneStart, { follow, giveUp }: OpenOptions, first?: BytesRead): Lane {
    const { config, customStages, reader, writtenForm, budget, staging, diskSpace, clock, logger } =
      this.#context
    const blobName = memory.name
    return new Lane({
      source: config.source,
      customStages,
      reader,
      blobName,
      start,
      first,
      follow,
      budget,
      rowMemories: this.#rowMemories,
      writtenForm,
      longLines: this.#longLines,
      staging,
      diskSpace,
      giveUp,
      clock,
      logger,
    })
  }

  #logEnd(lane: Lane, end: TailEnd): void {
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
        giveUp,
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
