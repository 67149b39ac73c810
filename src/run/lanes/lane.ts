import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../clock.ts'
import type { ResolvedPipeline } from '../../config/resolve.ts'
import type { DocumentResume, EntryBlock } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { RetryEvent, RetryPolicy } from '../../retry.ts'
import { AppendBlobTailer, type TailEnd } from '../../sources/append-blob-tailer.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'
import type { KnownFraming } from '../../sources/recognition/framing.ts'
import type { MarkedTail } from '../../sources/recognition/identify-blob.ts'
import type { ByteBudget } from '../../sources/tailing/byte-budget.ts'
import { FunctionTransform } from '../../streams/custom/function-transform.ts'
import { StreamTransform } from '../../streams/custom/stream-transform.ts'
import { RecordsDocuments } from '../../streams/documents/records-documents.ts'
import { GzipMembers } from '../../streams/gzip/gzip-members.ts'
import { LineSplitter } from '../../streams/line-splitter.ts'
import { RecordValidator } from '../../streams/record-validator.ts'
import type { DiskSpaceMonitor } from '../../streams/staging/disk-space-monitor.ts'
import type { Staging } from '../../streams/staging/staging.ts'
import { UnitCollector } from '../../streams/units/unit-collector.ts'
import type { CustomTransform, RecordTransform } from '../../transforms/record-transform.ts'

/** Where a lane begins. */
export interface LaneStart {
  readonly generation: string
  readonly createdAt: string
  readonly offset: number
  /** The offset lies inside a line, whose rest is skipped. */
  readonly insideLine: boolean
  /** The last bytes before the first byte to read, as far as they are known. */
  readonly before: Buffer | undefined
  /** Reading begins before the offset, in a document that has grown. */
  readonly resume: DocumentResume | undefined
  /** The blob's first bytes, as far as they are known. */
  readonly head: Buffer | undefined
  readonly framing: KnownFraming
}

export interface LaneOptions {
  readonly pipelineName: string
  readonly config: ResolvedPipeline
  readonly reader: BlobReader
  readonly blobName: string
  readonly start: LaneStart
  readonly follow: boolean
  /** Read no byte from here on. */
  readonly endOffset?: number
  readonly budget?: ByteBudget
  /** Where what does not fit in memory of a gzip member or a document goes. */
  readonly staging: Staging
  readonly diskSpace?: DiskSpaceMonitor
  /** How long a read that fails for now is repeated. Default: as long as it takes. */
  readonly retry?: Partial<RetryPolicy>
  /** Asked after each failed read that would be repeated: true ends the lane with the error. */
  readonly giveUp?: (event: RetryEvent) => boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** One blob's stages, from the tailer to the last custom transform. */
export class Lane {
  readonly blobName: string
  readonly generation: string
  #tailer: AppendBlobTailer
  #framer: LineSplitter | GzipMembers | RecordsDocuments
  #options: LaneOptions
  #startedAtMs: number
  /** The end of the last block that was taken: what came later is read again by a later lane. */
  #takenEnd: number | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(options: LaneOptions) {
    const { config, reader, blobName, start, follow, endOffset, budget, retry, giveUp, clock, logger } =
      options
    const { source } = config
    this.blobName = blobName
    this.generation = start.generation
    this.#options = options
    this.#startedAtMs = clock.now()
    this.#framer = this.#framerOf(start, source.maxLineBytes)
    this.#tailer = new AppendBlobTailer({
      reader,
      blobName,
      generation: start.generation,
      createdAt: start.createdAt,
      offset: start.resume?.readFrom ?? start.offset,
      ...(start.before === undefined ? {} : { before: start.before }),
      ...(start.head === undefined ? {} : { head: start.head }),
      follow,
      ...(endOffset === undefined ? {} : { endOffset }),
      ...(budget === undefined ? {} : { budget }),
      ...(retry === undefined ? {} : { retry }),
      ...(giveUp === undefined ? {} : { giveUp }),
      pollMs: source.pollMs,
      maxPollMs: source.maxPollMs,
      onFailure: (error) => this.#fail(error),
      rangeBytes: source.rangeBytes,
      clock,
      logger,
    })
  }

  /** The blob's length as last seen, in bytes. */
  get totalBytes(): number {
    return this.#tailer.totalBytes
  }

  /** Whether it waits for appends at the blob's end. */
  get follows(): boolean {
    return this.#options.follow
  }

  /** When the blob was last seen to have grown after the lane's first look; undefined when it has not. */
  get grewAtMs(): number | undefined {
    return this.#tailer.grewAtMs
  }

  /** Since when the blob has not grown, as far as the lane knows. */
  get quietSinceMs(): number {
    return this.grewAtMs ?? this.#startedAtMs
  }

  /** Whether the lane has handed on anything that is to stay. */
  get hasProgressed(): boolean {
    return this.#takenEnd !== undefined && this.#takenEnd > this.#options.start.offset
  }

  /** The last bytes read, and the offset behind them. */
  get lastRead(): { readonly offset: number; readonly before: Buffer } {
    return { offset: this.#tailer.offset, before: this.#tailer.before }
  }

  /** By what the blob is to be recognized later beside its head; undefined while nothing better than before is known. */
  get tail(): MarkedTail | undefined {
    return this.#framer instanceof RecordsDocuments ? this.#framer.tail : this.lastRead
  }

  /** Where a later lane of this blob begins: behind what was taken, whatever was read. */
  get next(): LaneStart {
    const { start } = this.#options
    const framer = this.#framer
    const offset = this.#takenEnd ?? start.offset
    if (offset === start.offset) return start
    const before = framer instanceof LineSplitter && framer.nextOffset === offset ? framer.before : undefined
    return { ...start, offset, insideLine: false, before, resume: undefined }
  }

  /**
   * Runs until the blob's end or a stop; every complete line that was read has then been taken by the inlet.
   *
   * When reading fails, or what was read cannot be taken apart, the stages end in order and then it throws: what was
   * read before that is landed.
   *
   * @param inlet makes the last stage, which tells what it has taken
   */
  async run(inlet: (onTaken: (block: EntryBlock) => void) => Writable): Promise<TailEnd> {
    const { config, pipelineName, start, staging, diskSpace } = this.#options
    await pipeline([
      this.#tailer,
      this.#framer,
      ...(start.framing === 'documents' ? [] : [new RecordValidator()]),
      ...transformStages(config.transforms, pipelineName),
      ...(start.framing === 'lines'
        ? []
        : [new UnitCollector({ staging, ...(diskSpace === undefined ? {} : { diskSpace }) })]),
      inlet(({ span }) => {
        this.#takenEnd = span.end
      }),
    ])
    if (this.#failure !== undefined) throw this.#failure.error
    return this.#tailer.endedBy ?? 'end'
  }

  /** Stops reading; `run` resolves when what was read has been handed on. */
  stop(): void {
    this.#tailer.stop()
  }

  #framerOf({ framing, insideLine, offset, resume }: LaneStart, maxLineBytes: number) {
    switch (framing) {
      case 'lines':
        return new LineSplitter({ maxLineBytes, insideLine })
      case 'gzip':
        return new GzipMembers({ maxLineBytes, onRefused: (error) => this.#fail(error) })
      case 'documents':
        return new RecordsDocuments({
          maxRecordBytes: maxLineBytes,
          ...(resume === undefined ? {} : { resume: { at: resume, end: offset } }),
        })
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#tailer.stop()
  }
}

/** Consecutive functions become one stage, so that they share the parse of a record. */
function transformStages(
  transforms: readonly CustomTransform[],
  pipelineName: string,
): (FunctionTransform | StreamTransform)[] {
  const stages: (FunctionTransform | StreamTransform)[] = []
  let functions: RecordTransform[] = []
  const closeFunctions = (): void => {
    if (functions.length > 0) stages.push(new FunctionTransform(functions, pipelineName))
    functions = []
  }
  for (const transform of transforms) {
    if (typeof transform === 'function') {
      functions.push(transform)
      continue
    }
    closeFunctions()
    stages.push(new StreamTransform(transform, pipelineName))
  }
  closeFunctions()
  return stages
}
