import { isPauseOver } from '../../../clock.ts'
import { isTailraceError } from '../../../errors.ts'
import type { TableUpkeep } from '../../sink.ts'
import type { DeltaOptions } from '../options.ts'
import { type BackgroundMaintenanceOptions, maintainBeside } from './background-maintenance.ts'
import { optimizeTable } from './optimize-table.ts'

/** Pause between two checks of the table, so that its log is not read all the time. */
const minPauseMs = 5 * 60_000

/**
 * Pause of a shard to which the table's upkeep does not fall: it finds nothing to merge, unless the other one is stopped or
 * lands nothing itself.
 */
const substitutePauseMs = 3_600_000

/** Pause after a check that found another engine in charge: its owner may hand the table back. */
const leftPauseMs = 86_400_000

/**
 * Merges the small files of a pipeline's table in the background while the pipeline runs.
 *
 * It checks the table once enough batches have landed to make a partition worth merging. It acts like a separate writer,
 * with its own engine and requests, so a merge costs the pipeline's commits at most a lost race.
 */
export class BackgroundOptimizer implements TableUpkeep {
  readonly #options: BackgroundMaintenanceOptions
  readonly #stopping = new AbortController()
  #work: Promise<void> | undefined
  #landedBatches: number
  /** End of the last check, in milliseconds since the epoch. */
  #checkedAtMs: number
  /** Set when the table has a feature that forbids merging; it is not checked again then. */
  #isRefused = false
  /** Who merges the files instead, by the last check. */
  #leftTo: string | undefined

  constructor(options: BackgroundMaintenanceOptions) {
    this.#options = options
    // Earlier runs may have left small files, so the first check needs only one landed batch.
    this.#landedBatches = this.#rules?.minFiles ?? 0
    this.#checkedAtMs = options.clock.now()
  }

  /** Whether a check or a merge is running. */
  get isWorking(): boolean {
    return this.#work !== undefined
  }

  /** Call after each landed batch with rows. Starts a check in the background when one is due. */
  noteLanded(): void {
    const rules = this.#rules
    // The other shards land about as many.
    this.#landedBatches += this.#options.upkeepShare?.shards ?? 1
    if (rules === undefined || this.#isRefused || this.isWorking || !this.#mayContinue()) return
    const { clock, logger } = this.#options
    const pauseMs = this.#leftTo === undefined ? this.#usualPauseMs : leftPauseMs
    if (this.#landedBatches < rules.minFiles || !isPauseOver(this.#checkedAtMs, pauseMs, clock.now())) return
    this.#landedBatches = 0
    this.#work = this.#optimize(rules)
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return
        this.#isRefused = isTailraceError(error, 'TABLE_UNSUPPORTED')
        logger.warn(
          { err: error },
          this.#isRefused
            ? 'small files of this table cannot be merged'
            : 'merging small files failed: trying again later',
        )
      })
      .finally(() => {
        this.#work = undefined
        this.#checkedAtMs = clock.now()
      })
  }

  /** Aborts a running merge and waits for its end. Committed merges stay. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#work
  }

  get #rules() {
    const { optimize } = this.#options.target.sink
    return optimize === false ? undefined : optimize
  }

  get #usualPauseMs(): number {
    return this.#options.upkeepShare?.isOwn === false ? substitutePauseMs : minPauseMs
  }

  #mayContinue(): boolean {
    return !this.#stopping.signal.aborted && !this.#options.isHeld()
  }

  async #optimize(rules: Exclude<DeltaOptions['optimize'], false>): Promise<void> {
    const { clock, logger } = this.#options
    const { signal } = this.#stopping
    const during = { during: 'while files were merged', signal }
    const report = await maintainBeside(this.#options, during, ({ engine, directory, storage }) =>
      optimizeTable({
        storage,
        engine,
        stagingDirectory: directory,
        clock,
        random: Math.random,
        targetBytes: rules.targetBytes,
        minFiles: rules.minFiles,
        sortByTime: rules.sortByTime,
        isGrowing: true,
        mayContinue: () => this.#mayContinue(),
        signal,
      }),
    )
    for (const { partitionValues, ...partition } of report?.partitions ?? []) {
      logger.info({ partition: partitionValues, ...partition }, 'merged small files')
    }
    const leftTo = report?.leftTo
    if (leftTo !== undefined && leftTo !== this.#leftTo)
      logger.info(
        { leftTo },
        'small files of this table are merged by another engine: checking again in a day',
      )
    this.#leftTo = leftTo
    const refused = report?.refused ?? []
    if (refused.length > 0) {
      logger.warn(
        { files: refused.slice(0, 10), fileCount: refused.length },
        'files whose deletion vectors are outside of the table were not merged',
      )
    }
  }
}
