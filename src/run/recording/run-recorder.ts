import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Clock } from '../../clock.ts'
import { journalPrefix, runsPipeline, runsPipelineName } from '../../config/choose-pipelines.ts'
import type { ResolvedConfig, ResolvedPipeline } from '../../config/resolved.ts'
import { isTailraceError } from '../../errors.ts'
import type { LandedOffsets } from '../../offsets/landed-offsets.ts'
import { version } from '../../package.ts'
import { type BlobGeneration, type LandedBatch, type PreparedBatch, spanBytes } from '../../records.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { BlobReader } from '../../sources/blob-reader.ts'
import type { OpenedPipeline } from '../supervised-pipeline.ts'
import { DirectoryReader } from './directory-reader.ts'
import { journalBeginning, RunJournal, type RunRecord } from './run-journal.ts'

/** The shortest pause between two landings of the records, in milliseconds. */
const minPauseMs = 60_000

/** A landing of the records is given up after this time, in milliseconds; the next one lands them. */
const maxLandingMs = 300_000

/** Ranges that a record lists; the table of a batch of thousands of blobs has all of them. */
const maxListedRanges = 1_000

export type RunOutcome = 'done' | 'stopped' | 'failed'

/** The options of a pipeline that lands the journals up to their ends. */
export interface LandingOptions {
  readonly name: string
  readonly config: ResolvedPipeline
  readonly shared: ResolvedConfig
  readonly reader: BlobReader
  readonly succeededSince: () => boolean
  readonly follow: false
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly logger: Logger
}

export interface RunRecorderOptions {
  readonly config: ResolvedConfig
  readonly openPipeline: (options: LandingOptions) => Promise<OpenedPipeline>
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Records a run and its batches in a table of their own. Records are written to a journal in the state directory first, and
 * landed from there by a pipeline, exactly once. A failure is logged: it neither holds back the run nor ends it.
 */
export class RunRecorder {
  readonly #options: RunRecorderOptions
  readonly #landing: ResolvedPipeline
  readonly #log: Logger
  readonly #runId = randomUUID()
  readonly #journal: RunJournal
  /** By pipeline, the record of the batch whose commit is under way. */
  readonly #prepared = new Map<string, RunRecord>()
  /** Whether records have been written since the last landing. */
  #hasNews = true
  #underWay: Promise<void> | undefined
  #cancelTimer = (): void => {}
  #failures = 0
  readonly #totals = { row_count: 0, rejected_rows: 0, partial_rows: 0, bytes: 0 }

  private constructor(options: RunRecorderOptions, landing: ResolvedPipeline) {
    const { config, clock, logger } = options
    this.#options = options
    this.#landing = landing
    // Its batches are no news of the run.
    this.#log = logger.child({ pipeline: runsPipelineName }, { level: 'warn' })
    this.#journal = new RunJournal(config.stateDirectory, this.#runId, clock.now())
  }

  /** Begins the record of a run, if the config asks for it. */
  static async begin(options: RunRecorderOptions): Promise<RunRecorder | undefined> {
    const landing = runsPipeline(options.config)
    if (landing === undefined) return undefined
    const recorder = new RunRecorder(options, landing)
    await recorder.#append({
      kind: 'start',
      tailrace_version: version,
      host: hostname(),
      pid: process.pid,
    })
    recorder.#landLater()
    return recorder
  }

  /** Notes that the commit of a batch begins: if the process dies during it, the next one knows of the batch. */
  async preparing(pipeline: string, { table }: ResolvedPipeline, prepared: PreparedBatch): Promise<void> {
    const { catalog, schema, table: name } = table.name
    const { batch, rows, rejected, partial, fileBytes, encodeMs } = prepared
    const record = {
      ...this.#basic('batch'),
      pipeline,
      batch_id: batch.id,
      table_name: [catalog, schema, name].join('.'),
      row_count: rows,
      rejected_rows: rejected,
      partial_rows: partial,
      bytes: batch.spans.reduce((sum, span) => sum + spanBytes(span), 0),
      file_bytes: fileBytes,
      blob_count: batch.spans.length,
      ranges: JSON.stringify(batch.spans.slice(0, maxListedRanges)),
      opened_at: isoTime(batch.openedAtMs),
      encode_ms: encodeMs,
    }
    this.#prepared.set(pipeline, record)
    await this.#noted(this.#journal.begin(pipeline, { record, ranges: [...batch.spans] }))
  }

  /** Records a batch that has landed. */
  landed(pipeline: string, landing: LandedBatch): void {
    const { rows, rejected, partial, batch, tableVersion, commitMs, failedAttempts } = landing
    const prepared = this.#prepared.get(pipeline)
    this.#prepared.delete(pipeline)
    // A batch whose commit was not prepared has changed nothing.
    if (prepared?.batch_id !== batch.id) return
    this.#totals.row_count += rows
    this.#totals.rejected_rows += rejected
    this.#totals.partial_rows += partial
    this.#totals.bytes += Number(prepared.bytes)
    const record = {
      ...prepared,
      at: isoTime(this.#options.clock.now()),
      table_version: tableVersion,
      commit_ms: commitMs,
      failed_attempts: failedAttempts.length,
    }
    void this.#append(record, pipeline)
  }

  /**
   * Records the batch whose commit an earlier process did not survive, if the table has it.
   *
   * @param offsetsOf the table's offsets of some generations
   */
  async recover(
    pipeline: string,
    offsetsOf: (sources: readonly BlobGeneration[]) => Promise<LandedOffsets>,
  ): Promise<void> {
    await this.#noted(
      (async () => {
        const pending = await this.#journal.pendingOf(pipeline)
        if (pending === undefined) return
        const landed = await offsetsOf(pending.ranges)
        const hasLanded = pending.ranges.every((range) => (landed.get(range) ?? 0) >= range.end)
        if (hasLanded) await this.#append({ ...pending.record, is_recovered: true }, pipeline)
        else await this.#journal.forget(pipeline)
      })(),
    )
  }

  /** Records the end of the run, and lands the waiting records. When the signal fires, the next run lands the rest. */
  async end(outcome: RunOutcome, error: unknown, signal: AbortSignal): Promise<void> {
    this.#cancelTimer()
    const code = error === undefined ? undefined : isTailraceError(error) ? error.code : 'UNEXPECTED'
    await this.#append({ kind: 'end', outcome, error_code: code, ...this.#totals })
    await this.#underWay
    await this.#land(signal)
  }

  #basic(kind: string) {
    return { at: isoTime(this.#options.clock.now()), kind, run_id: this.#runId }
  }

  async #append({ kind, ...record }: RunRecord, pipeline?: string): Promise<void> {
    this.#hasNews = true
    await this.#noted(this.#journal.append({ ...this.#basic(String(kind)), ...record }, pipeline))
  }

  /** Logs the first failure: the disk that the journal is on is watched elsewhere. */
  async #noted(work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => {
      this.#failures += 1
      if (this.#failures === 1) this.#log.warn({ err: error }, 'the record of the run is incomplete')
    })
  }

  #landLater(): void {
    const { clock } = this.#options
    const { landEveryMs } = this.#landing.batch
    const pauseMs = pauseToLanding(clock.now(), landEveryMs)
    this.#cancelTimer = clock.after(pauseMs, () => {
      this.#underWay = this.#land(AbortSignal.timeout(maxLandingMs)).finally(() => {
        this.#underWay = undefined
        this.#landLater()
      })
    })
  }

  /** Lands the journals of this run and of earlier ones, up to their present ends. */
  async #land(signal: AbortSignal): Promise<void> {
    if (!this.#hasNews || signal.aborted) return
    this.#hasNews = false
    const { config, openPipeline, clock } = this.#options
    const { container } = this.#landing.source
    try {
      const pipeline = await openPipeline({
        name: runsPipelineName,
        config: this.#landing,
        shared: { ...config, shard: undefined },
        reader: new DirectoryReader(container, this.#journal.directory, journalPrefix, journalBeginning),
        succeededSince: () => true,
        follow: false,
        signal,
        clock,
        logger: this.#log,
      })
      const abort = (): void => pipeline.abort()
      signal.addEventListener('abort', abort, { once: true })
      if (signal.aborted) abort()
      await pipeline.run().finally(() => signal.removeEventListener('abort', abort))
      const { landed } = pipeline
      await this.#journal.removeLanded(
        (name, bytes) =>
          landed.of(`${container}/${journalPrefix}${name}`).some(({ offset }) => offset >= bytes),
        clock.now(),
      )
    } catch (error) {
      this.#hasNews = true
      if (!signal.aborted)
        this.#log.warn({ err: error }, 'the record of runs was not landed: it is tried again')
    }
  }
}

/** @returns milliseconds until records are landed: at least 60,000, up to an instant at which the first pipeline lands */
export function pauseToLanding(nowMs: number, landEveryMs: number | undefined): number {
  if (landEveryMs === undefined) return minPauseMs
  return Math.ceil((nowMs + minPauseMs) / landEveryMs) * landEveryMs - nowMs
}

function isoTime(instantMs: number): string {
  return new Date(instantMs).toISOString()
}
