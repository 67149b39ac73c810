/** The state of one pipeline. */
export interface PipelineSummary {
  readonly name: string
  /** `catalog.schema.table` */
  readonly table: string
  readonly sinkKind: string
  /** `not running`: no process of this state directory runs it. */
  readonly state: 'following' | 'backfill' | 'starting' | 'failed' | 'not running'
  /** Of a process that runs it. */
  readonly live: LivePipeline | undefined
  /** The failure of a pipeline that was started and does not run. */
  readonly failure: { readonly code: string; readonly reason: string; readonly hint: string } | undefined
}

export interface LivePipeline {
  readonly atMs: number
  readonly pid: number
  readonly rowsPerSecond: number
  readonly bytesPerSecond: number
  /** Of a backfill. */
  readonly percent: number | undefined
  readonly leftSeconds: number | undefined
  readonly lagBytes: number
  readonly lagSeconds: number
  /** Since the start of the process. */
  readonly rows: number
  readonly rejected: number
  readonly partial: number
  readonly bytes: number
  readonly batches: number
  readonly lastCommitMs: number | undefined
  readonly tableVersion: number | undefined
  readonly lanes: number
  readonly queuedBlobs: number
  readonly setAsideBlobs: number
  readonly waitingRows: number
  readonly bufferedBytes: number
  readonly disk: {
    /** The gate is closed: the stream waits for free space. */
    readonly isHeld: boolean
    readonly heldSinceMs: number | undefined
    readonly freeBytes: number | undefined
    readonly minFreeBytes: number | undefined
  }
  readonly retries: readonly CountedCode[]
  readonly failures: readonly CountedCode[]
  /** Storage does not answer. */
  readonly outage: { readonly sinceMs: number; readonly reason: string | undefined } | undefined
  /** Requests to storage since the start, and their estimated price at this rate. */
  readonly cost: { readonly requests: number; readonly usdPerDay: number }
}

export interface CountedCode {
  readonly code: string
  readonly count: number
}

/** A blob that has a lane, waits for one, or is set aside. */
export interface BlobSummary {
  readonly pipeline: string
  /** `<container>/<name>` */
  readonly blob: string
  readonly generation: string | undefined
  /** Bytes landed. */
  readonly offset: number
  /** Its size as last seen. */
  readonly bytes: number
  readonly state: 'reading' | 'queued' | 'quiet' | 'set aside' | 'gone'
  /** Why it waits, in words; undefined while it is read. */
  readonly waits: string | undefined
  readonly untilMs: number | undefined
}

export interface LandedCommit {
  readonly pipeline: string
  readonly atMs: number
  readonly tableVersion: number | undefined
  readonly rows: number
  readonly rejected: number
  /** Bytes of the blobs. */
  readonly bytes: number
  readonly encodeMs: number
  readonly commitMs: number
}

/** Everything of the room Operate at one instant. */
export interface OperateState {
  readonly atMs: number
  readonly pipelines: readonly PipelineSummary[]
  /** At most 100 of each pipeline, those with the most unread bytes first. */
  readonly blobs: readonly BlobSummary[]
  /**
   * The latest ones of each running pipeline, at most 120 of each, oldest first. Of the time before the oldest of a pipeline
   * nothing is known: there may have been more, also of an earlier process.
   */
  readonly commits: readonly LandedCommit[]
}
