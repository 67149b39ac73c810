import type { Clock } from '../clock.ts'
import { isAbort, isTailraceError } from '../errors.ts'
import { LandedOffsets } from '../offsets/landed-offsets.ts'
import type { Logger } from '../reporting/logger.ts'
import { type GrowingPauses, growingPauseMs } from '../retry.ts'
import type { RequestCounter } from '../sources/readers/counted-reader.ts'
import type { PipelineCounters } from './landing-log.ts'
import type { SetAsideBlob } from './lanes/lane-schedule.ts'
import type { Pipeline } from './pipeline.ts'
import { describeFailure, type FailureFile, type PipelineFailure } from './pipeline-failure.ts'

export interface SupervisedPipelineOptions {
  readonly name: string
  /** Opens it anew; the signal ends the opening. */
  readonly open: (signal: AbortSignal) => Promise<Pipeline>
  /** Counts the requests of all its runs. */
  readonly requests: RequestCounter
  /** Pauses before it is started again; without them a failure is the end. */
  readonly restart: GrowingPauses | undefined
  readonly failureFile: FailureFile
  readonly clock: Clock
  readonly logger: Logger
}

/** One pipeline of a process: it fails alone, and is opened anew after a pause that grows with each failure in a row. */
export class SupervisedPipeline {
  readonly name: string
  readonly requests: RequestCounter
  /** Failures since the start of the process, by code. */
  readonly failuresByCode = new Map<string, number>()
  readonly #options: SupervisedPipelineOptions
  readonly #log: Logger
  readonly #stopping = new AbortController()
  #opening: { readonly aborting: AbortController; readonly done: Promise<Pipeline> } | undefined
  /** The pipeline that runs, or the last one that did. */
  #pipeline: Pipeline | undefined
  #isRunning = false
  #failure: (PipelineFailure & { readonly error: unknown }) | undefined
  #failuresInRow = 0
  /** What pipelines before this one have done. */
  #earlier: PipelineCounters = nothingDone()

  constructor(options: SupervisedPipelineOptions) {
    this.name = options.name
    this.requests = options.requests
    this.#options = options
    this.#log = options.logger
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Why it does not run; undefined when it runs, or ended in order. */
  get failure(): (PipelineFailure & { readonly error: unknown }) | undefined {
    return this.#failure
  }

  /** What it has done since the start of the process. */
  get counters(): PipelineCounters {
    return sum(this.#earlier, this.#pipeline?.counters ?? nothingDone())
  }

  get landed(): LandedOffsets {
    return this.#pipeline?.landed ?? new LandedOffsets()
  }

  get lagBytes(): number {
    return this.#pipeline?.lagBytes ?? 0
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
   * Opens it for the first time.
   *
   * @throws what opening throws; `run` then starts with a pause if there are to be restarts
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
   * Runs until a stop, or without `follow` until the blobs' ends, and through any failure if there are to be restarts.
   *
   * @throws the failure that is the end of it, and an AbortError after `abort`
   */
  async run(): Promise<void> {
    for (;;) {
      if (this.#pipeline === undefined && !(await this.#reopen())) return this.#giveUp()
      const startedAtMs = this.#options.clock.now()
      try {
        this.#isRunning = true
        await this.#pipeline?.run()
        return
      } catch (error) {
        if (this.#isStopped(error)) throw error
        this.#isRunning = false
        this.#leave(startedAtMs)
        await this.#noteFailure(error)
        if (this.#options.restart === undefined || isFinal(error)) throw error
      } finally {
        this.#isRunning = false
      }
    }
  }

  /** Stops reading and lands what is complete; `run` resolves after that. */
  stop(): void {
    this.#stopping.abort()
    this.#opening?.aborting.abort()
    this.#pipeline?.stop()
  }

  /** Ends at once; what is not landed is read again by the next start. */
  abort(): void {
    this.stop()
    this.#pipeline?.abort()
  }

  /** Gives everything back without having run, also while it is being opened. */
  async close(): Promise<void> {
    this.stop()
    await this.#opening?.done.catch(() => {})
    await this.#pipeline?.close()
  }

  /** Waits for the end of a pause and opens; @returns false when a stop came first */
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
    const done = this.#options.open(aborting.signal)
    this.#opening = { aborting, done }
    try {
      this.#pipeline = await done
    } finally {
      this.#opening = undefined
    }
    this.#failure = undefined
    await this.#note(undefined)
    if (this.#stopping.signal.aborted) this.#pipeline.stop()
  }

  /** A stop came during a pause. */
  async #giveUp(): Promise<void> {
    if (this.#failure === undefined) return
    const { error: _error, untilMs: _untilMs, ...failure } = this.#failure
    await this.#note(failure)
  }

  /** Counts what the failed pipeline has done to the earlier ones; failures are in a row while nothing lands. */
  #leave(startedAtMs: number): void {
    const { clock, restart } = this.#options
    const counters = this.#pipeline?.counters ?? nothingDone()
    const ranMs = clock.now() - startedAtMs
    if (counters.batches > 0 || ranMs >= (restart?.maxPauseMs ?? 0)) this.#failuresInRow = 0
    if (restart === undefined) return
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

  /** Only a message for others, so the pipeline goes on without it. */
  async #note(failure: PipelineFailure | undefined): Promise<void> {
    await this.#options.failureFile
      .write(failure)
      .catch((error: unknown) => this.#log.warn({ err: error }, 'the note of the failure was not written'))
  }

  #isStopped(error: unknown): boolean {
    return this.#stopping.signal.aborted && isAbort(error)
  }
}

/** A pipeline whose blobs others land ends for good only where its config says so. */
function isFinal(error: unknown): boolean {
  return isTailraceError(error, 'COMMIT_FENCED')
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
