import { isPauseOver } from '../../../clock.ts'
import { isTailraceError } from '../../../errors.ts'
import type { BlobGeneration, GenerationMark } from '../../../records.ts'
import { ParquetArchiveFiles, type ParquetArchiveFilesOptions } from '../archive/parquet-archive-files.ts'
import type { DeltaOptions } from '../options.ts'
import type { UnmarkedOffsets } from '../pipeline-offsets.ts'
import { type ArchiveOffsetsOptions, archiveOffsets, archiveRules } from './archive-offsets.ts'
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
 * Pause of a shard to which deleting and vacuum do not fall: it finds nothing to do, unless the other one has been stopped
 * for long.
 */
const substitutePauseMs = 7 * pauseMs

/** A day that counts as today is reported if it is so much older than the clock of this machine says. */
const maxQuietMs = 3 * pauseMs

export interface DailyMaintenanceOptions extends BackgroundMaintenanceOptions {
  /** How a generation is recognized. */
  readonly markOf: (source: BlobGeneration) => GenerationMark | undefined
  /** The number of offsets in the run's memory that have not changed for a time, in milliseconds. */
  readonly archivableOffsets: (unchangedMs: number) => number
  /** Archived offsets that stay in the run's memory until the archive has their marks. */
  readonly unmarkedOffsets: () => UnmarkedOffsets | undefined
}

/**
 * Once a day, whether or not rows land: archives old offsets of a pipeline's table, and deletes old days and unneeded files
 * if the config says so. It acts like a separate writer, as the merging of small files does.
 */
export class DailyMaintenance {
  readonly #options: DailyMaintenanceOptions
  readonly #stopping = new AbortController()
  /** Since when, in milliseconds since the epoch, this process has neither deleted old days nor vacuumed. */
  #undoneSinceMs: number
  #work: Promise<void> | undefined
  #cancel: () => void = () => {}

  constructor(options: DailyMaintenanceOptions) {
    const { clock, target } = options
    this.#options = options
    this.#undoneSinceMs = clock.now()
    if (hasWork(target.sink) || archiveRules(target.sink) !== undefined) this.#startAfter(firstPauseMs)
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

  /** What falls to this shard now. Every shard archives, because each has marks of its own. */
  get #dueRules(): DailyRules {
    const { target, upkeepShare, clock } = this.#options
    const isDue =
      upkeepShare?.isOwn !== false || isPauseOver(this.#undoneSinceMs, substitutePauseMs, clock.now())
    return isDue ? target.sink : { vacuum: false }
  }

  /** The rules of archiving, if there is enough to archive. */
  get #dueArchive(): ReturnType<typeof archiveRules> {
    const { target, archivableOffsets, unmarkedOffsets } = this.#options
    const rules = archiveRules(target.sink)
    if (rules === undefined) return undefined
    const offsets = archivableOffsets(rules.unchangedMs) + (unmarkedOffsets()?.offsets.length ?? 0)
    return offsets >= rules.minOffsets ? rules : undefined
  }

  #startAfter(ms: number): void {
    if (!this.#stopping.signal.aborted) this.#cancel = this.#options.clock.after(ms, () => this.#start())
  }

  #start(): void {
    const { isHeld, logger } = this.#options
    const mustWait = isHeld()
    this.#startAfter(mustWait ? firstPauseMs : pauseMs)
    // A round that takes longer than a day is not joined by another one.
    if (mustWait || this.isWorking || !(hasWork(this.#dueRules) || this.#dueArchive !== undefined)) return
    this.#work = this.#run()
      .catch((error: unknown) => {
        if (!this.#stopping.signal.aborted)
          logger.warn({ err: error }, 'the daily maintenance of the table failed: trying again tomorrow')
      })
      .finally(() => {
        this.#work = undefined
      })
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#options
    const { retainDays, vacuum } = this.#dueRules
    const startedAtMs = clock.now()
    const { signal } = this.#stopping
    const during = { during: 'during its maintenance', signal }
    await maintainBeside(this.#options, during, async ({ engine, directory: stagingDirectory, storage }) => {
      const context = { storage, engine, clock, random: Math.random, signal }
      await this.#archive({ ...context, stagingDirectory })
      signal.throwIfAborted()
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
      if (hasWork({ retainDays, vacuum })) this.#undoneSinceMs = startedAtMs
    })
  }

  async #archive(context: ArchiveRound): Promise<void> {
    const { markOf, unmarkedOffsets, logger } = this.#options
    const rules = this.#dueArchive
    if (rules === undefined) return
    const files = new ParquetArchiveFiles(context)
    const unmarked = unmarkedOffsets()
    const onOvertaken = (): void =>
      logger.warn('other commits overtook each attempt to archive old offsets: trying again tomorrow')
    try {
      const archived = await archiveOffsets({ ...context, ...rules, files, unmarked, markOf, onOvertaken })
      if (archived !== undefined) logger.info(archived, 'moved old offsets into the archive of the table')
    } catch (error) {
      // No reason to leave out the deletion of old days and the vacuum.
      context.signal.throwIfAborted()
      logger.warn({ err: error }, 'the old offsets of the table were not archived: trying again tomorrow')
    }
  }

  async #retain(options: RetainOptions): Promise<void> {
    const { logger } = this.#options
    try {
      const report = await retainTable(options)
      if (report === undefined) return
      const { days, firstDay, tableVersion, today } = report
      if (options.clock.now() - Date.parse(today.day) > maxQuietMs)
        logger.warn(
          { today: today.day, by: today.by },
          today.by === 'rows'
            ? 'the table has no row of the last days, or the clock is ahead: the days before its newest row are kept'
            : 'the clock of this machine is ahead of that of the storage, which counts',
        )
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

type ArchiveRound = Omit<ArchiveOffsetsOptions, 'unchangedMs' | 'minOffsets' | 'files' | 'markOf'> &
  ParquetArchiveFilesOptions & { readonly signal: AbortSignal }

type DailyRules = Pick<DeltaOptions, 'retainDays' | 'vacuum'>

function hasWork({ retainDays, vacuum }: DailyRules): boolean {
  return retainDays !== undefined || vacuum
}
