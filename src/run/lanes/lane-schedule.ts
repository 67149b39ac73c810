import type { Span } from '../../records.ts'

/** A blob that is left alone for a while, so that its neighbors get on. */
export interface SetAsideBlob {
  /** Name within the container. */
  readonly blob: string
  /** Code of the error that its last lane ended with. */
  readonly code: string
  readonly reason: string
  /** Times in a row that it was set aside. */
  readonly failures: number
  readonly sinceMs: number
  /** When it is tried again. */
  readonly untilMs: number
}

/** What another process has landed in place of this one. */
export interface FencedRange {
  readonly span: Span
  /** The table's offset. */
  readonly landedTo: number
}

/** Decides which blobs of a source have a lane, and runs these. */
export interface LaneSchedule {
  /** Runs lanes until the blobs' ends (without follow) or until `stop`; rejects when it fails for good. */
  run(): Promise<void>
  /** Stops all lanes; `run` resolves when each has handed on what it read. */
  stop(): void
  /** Hears what another process has landed: those blobs are read again from the table's offset, after a pause. */
  fence(ranges: readonly FencedRange[]): void
  /** Tells how far each lane has read, so that its blob is recognized there after a restart. */
  recordMarks(): void
  /** Bytes that are known to be there and not landed. */
  readonly lagBytes: number
  /** Lanes that run. */
  readonly laneCount: number
  readonly setAside: readonly SetAsideBlob[]
  /** Whether the source has had any blob, be it empty or landed before. */
  readonly hasFoundBlobs: boolean
}
