import type { Clock } from '../clock.ts'
import { isAbort, isTailraceError } from '../errors.ts'
import { LandedOffsets } from '../offsets/landed-offsets.ts'
import type { Logger } from '../reporting/logger.ts'
import { noteRetries } from '../reporting/retry-log.ts'
import { type GrowingPauses, growingPauseMs } from '../retry.ts'
import type { RequestCounter } from '../sources/readers/counted-reader.ts'
import type { StorageHealth } from '../sources/readers/observed-reader.ts'
import type { LastLanded, PipelineCounters } from './landing-log.ts'
import type { KnownBlob, ServerLag, SetAsideBlob } from './lanes/lane-schedule.ts'
import { describeFailure, type FailureFile, failureLine, type PipelineFailure } from './pipeline-failure.ts'
import type { PipelinePulse } from './pipeline-pulse.ts'
import { PipelineStatistics } from './pipeline-statistics.ts'

/** Whether a pipeline runs. `failed`: it is started again after a pause, unless the process ends. */
export type PipelineState = 'opening' | 'running' | 'failed' | 'stopping' | 'ended'

/** One run of a pipeline, opened: the parts of `Pipeline` that restarts and reports use. */
export interface OpenedPipeline {
  /** Totals of this run. */
  readonly counters: PipelineCounters
  readonly landed: LandedOffsets
  readonly lagBytes: number
  readonly laneCount: number
  readonly hasFoundBlobs: boolean
  readonly setAside: readonly SetAsideBlob[]
  /** The last landed batch of this run. */
  readonly lastLanded?: LastLanded | undefined
  /** Whether the stream is held because disk space is short. */
  readonly isHeld?: boolean | undefined
  readonly pulse?: PipelinePulse | undefined
  /** Known blobs: first those with the most bytes that have not landed. */
  knownBlobs?(max: number): readonly KnownBlob[]
  /** The known servers of Azure Monitor, the one with the most bytes that have not landed first. */
  serverLags?(): readonly ServerLag[]
  run(): Promise<void>
  stop(): void
  abort(): void
  close(): Promise<void>
}

export interface SupervisedPipelineOptions {
  readonly name: string
  /** Opens the pipeline, for each run; the signal aborts the opening. It goes on with what earlier runs have counted. */
  readonly open: (
    signal: AbortSignal,
    carried: { readonly landedUpToMs: number; readonly statistics: PipelineStatistics },
  ) => Promise<OpenedPipeline>
  /** Counts the requests of all runs. */
  readonly requests: RequestCounter
  /** Those of the pipeline with other options that this one replaces. Default: none. */
  readonly totals?:
    | Pick<SupervisedPipeline, 'counters' | 'failuresByCode' | 'statistics' | 'landedUpToMs' | 'lastLanded'>
    | undefined
  /** The health of the source's storage. Default: it always answers. */
  readonly storageHealth?: Pick<StorageHealth, 'unansweredSinceMs' | 'failure'> | undefined
  /** The age at which a batch is sealed, in milliseconds. Default 0. */
  readonly batchAgeMs?: number | undefined
  /** Pauses before a restart; undefined: the first failure is thrown. */
  readonly restart: GrowingPauses | undefined
  readonly failureFile: FailureFile
  readonly clock: Clock
  readonly logger: Logger
}

/** Runs one pipeline, and restarts it after a failure: after a pause that grows with each failure in a row. */
export class SupervisedPipeline {
  readonly name: string
  readonly requests: RequestCounter
  readonly statistics: PipelineStatistics
  readonly batchAgeMs: number
  /** Failures since the start of the process, by code. */
  readonly failuresByCode: Map<string, number>
  readonly #options: SupervisedPipelineOptions
  readonly #log: Logger
  readonly #stopping = new AbortController()
  #opening: { readonly aborting: AbortController; readonly done: Promise<OpenedPipeline> } | undefined
  /** The running pipeline, or the last one that ran. */
  #pipeline: OpenedPipeline | undefined
  #hasOpened = false
  #state: PipelineState = 'opening'
  #stateSinceMs: number
  /** Of the runs before this one. */
  #landedUpToMs: number
  #lastLanded: LastLanded | undefined
  #failure: (PipelineFailure & { readonly error: unknown }) | undefined
  #failuresInRow = 0
  /** Totals of the runs before this one. */
  #earlier: PipelineCounters

  constructor(options: SupervisedPipelineOptions) {
    this.#earlier = options.totals?.counters ?? nothingDone()
    this.failuresByCode = new Map(options.totals?.failuresByCode)
    this.name = options.name
    this.requests = options.requests
    this.statistics = options.totals?.statistics ?? new PipelineStatistics()
    noteRetries(options.logger, (error) => this.statistics.noteRetry(error))
    this.batchAgeMs = options.batchAgeMs ?? 0
    this.#stateSinceMs = options.clock.now()
    this.#landedUpToMs = options.totals?.landedUpToMs ?? this.#stateSinceMs
    this.#lastLanded = options.totals?.lastLanded
    // Without its predecessor, so that reloads keep no chain of them in memory.
    this.#options = { ...options, totals: undefined }
    this.#log = options.logger
  }

  get isRunning(): boolean {
    return this.#state === 'running' || this.#state === 'stopping'
  }

  get state(): PipelineState {
    return this.#state
  }

  /** When it came into its state, in milliseconds since the epoch. */
  get stateSinceMs(): number {
    return this.#stateSinceMs
  }

  /** Whether it has been opened at least once. */
  get hasOpened(): boolean {
    return this.#hasOpened
  }

  /** The records that wait in it now, and why; undefined while the pipeline is not open. */
  get pulse(): PipelinePulse | undefined {
    return this.#pipeline?.pulse
  }

  /**
   * The last instant of which every complete line that storage had has landed, in milliseconds since the epoch; at the
   * earliest the start of the process. It stands still while storage does not answer.
   */
  get landedUpToMs(): number {
    return this.pulse?.landedUpToMs ?? this.#landedUpToMs
  }

  /** Since when storage has not answered, in milliseconds since the epoch. */
  get storageUnansweredSinceMs(): number | undefined {
    return this.#options.storageHealth?.unansweredSinceMs
  }

  /** Code and message of the last request to storage that failed since its last answer. */
  get storageFailure(): string | undefined {
    const error = this.#options.storageHealth?.failure
    return error === undefined ? undefined : failureLine(error)
  }

  /** The failure after which it does not run; undefined while it runs, and after it ended in order. */
  get failure(): (PipelineFailure & { readonly error: unknown }) | undefined {
    return this.#failure
  }

  /** Totals of all runs since the start of the process. */
  get counters(): PipelineCounters {
    return sum(this.#earlier, this.#pipeline?.counters ?? nothingDone())
  }

  get landed(): LandedOffsets {
    return this.#pipeline?.landed ?? new LandedOffsets()
  }

  get lagBytes(): number {
    return this.#pipeline?.lagBytes ?? 0
  }

  knownBlobs(max: number): readonly KnownBlob[] {
    return this.#pipeline?.knownBlobs?.(max) ?? []
  }

  serverLags(): readonly ServerLag[] {
    return this.#pipeline?.serverLags?.() ?? []
  }

  /** The last landed batch of all runs. */
  get lastLanded(): LastLanded | undefined {
    return this.#pipeline?.lastLanded ?? this.#lastLanded
  }

  get isHeld(): boolean {
    return this.#pipeline?.isHeld ?? false
  }

  get laneCount(): number {
    return this.#pipeline?.laneCount ?? 0
  }

  get hasFoundBlobs(): boolean {
    return this.#pipeline?.hasFoundBlobs ?? false
  }

  get setAside(): readonly SetAsideBlob[] {
    return this.#pipeline?.setAside ?? []
  }

  /**
   * Opens the pipeline for the first run.
   *
   * @throws the error of the opening; with `restart`, `run` then pauses and opens it again
   */
  async open(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      if (!this.#isStopped(error)) await this.#noteFailure(error)
      throw error
    }
  }

  /**
   * Runs until a stop, or without `follow` until the blobs' ends. With `restart`, a failure starts it again.
   *
   * @throws a failure after which it is not restarted, and an AbortError after `abort`
   */
  async run(): Promise<void> {
    for (;;) {
      if (this.#pipeline === undefined && !(await this.#reopen())) return this.#giveUp()
      const startedAtMs = this.#options.clock.now()
      try {
        this.#enter(this.#stopping.signal.aborted ? 'stopping' : 'running')
        await this.#pipeline?.run()
        return
      } catch (error) {
        if (this.#isStopped(error)) throw error
        this.#enter('failed')
        this.#leave(startedAtMs)
        await this.#noteFailure(error)
        if (this.#options.restart === undefined || isFinal(error)) throw error
      } finally {
        if (this.#state !== 'failed') this.#enter('ended')
      }
    }
  }

  /** Stops reading and lands the complete lines; `run` resolves after that. */
  stop(): void {
    this.#stopping.abort()
    if (this.#state === 'running') this.#enter('stopping')
    this.#opening?.aborting.abort()
    this.#pipeline?.stop()
  }

  /** Ends at once; the next start reads again the bytes that have not landed. */
  abort(): void {
    this.stop()
    this.#pipeline?.abort()
  }

  /** Releases all resources of a pipeline that was not run, also while it is being opened. */
  async close(): Promise<void> {
    this.stop()
    await this.#opening?.done.catch(() => {})
    await this.#pipeline?.close()
  }

  /** Waits for the pause to end, and opens the pipeline; false when a stop came first. */
  async #reopen(): Promise<boolean> {
    const { clock } = this.#options
    const { signal } = this.#stopping
    for (;;) {
      try {
        await clock.sleep(Math.max(0, (this.#failure?.untilMs ?? 0) - clock.now()), signal)
        await this.#open()
        this.#log.info({ failures: this.#failuresInRow }, 'the pipeline runs again')
        return true
      } catch (error) {
        if (signal.aborted) return false
        await this.#noteFailure(error)
        if (isFinal(error)) throw error
      }
    }
  }

  async #open(): Promise<void> {
    const aborting = new AbortController()
    const done = this.#options.open(aborting.signal, {
      landedUpToMs: this.#landedUpToMs,
      statistics: this.statistics,
    })
    this.#opening = { aborting, done }
    try {
      this.#pipeline = await done
    } finally {
      this.#opening = undefined
    }
    this.#failure = undefined
    this.#hasOpened = true
    await this.#note(undefined)
    if (this.#stopping.signal.aborted) this.#pipeline.stop()
  }

  /** Notes, after a stop during a pause, that there will be no restart. */
  async #giveUp(): Promise<void> {
    if (this.#failure === undefined) return
    const { error: _error, untilMs: _untilMs, ...failure } = this.#failure
    await this.#note(failure)
  }

  /** Adds the totals of the failed run to those before it. Failures count as in a row until something lands. */
  #leave(startedAtMs: number): void {
    const { clock, restart } = this.#options
    const counters = this.#pipeline?.counters ?? nothingDone()
    const ranMs = clock.now() - startedAtMs
    if (counters.batches > 0 || ranMs >= (restart?.maxPauseMs ?? 0)) this.#failuresInRow = 0
    if (restart === undefined) return
    this.#landedUpToMs = this.landedUpToMs
    this.#lastLanded = this.lastLanded
    this.#earlier = sum(this.#earlier, counters)
    this.#pipeline = undefined
  }

  async #noteFailure(error: unknown): Promise<void> {
    const { restart, clock } = this.#options
    this.#failuresInRow += 1
    const described = describeFailure(error)
    this.failuresByCode.set(described.code, (this.failuresByCode.get(described.code) ?? 0) + 1)
    const isLast = restart === undefined || isFinal(error) || this.#stopping.signal.aborted
    const pauseMs = isLast ? undefined : growingPauseMs(this.#failuresInRow, restart)
    const failure: PipelineFailure = {
      ...described,
      failures: this.#failuresInRow,
      sinceMs: this.#failure?.sinceMs ?? clock.now(),
      untilMs: pauseMs === undefined ? undefined : clock.now() + pauseMs,
    }
    this.#failure = { ...failure, error }
    this.#log.error(
      { err: error, failures: this.#failuresInRow, pauseMs },
      pauseMs === undefined
        ? 'the pipeline failed'
        : 'the pipeline failed: it is started again after a pause',
    )
    await this.#note(failure)
  }

  #enter(state: PipelineState): void {
    if (state === this.#state) return
    this.#state = state
    this.#stateSinceMs = this.#options.clock.now()
  }

  /** Writes the note for other processes. A failure is only logged. */
  async #note(failure: PipelineFailure | undefined): Promise<void> {
    await this.#options.failureFile
      .write(failure)
      .catch((error: unknown) => this.#log.warn({ err: error }, 'the note of the failure was not written'))
  }

  #isStopped(error: unknown): boolean {
    return this.#stopping.signal.aborted && isAbort(error)
  }
}

/**
 * Whether there is no restart. COMMIT_FENCED ends a pipeline only when `whenFenced` is `exit`. A pipeline whose offsets
 * another process has taken over would take them back, and both would land the same lines.
 */
function isFinal(error: unknown): boolean {
  return isTailraceError(error, 'COMMIT_FENCED') || isTailraceError(error, 'OFFSETS_HANDED_OVER')
}

function nothingDone(): PipelineCounters {
  return { rows: 0, rejected: 0, partial: 0, bytes: 0, batches: 0 }
}

function sum(a: PipelineCounters, b: PipelineCounters): PipelineCounters {
  return {
    rows: a.rows + b.rows,
    rejected: a.rejected + b.rejected,
    partial: a.partial + b.partial,
    bytes: a.bytes + b.bytes,
    batches: a.batches + b.batches,
  }
}
