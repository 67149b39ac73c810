import type { Clock } from '../../../clock.ts'
import { SerialQueue } from '../../../offsets/serial-queue.ts'
import type { Logger } from '../../../reporting/logger.ts'
import type { QuerySession } from '../../../sinks/query-session.ts'
import { smallResult } from '../small-result.ts'
import { type CountUnit, countsSql } from './count-units.ts'
import { CountsStore } from './counts-store.ts'
import { type Counted, countsOfRows } from './unit-counts.ts'

/** Counts kept in memory, of all units together: 60 MB. */
const maxKeptCounts = 3_000_000

/** A unit with more is counted anew for each histogram, by a statement of its own. */
const maxUnitCounts = 300_000

/** Time between two searches for counts that can be removed. */
const cleanMs = 3_600_000

/** Counts are cleaned after so many bytes were written: an eighth of the limit. */
const uncleanedBytes = 32 * 1024 * 1024

interface ReadCounts {
  readonly counts: Counted
  /** By an earlier process. */
  readonly isStored: boolean
}

export interface RecordCountsOptions {
  readonly session: QuerySession
  /** Where counts are kept for the next process. */
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
}

/** Counts the records of data files over time, each file once. */
export class RecordCounts {
  readonly #session: QuerySession
  readonly #store: CountsStore
  readonly #clock: Clock
  readonly #logger: Logger
  /** By key of a unit; the one that was used last comes last. */
  readonly #kept = new Map<string, Counted>()
  #keptCounts = 0
  readonly #underWay = new Map<string, Promise<ReadCounts | undefined>>()
  /** One unit at a time: its statement uses all threads of an engine. */
  readonly #queue = new SerialQueue()
  #cleanedAtMs = Number.NEGATIVE_INFINITY
  #writtenBytes = 0
  #isStoring = true

  constructor({ session, directory, clock, logger }: RecordCountsOptions) {
    this.#session = session
    this.#store = new CountsStore(directory)
    this.#clock = clock
    this.#logger = logger
  }

  /**
   * Gives the counts of units in their order, until one is not known in time. Counting of that one goes on: a later call
   * gets it.
   *
   * @param replyMs after this time no further unit is waited for
   * @returns the counts of the first units, and how many files were read for them
   */
  async counted(
    units: readonly CountUnit[],
    { replyMs, signal }: { readonly replyMs: number; readonly signal: AbortSignal },
  ): Promise<{ readonly counts: readonly Counted[]; readonly filesRead: number }> {
    const endMs = this.#clock.now() + replyMs
    const counts: Counted[] = []
    let filesRead = 0
    for (const unit of units) {
      signal.throwIfAborted()
      const known = this.#recall(unit.key)
      if (known !== undefined) {
        counts.push(known)
        continue
      }
      const found = await this.#until(this.#read(unit), endMs, signal)
      if (found === undefined) break
      counts.push(found.counts)
      if (!found.isStored) filesRead += unit.files.length
    }
    return { counts, filesRead }
  }

  /** Removes old counts of other units than these, if that was not done lately. */
  async clean(units: readonly CountUnit[]): Promise<void> {
    const nowMs = this.#clock.now()
    if (nowMs - this.#cleanedAtMs < cleanMs && this.#writtenBytes < uncleanedBytes) return
    this.#cleanedAtMs = nowMs
    this.#writtenBytes = 0
    await this.#store.clean(new Set(units.map(({ key }) => key)), nowMs).catch((error: unknown) => {
      this.#logger.debug({ err: error }, 'counts of records were not removed')
    })
  }

  /** @returns what `counting` gives; undefined at `endMs` */
  async #until<Result>(
    counting: Promise<Result>,
    endMs: number,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    const timing = new AbortController()
    const time = this.#clock
      .sleep(Math.max(0, endMs - this.#clock.now()), AbortSignal.any([timing.signal, signal]))
      .catch(() => {})
    try {
      const found = await Promise.race([counting, time.then(() => undefined)])
      signal.throwIfAborted()
      return found
    } finally {
      timing.abort()
    }
  }

  #read(unit: CountUnit): Promise<ReadCounts | undefined> {
    const known = this.#underWay.get(unit.key)
    if (known !== undefined) return known
    const reading = this.#queue
      .run(async () => {
        const stored = await this.#store.read(unit.key)
        const counts = stored ?? (await this.#count(unit))
        if (counts === undefined) return undefined
        this.#keep(unit.key, counts)
        // The next landing would leave these counts without a use.
        const isOpen = unit.openToMs > this.#clock.now()
        if (stored === undefined && !isOpen) await this.#write(unit.key, counts)
        return { counts, isStored: stored !== undefined }
      })
      .finally(() => this.#underWay.delete(unit.key))
    this.#underWay.set(unit.key, reading)
    // Nobody may wait for it any more.
    reading.catch(() => {})
    return reading
  }

  /** @returns undefined when the table's newest version no longer has all of the files */
  async #count({ table, files, slotMs }: CountUnit): Promise<Counted | undefined> {
    const { rows, reading } = await smallResult(this.#session, {
      sql: countsSql(table.relation, slotMs, maxUnitCounts + 1),
      only: { pipeline: table.id, files },
    })
    if (reading.files !== files.length) return undefined
    const counts = countsOfRows(rows)
    return counts.slots.length > maxUnitCounts ? 'none' : counts
  }

  #recall(key: string): Counted | undefined {
    const found = this.#kept.get(key)
    if (found === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, found)
    return found
  }

  #keep(key: string, counts: Counted): void {
    this.#kept.set(key, counts)
    this.#keptCounts += lengthOf(counts)
    for (const [oldest, others] of this.#kept) {
      if (this.#keptCounts <= maxKeptCounts || oldest === key) break
      this.#kept.delete(oldest)
      this.#keptCounts -= lengthOf(others)
    }
  }

  async #write(key: string, counts: Counted): Promise<void> {
    if (!this.#isStoring) return
    try {
      this.#writtenBytes += await this.#store.write(key, counts)
    } catch (error) {
      // The page works without: the next process counts again.
      this.#isStoring = false
      this.#logger.info({ err: error }, 'counts of records cannot be kept for the next process')
    }
  }
}

function lengthOf(counts: Counted): number {
  return counts === 'none' ? 0 : counts.slots.length
}
