import type { Transform, Writable } from 'node:stream'
import type { Clock } from '../../clock.ts'
import type { LandedOffset } from '../../offsets/landed-offsets.ts'
import type { SerialQueue } from '../../offsets/serial-queue.ts'
import type { BlobGeneration, EntryBlock, GenerationMark, Span } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { CommitterArchive } from '../../sinks/table-committer.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'
import type { SourceOptions } from '../../sources/options.ts'
import type { ByteBudget } from '../../sources/tailing/byte-budget.ts'
import type { DiskSpaceMonitor } from '../../streams/staging/disk-space-monitor.ts'
import type { Staging } from '../../streams/staging/staging.ts'

/** The options of a pipeline that its lanes use. */
export interface LaneConfig {
  readonly source: SourceOptions
  readonly whenFenced: 'wait' | 'exit'
}

/** The parts of a pipeline that its lanes use. */
export interface LaneContext {
  readonly config: LaneConfig
  /** Makes the stages of the custom transforms, for one lane. */
  readonly customStages: () => readonly Transform[]
  readonly reader: BlobReader
  /** Recognizes the table's usual records: `Projection.writtenForm`. */
  readonly writtenForm?: RegExp | undefined
  /** Whether this process reads a blob, by its name; another shard reads the others. Default: all. */
  readonly isOwn?: ((blobName: string) => boolean) | undefined
  /** Wait for appends at the blobs' ends; otherwise end where each ended when it was first seen. */
  readonly follow: boolean
  /** The generations of `<container>/<name>` that have landed, the newest one last; without those in `archive`. */
  readonly landedOf: (blob: string) => readonly LandedOffset[]
  /** Offsets of blobs that have not changed for long. Default: there are none. */
  readonly archive?: CommitterArchive | undefined
  /** Whether the table had no offset of this pipeline when it was opened. */
  readonly isFirstRun: boolean
  /** The instant up to which an earlier run has landed everything, in milliseconds since the epoch. Default: now. */
  readonly landedUpToMs?: number | undefined
  /** Commits the offsets of cold starts that are not 0, all or none, so that a restart resumes there. */
  readonly recordStarts: (starts: readonly Span[]) => Promise<void>
  readonly markOf: (source: BlobGeneration) => GenerationMark | undefined
  /** Keeps the facts by which a restart recognizes a generation. */
  readonly recordMark: (mark: GenerationMark) => void
  /** Makes an inlet of the merged stream, which calls `onTaken` with each block that it takes. */
  readonly inlet: (onTaken: (block: EntryBlock) => void) => Writable
  readonly budget: ByteBudget
  readonly staging: Staging
  readonly diskSpace?: DiskSpaceMonitor | undefined
  /** Steps that take several times a long text's memory, also those of the encoder. Default: a queue for lanes alone. */
  readonly longTexts?: SerialQueue | undefined
  /** Whether the sink has landed or dropped the bytes of a generation up to an offset. Default: always. */
  readonly isSettled?: ((source: BlobGeneration, offset: number) => boolean) | undefined
  /** Reads the offsets that other processes have committed. Default: there is no other process. */
  readonly refreshOffsets?: (() => Promise<void>) | undefined
  readonly clock: Clock
  readonly logger: Logger
}
