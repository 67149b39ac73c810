import type { Span } from '../../records.ts'

/** A blob that is not read for a while, so that its neighbors are. */
export interface SetAsideBlob {
  /** Name within the container. */
  readonly blob: string
  /** Code of the error that ended its last lane. */
  readonly code: string
  readonly reason: string
  /** Failures in a row, this one included. */
  readonly failures: number
  readonly sinceMs: number
  /** When it is read again, in milliseconds since the epoch; undefined when somebody has to decide first. */
  readonly untilMs?: number | undefined
}

/** A blob that is read, waits, or was read lately. */
export interface KnownBlob {
  /** `<container>/<name>` */
  readonly blob: string
  /** Undefined before its first byte was read by this process. */
  readonly generation: string | undefined
  readonly state: 'reading' | 'queued' | 'quiet' | 'set aside' | 'gone'
  /** The bytes landed. */
  readonly offset: number
  /** Its length as last seen. */
  readonly bytes: number
}

/** The bytes of one server that have not landed. */
export interface ServerLag {
  /** Its Azure resource id in lower case. */
  readonly server: string
  readonly lagBytes: number
  /** Blobs with such bytes, without those that no queue has a place for. */
  readonly blobs: number
}

/** Blobs that wait for a lane, by queue. */
export interface QueuedBlobs {
  readonly live: number
  readonly backlog: number
}

/** A range that this process had read, and another one landed. */
export interface FencedRange {
  readonly span: Span
  /** The offset that the table holds for the generation. */
  readonly landedTo: number
}

/** Decides which blobs of a source have a lane, and runs the lanes. */
export interface LaneSchedule {
  /** Runs lanes until the blobs' ends (without follow) or until `stop`; rejects with the first failure that is not retried. */
  run(): Promise<void>
  /** Stops all lanes; `run` resolves when each has handed on the bytes that it read. */
  stop(): void
  /** Takes ranges that another process landed: those blobs are read again from the table's offset, after a pause. */
  fence(ranges: readonly FencedRange[]): void
  /** Records how far each lane has read, so that a restart recognizes its blob there. */
  recordMarks(): void
  /** Bytes of the known blobs that have not landed. */
  readonly lagBytes: number
  /** Known blobs: first those with the most bytes that have not landed. */
  knownBlobs(max: number): readonly KnownBlob[]
  /** The known servers of Azure Monitor, the one with the most bytes that have not landed first. */
  serverLags(): readonly ServerLag[]
  /** Running lanes. */
  readonly laneCount: number
  readonly queuedBlobs: QueuedBlobs
  /**
   * The last instant of which every complete line that storage had has been handed on, in milliseconds since the epoch. It
   * stands still while storage does not answer. Blobs set aside do not count.
   */
  readonly handedOnUpToMs: number
  /** Since when lines that a lane has read have not been handed on; undefined when there are none. */
  readonly heldSinceMs: number | undefined
  readonly setAside: readonly SetAsideBlob[]
  /** Whether the source has had any blob, be it empty or landed before. */
  readonly hasFoundBlobs: boolean
}
