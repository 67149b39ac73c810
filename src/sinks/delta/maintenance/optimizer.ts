import type { Clock } from '../../../clock.ts'
import type { DeltaPipeline } from '../../../config/resolve.ts'
import { isTailraceError } from '../../../errors.ts'
import type { Logger } from '../../../reporting/logger.ts'
import { retryLog } from '../../../reporting/retry-log.ts'
import { withMaintenanceWorkspace } from '../../encoding/engine-session.ts'
import { openTableStorage } from '../storage/open.ts'
import { optimizeTable } from './optimize-table.ts'

/** The least time between the end of one look at the table and the next, so that its log is not read all the time. */
const pauseMs = 5 * 60_000

/** One thread beside the encoder's two; a merge needs little memory, and spills what it does not get. */
const limits = { threads: 1, memoryMiB: 160 }

export interface BackgroundOptimizerOptions {
  readonly pipeline: Pick<DeltaPipeline, 'sink' | 'table' | 'source'>
  /** The pipeline's staging directory. */
  readonly staging: string
  /** Whether work is held because disk space is short. */
  readonly isHeld: () => boolean
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Merges the small files of a pipeline's table while the pipeline runs, as any other writer of the table would.
 *
 * It looks at the table when as many batches were landed as make a partition worth merging, one merge at a time, with
 * an engine and requests of its own: a commit of the run at worst finds its version taken and takes the next.
 */
export class BackgroundOptimizer {
  readonly #options: BackgroundOptimizerOptions
  readonly #stopping = new AbortController()
  #work: Promise<void> | undefined
  #landedBatches: number
  #restedSinceMs: number
  /** Set when the table has a rule that forbids it, which no later look will change. */
  #isRefused = false

  constructor(options: BackgroundOptimizerOptions) {
    this.#options = options
    // What earlier runs left is not known, so the first look is not to wait for as many batches again.
    this.#landedBatches = this.#rules?.minFiles ?? 0
    this.#restedSinceMs = options.clock.now()
  }

  /** Whether it looks at the table or merges at this moment. */
  get isWorking(): boolean {
    return this.#work !== undefined
  }

  /** Hears of each batch that is in the table with rows, and begins what is due; the caller does not wait. */
  noteLanded(): void {
    const rules = this.#rules
    this.#landedBatches += 1
    if (rules === undefined || this.#isRefused || this.isWorking || !this.#mayGoOn()) return
    const { clock, logger } = this.#options
    if (this.#landedBatches < rules.minFiles || clock.now() - this.#restedSinceMs < pauseMs) return
    this.#landedBatches = 0
    this.#work = this.#optimize(rules)
      .catch((error: unknown) => {
        if (this.#stopping.signal.aborted) return
        this.#isRefused = isTailraceError(error, 'TABLE_UNSUPPORTED')
        logger.warn(
          { err: error },
          this.#isRefused
            ? 'small files of this table cannot be merged'
            : 'small files could not be merged: trying again later',
        )
      })
      .finally(() => {
        this.#work = undefined
        this.#restedSinceMs = clock.now()
      })
  }

  /** Ends what is under way; what is merged stays merged, and the rest stays as it was. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#work
  }

  get #rules() {
    const { optimize } = this.#options.pipeline.sink
    return optimize === false ? undefined : optimize
  }

  #mayGoOn(): boolean {
    return !this.#stopping.signal.aborted && !this.#options.isHeld()
  }

  async #optimize(rules: Exclude<DeltaPipeline['sink']['optimize'], false>): Promise<void> {
    const { pipeline, staging, clock, logger } = this.#options
    const { signal } = this.#stopping
    const report = await withMaintenanceWorkspace(staging, limits, ({ engine, directory }) =>
      optimizeTable({
        storage: openTableStorage(pipeline, {
          downloadDirectory: directory,
          clock,
          retry: { signal, onRetry: retryLog(logger, "the table's storage failed while files were merged") },
        }),
        engine,
        stagingDirectory: directory,
        clock,
        random: Math.random,
        targetBytes: rules.targetBytes,
        minFiles: rules.minFiles,
        sortByTime: rules.sortByTime,
        isGrowing: true,
        mayGoOn: () => this.#mayGoOn(),
        signal,
      }),
    )
    for (const { partitionValues, ...partition } of report?.partitions ?? []) {
      logger.info({ partition: partitionValues, ...partition }, 'merged small files')
    }
    const refused = report?.refused ?? []
    if (refused.length > 0) {
      logger.warn(
        { files: refused.slice(0, 10), fileCount: refused.length },
        'files whose deletion vectors lie outside of the table were not merged',
      )
    }
  }
}
