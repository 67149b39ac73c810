import { type Clock, isPauseOver } from '../clock.ts'
import type { BlobGeneration, GenerationMark } from '../records.ts'
import type { LandedOffsets } from './landed-offsets.ts'
import type { LoadIntent } from './load-intent.ts'
import { MarkMemory } from './mark-memory.ts'
import type { OffsetFile } from './offset-file.ts'
import { SerialQueue } from './serial-queue.ts'

/** The table of a workspace that the offsets belong to: another one may get its name. */
export interface PinnedTable {
  readonly id: string | undefined
  /** The newest version that a run has seen. */
  readonly version: number | undefined
}

export interface OffsetFileWriterOptions {
  readonly file: Pick<OffsetFile, 'write'>
  /** The marks that the file held when the pipeline was opened. */
  readonly marks: readonly GenerationMark[]
  /** The intent that the file held when the pipeline was opened. */
  readonly intent?: LoadIntent | undefined
  /** The unsettled loads that the file held when the pipeline was opened. Default none. */
  readonly unsettled?: readonly LoadIntent[] | undefined
  readonly clock: Clock
}

/** Up to this many blobs, writing the file takes no longer than the commit itself, so it follows every commit. */
const maxBlobsWrittenPerCommit = 2_000

/** Minimum time between two copies of the table's offsets into a larger file, in milliseconds. */
const largeFileIntervalMs = 30_000

/**
 * Writes a pipeline's offset file, one write at a time.
 *
 * A sink whose table holds the offsets calls `mirror` after each commit; a sink whose table cannot hold them calls
 * `record`, and the file is then the authority.
 */
export class OffsetFileWriter {
  #file: Pick<OffsetFile, 'write'>
  #marks = new MarkMemory()
  #clock: Clock
  #writtenAtMs = Number.NEGATIVE_INFINITY
  #unwritten: { readonly offsets: LandedOffsets; readonly tableVersion: number | undefined } | undefined
  #intent: LoadIntent | undefined
  #unsettled: readonly LoadIntent[]
  #pinned: PinnedTable | undefined
  /** A pipeline that ends flushes while its last batch may still be recorded. */
  #writes = new SerialQueue()

  constructor({ file, marks, intent, unsettled = [], clock }: OffsetFileWriterOptions) {
    this.#file = file
    this.#intent = intent
    this.#unsettled = unsettled
    this.#clock = clock
    for (const mark of marks) this.recordMark(mark)
  }

  markOf(source: BlobGeneration): GenerationMark | undefined {
    return this.#marks.of(source)
  }

  /** Replaces the mark of a generation in memory; the next write stores it. */
  recordMark(mark: GenerationMark): void {
    this.#marks.set(mark)
  }

  /** Leaves out how a generation is recognized, because the table's archive has it. */
  forgetMark(source: BlobGeneration): void {
    this.#marks.delete(source)
  }

  /** Stores the table's identity with each later write. */
  pinTable(table: PinnedTable): void {
    this.#pinned = table
  }

  /** The load that has begun and not ended; undefined when there is none, and for a sink that never calls `record`. */
  get intent(): LoadIntent | undefined {
    return this.#intent
  }

  /** Loads that no start could settle. */
  get unsettled(): readonly LoadIntent[] {
    return this.#unsettled
  }

  /**
   * Writes offsets that no table holds, at once, with the load that is about to begin.
   *
   * @param intent undefined when the load has ended
   * @param unsettled default: as before
   * @throws the error of the write; `intent` and `unsettled` are then the earlier ones
   */
  async record(
    offsets: LandedOffsets,
    intent: LoadIntent | undefined,
    unsettled?: readonly LoadIntent[],
  ): Promise<void> {
    await this.#writes.run(async () => {
      const before = { intent: this.#intent, unsettled: this.#unsettled }
      this.#intent = intent
      this.#unsettled = unsettled ?? this.#unsettled
      this.#unwritten = { offsets, tableVersion: undefined }
      try {
        await this.#write()
      } catch (error) {
        this.#intent = before.intent
        this.#unsettled = before.unsettled
        throw error
      }
    })
  }

  /** Copies the offsets of a table version into the file: at once up to 2,000 blobs, at most every 30 s for more. */
  async mirror(offsets: LandedOffsets, tableVersion: number | undefined): Promise<void> {
    this.#unwritten = { offsets, tableVersion }
    const intervalMs = offsets.blobCount <= maxBlobsWrittenPerCommit ? 0 : largeFileIntervalMs
    if (isPauseOver(this.#writtenAtMs, intervalMs, this.#clock.now())) await this.flush()
  }

  /** Writes offsets that `mirror` has not written yet. */
  async flush(): Promise<void> {
    await this.#writes.run(() => this.#write())
  }

  async #write(): Promise<void> {
    const unwritten = this.#unwritten
    if (unwritten === undefined) return
    const { offsets, tableVersion } = unwritten
    await this.#file.write(offsets, {
      tableVersion: tableVersion ?? this.#pinned?.version,
      tableId: this.#pinned?.id,
      markOf: (source) => this.markOf(source),
      intent: this.#intent,
      unsettled: this.#unsettled,
    })
    // A later call may have replaced it during the write.
    if (this.#unwritten === unwritten) this.#unwritten = undefined
    this.#writtenAtMs = this.#clock.now()
  }
}
