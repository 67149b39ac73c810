import type { Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../clock.ts'
import type { EntryBlock } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { RetryEvent, RetryPolicy } from '../../retry.ts'
import { AppendBlobTailer, type TailEnd } from '../../sources/append-blob-tailer.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'
import type { SourceOptions } from '../../sources/options.ts'
import type { MarkedTail } from '../../sources/recognition/identify-blob.ts'
import type { ByteBudget } from '../../sources/tailing/byte-budget.ts'
import type { BytesRead } from '../../sources/tailing/read-position.ts'
import { RecordsDocuments } from '../../streams/documents/records-documents.ts'
import { GzipMembers } from '../../streams/gzip/gzip-members.ts'
import { LineSplitter } from '../../streams/line-splitter.ts'
import { RecordValidator } from '../../streams/record-validator.ts'
import type { EndTurn, LongLineTurns } from '../../streams/records/open-line.ts'
import type { DiskSpaceMonitor } from '../../streams/staging/disk-space-monitor.ts'
import { LongLines } from '../../streams/staging/long-lines.ts'
import type { Staging } from '../../streams/staging/staging.ts'
import { RowMemories, UsualRows } from '../../streams/staging/usual-rows.ts'
import { UnitCollector } from '../../streams/units/unit-collector.ts'
import type { LaneStart } from './blob-memory.ts'

export interface LaneOptions {
  readonly source: SourceOptions
  /** Makes the stages of the custom transforms. */
  readonly customStages: () => readonly Transform[]
  readonly reader: BlobReader
  readonly blobName: string
  readonly start: LaneStart
  /** The answer to a request for the blob's first bytes, for a lane that starts there. */
  readonly first?: BytesRead | undefined
  readonly follow: boolean
  /** Stop before this offset. Default: the blob's end. */
  readonly endOffset?: number | undefined
  readonly budget?: ByteBudget | undefined
  /** Memory for usual records, shared by lanes. Default: of this lane's own. */
  readonly rowMemories?: RowMemories | undefined
  /** Recognizes the table's usual records: `Projection.writtenForm`. */
  readonly writtenForm?: RegExp | undefined
  /** Bounds the memory of long lines, shared by lanes. Default: of this lane's own. */
  readonly longLines?: LongLines | undefined
  /** Takes the entries of a gzip member or a document that do not fit in memory. */
  readonly staging: Staging
  readonly diskSpace?: DiskSpaceMonitor | undefined
  /** How a read that failed is retried. Default: until it succeeds. */
  readonly retry?: Partial<RetryPolicy> | undefined
  /** Called before each retry of a read: true ends the lane with the error instead. */
  readonly giveUp?: ((event: RetryEvent) => boolean) | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** One blob's stages, from the tailer to the last custom transform. */
export class Lane {
  readonly blobName: string
  readonly generation: string
  #tailer: AppendBlobTailer
  #framer: LineSplitter | GzipMembers | RecordsDocuments
  #customStages: readonly Transform[]
  #options: LaneOptions
  #longLines: LongLineTurns
  #startedAtMs: number
  /** The end of the last block that the inlet took. A later lane starts there. */
  #takenEnd: number | undefined
  /** Ends the turn of a long line that the inlet has not taken. */
  #untaken: EndTurn | undefined
  #failure: { readonly error: unknown } | undefined
  #handedOnUpToMs: number | undefined

  constructor(options: LaneOptions) {
    const { source, reader, blobName, start, follow, endOffset, budget, retry, giveUp, clock, logger } =
      options
    this.blobName = blobName
    this.generation = start.generation
    // A lane may run for hours, and needs the first answer once.
    this.#options = { ...options, first: undefined }
    this.#startedAtMs = clock.now()
    this.#customStages = options.customStages()
    this.#longLines = this.#noteTurns(options)
    this.#framer = this.#framerOf(start, source.maxLineBytes)
    this.#tailer = new AppendBlobTailer({
      reader,
      blobName,
      generation: start.generation,
      createdAt: start.createdAt,
      offset: start.resume?.readFrom ?? start.offset,
      before: start.before,
      head: start.head,
      first: options.first,
      follow,
      endOffset,
      budget,
      retry,
      giveUp,
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

  /** Whether the lane waits for appends at the blob's end. */
  get follows(): boolean {
    return this.#options.follow
  }

  /** When the blob was last found grown, in milliseconds since the epoch; undefined when it has not grown since the lane started. */
  get grewAtMs(): number | undefined {
    return this.#tailer.grewAtMs
  }

  /** Since when the blob has not grown, in milliseconds since the epoch; at the earliest the start of the lane. */
  get quietSinceMs(): number {
    return this.grewAtMs ?? this.#startedAtMs
  }

  /**
   * The last instant of which the inlet has taken every complete line that storage had, in milliseconds since the epoch;
   * undefined before the lane has first reached the blob's end.
   */
  get handedOnUpToMs(): number | undefined {
    this.#noteHandedOn()
    return this.#handedOnUpToMs
  }

  /** Since when lines that were read wait for the inlet or in a transform; undefined when there are none. */
  get heldSinceMs(): number | undefined {
    return this.#holdsLines ? (this.#handedOnUpToMs ?? this.#startedAtMs) : undefined
  }

  #noteHandedOn(): void {
    if (!this.#holdsLines) this.#handedOnUpToMs = this.#tailer.caughtUpAtMs
  }

  get #holdsLines(): boolean {
    if (!(this.#framer instanceof LineSplitter)) return false
    return (this.#framer.nextOffset ?? 0) > (this.#takenEnd ?? this.#options.start.offset)
  }

  /** Whether the inlet has taken any bytes. */
  get hasProgressed(): boolean {
    return this.#takenEnd !== undefined && this.#takenEnd > this.#options.start.offset
  }

  /** The last bytes read, and the offset behind them. */
  get lastRead(): { readonly offset: number; readonly before: Buffer } {
    return { offset: this.#tailer.offset, before: this.#tailer.before }
  }

  /** The bytes by which, beside its head, the blob is recognized later; undefined while the lane knows none. */
  get tail(): MarkedTail | undefined {
    return this.#framer instanceof RecordsDocuments ? this.#framer.tail : this.lastRead
  }

  /** The start of a later lane of this blob: behind the last block that the inlet took. */
  get next(): LaneStart {
    const { start } = this.#options
    const framer = this.#framer
    const offset = this.#takenEnd ?? start.offset
    if (offset === start.offset) return start
    const before = framer instanceof LineSplitter && framer.nextOffset === offset ? framer.before : undefined
    const { generation, createdAt, head, framing } = start
    return { generation, createdAt, offset, insideLine: false, before, resume: undefined, head, framing }
  }

  /**
   * Runs until the blob's end or a stop; the inlet has then taken every complete line that was read.
   *
   * @param inlet makes the last stage, which calls `onTaken` with each block that it takes
   * @throws the error that ended the reading or the framing, after the lines before it were handed on
   */
  async run(inlet: (onTaken: (block: EntryBlock) => void) => Writable): Promise<TailEnd> {
    const { start, staging, diskSpace, writtenForm } = this.#options
    const validators =
      start.framing === 'documents' ? [] : [new RecordValidator({ longLines: this.#longLines, writtenForm })]
    const collectors = start.framing === 'lines' ? [] : [new UnitCollector({ staging, diskSpace })]
    const last = inlet(({ span, release }) => {
      this.#takenEnd = span.end
      this.#noteHandedOn()
      if (release === this.#untaken) this.#untaken = undefined
    })
    try {
      await pipeline([this.#tailer, this.#framer, ...validators, ...this.#customStages, ...collectors, last])
    } finally {
      // A lane that failed drops its blocks, and no stage would end their turn.
      this.#untaken?.()
    }
    if (this.#failure !== undefined) throw this.#failure.error
    return this.#tailer.endedBy ?? 'end'
  }

  /** Stops reading; `run` resolves when the lines that were read have been handed on. */
  stop(): void {
    this.#tailer.stop()
  }

  #framerOf({ framing, insideLine, offset, resume }: LaneStart, maxLineBytes: number) {
    const { rowMemories = new RowMemories(), writtenForm } = this.#options
    const longLines = this.#longLines
    // Custom transforms work on objects.
    const usual = this.#customStages.length === 0 ? new UsualRows(rowMemories, writtenForm) : undefined
    switch (framing) {
      case 'lines':
        return new LineSplitter({ maxLineBytes, insideLine, usual, longLines })
      case 'gzip':
        return new GzipMembers({ maxLineBytes, longLines, onRefused: (error) => this.#fail(error) })
      case 'documents':
        return new RecordsDocuments({
          maxRecordBytes: maxLineBytes,
          resume: resume && { at: resume, end: offset },
        })
    }
  }

  /** Notes the turn that this lane has, so that it ends when the lane fails. */
  #noteTurns({
    staging,
    diskSpace,
    longLines = new LongLines({ staging, diskSpace }),
  }: LaneOptions): LongLineTurns {
    const takeTurn = async (signal: AbortSignal): Promise<EndTurn> => {
      this.#untaken = await longLines.takeTurn(signal)
      return this.#untaken
    }
    return {
      takeTurn,
      createFile: (signal) => longLines.createFile(signal),
      alone: (step) => longLines.alone(step),
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#tailer.stop()
  }
}
