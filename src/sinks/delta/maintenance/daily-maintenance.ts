import { isTailraceError } from '../../../errors.ts'
import { type BackgroundMaintenanceOptions, maintainBeside } from './background-maintenance.ts'
import { type RetainOptions, retainTable } from './retain-table.ts'
import { vacuumTable } from './vacuum-table.ts'

/** Pause between two rounds, in milliseconds. */
const pauseMs = 86_400_000

/**
 * The first round of a process comes after this time, so that one that restarts again and again does nothing else. A round
 * that has to wait for disk space is due again after it.
 */
const firstPauseMs = 10 * 60_000

/**
 * Deletes old days and unneeded files of a pipeline's table once a day, if the config says so, whether or not rows land. It
 * acts like a separate writer, as the merging of small files does.
 */
export class DailyMaintenance {
  readonly #options: BackgroundMaintenanceOptions
  readonly #stopping = new AbortController()
  #work: Promise<void> | undefined
  #cancel: () => void = () => {}

  constructor(options: BackgroundMaintenanceOptions) {
    this.#options = options
    const { retainDays, vacuum } = options.target.sink
    if (retainDays !== undefined || vacuum) this.#startAfter(firstPauseMs)
  }

  /** Whether a round is under way. */
  get isWorking(): boolean {
    return this.#work !== undefined
  }

  /** Aborts a round under way and waits for its end. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#cancel()
    await this.#work
  }

  #startAfter(ms: number): void {
    if (!this.#stopping.signal.aborted) this.#cancel = this.#options.clock.after(ms, () => this.#start())
  }

  #start(): void {
    const { target, isHeld, logger } = this.#options
    const mustWait = isHeld()
    this.#startAfter(mustWait ? firstPauseMs : pauseMs)
    // A round that takes longer than a day is not joined by another one.
    if (mustWait || this.isWorking) return
    this.#work = this.#run(target.sink.retainDays, target.sink.vacuum)
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          logger.warn({ err: error }, 'the daily maintenance of the table failed: trying again tomorrow')
      })
      .finally(() => {
        this.#work = undefined
      })
  }

  async #run(retainDays: number | undefined, vacuum: boolean): Promise<void> {
    const { clock, logger } = this.#options
    const { signal } = this.#stopping
    const during = { during: 'during its maintenance', signal }
    await maintainBeside(this.#options, during, async ({ engine, storage }) => {
      const context = { storage, engine, clock, random: Math.random, signal }
      if (retainDays !== undefined) {
        await this.#retain({ ...context, days: retainDays, allowEmpty: false, deletes: true })
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

  async #retain(options: RetainOptions): Promise<void> {
    const { logger } = this.#options
    try {
      const { days = [], firstDay, tableVersion } = (await retainTable(options)) ?? {}
      if (days.length > 0)
        logger.info(
          { firstDay, tableVersion, days: days.length },
          'deleted the days before the first one that is kept',
        )
    } catch (error) {
      // No reason to leave out the vacuum.
      if (!isTailraceError(error, 'RETENTION_REFUSED')) throw error
      logger.warn({ err: error }, 'the old days of the table were not deleted: trying again tomorrow')
    }
  }
}
