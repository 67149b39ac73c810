import type { Clock } from '../../../clock.ts'
import type { Logger } from '../../../reporting/logger.ts'
import { retryLog } from '../../../reporting/retry-log.ts'
import { withMaintenanceWorkspace } from '../../encoding/engine-session.ts'
import type { TableUpkeep } from '../../sink.ts'
import type { DeltaTarget } from '../options.ts'
import { openTableStorage } from '../storage/open.ts'
import { retainTable } from './retain-table.ts'
import { vacuumTable } from './vacuum-table.ts'

/** Pause between two rounds, in milliseconds. */
const pauseMs = 86_400_000

/** The first round of a process comes after this time, so that one that restarts again and again does nothing else. */
const firstPauseMs = 10 * 60_000

/** One thread beside the encoder's two, as for merging. */
const limits = { threads: 1, memoryMiB: 160 }

export interface DailyMaintenanceOptions {
  readonly target: Pick<DeltaTarget, 'sink' | 'table' | 'sourceStorage'>
  /** The pipeline's staging directory. */
  readonly staging: string
  /** Whether work must wait because disk space is short. */
  readonly isHeld: () => boolean
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Deletes old days and unneeded files of a pipeline's table once a day, if the config says so. It acts like a separate
 * writer, as the merging of small files does.
 */
export class DailyMaintenance implements TableUpkeep {
  readonly #options: DailyMaintenanceOptions
  readonly #stopping = new AbortController()
  #work: Promise<void> | undefined
  #dueAtMs: number

  constructor(options: DailyMaintenanceOptions) {
    this.#options = options
    this.#dueAtMs = options.clock.now() + firstPauseMs
  }

  /** Starts a round in the background when one is due. */
  noteLanded(): void {
    const { target, clock, logger } = this.#options
    const { retainDays, vacuum } = target.sink
    if ((retainDays === undefined && !vacuum) || this.#work !== undefined) return
    if (this.#stopping.signal.aborted || this.#options.isHeld() || clock.now() < this.#dueAtMs) return
    this.#dueAtMs = clock.now() + pauseMs
    this.#work = this.#run(retainDays, vacuum)
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          logger.warn({ err: error }, 'the daily maintenance of the table failed: trying again tomorrow')
      })
      .finally(() => {
        this.#work = undefined
      })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#work
  }

  async #run(retainDays: number | undefined, vacuum: boolean): Promise<void> {
    const { target, staging, clock, logger } = this.#options
    const { signal } = this.#stopping
    await withMaintenanceWorkspace(staging, limits, async ({ engine, directory }) => {
      const storage = openTableStorage(target, {
        downloadDirectory: directory,
        clock,
        retry: { signal, onRetry: retryLog(logger, "the table's storage failed during its maintenance") },
      })
      const context = { storage, engine, clock, random: Math.random, signal }
      if (retainDays !== undefined) {
        const report = await retainTable({ ...context, days: retainDays, deletes: true })
        const { days = [], firstDay, tableVersion } = report ?? {}
        if (days.length > 0)
          logger.info(
            { firstDay, tableVersion, days: days.length },
            'deleted the days before the first one that is kept',
          )
      }
      signal.throwIfAborted()
      if (vacuum) {
        const report = await vacuumTable({ ...context, deletes: true, allowShortRetention: false })
        const expired = report?.expired ?? []
        const bytes = expired.reduce((sum, file) => sum + file.bytes, 0)
        if (expired.length > 0)
          logger.info({ files: expired.length, bytes }, 'deleted files that no version needs')
      }
    })
  }
}
