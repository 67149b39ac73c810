import type { Logger } from '../../reporting/logger.ts'
import { lateRowMs } from '../../tables/table.ts'
import { type FoundRecord, millisecondsOf, recordKey } from './found-record.ts'
import type { RecordReader } from './record-reader.ts'
import { landedSinceSql, newMatchesSql, type SearchFilter } from './search-sql.ts'

/** New matches of one table that are read at once, with all their texts; the latest encoded ones. */
const maxNewMatches = 5_000

/**
 * The matches of a table that land while a search follows it.
 *
 * Each look takes the newest row of the look before, and reads the rows that were encoded up to a minute before it or later.
 * It does not go by the clock: after an outage, a batch may be committed long after it was encoded.
 */
export class FollowedMatches {
  readonly table: RecordReader
  readonly #filter: SearchFilter
  readonly #logger: Logger
  /** By their keys, with the time of their encoding. */
  readonly #seen = new Map<string, number>()
  /** When the newest row was encoded. */
  #newestMs: number | undefined
  /** The rows since then and a minute before. Without a change, nothing has landed. */
  #landed = ''

  constructor(table: RecordReader, filter: SearchFilter, logger: Logger) {
    this.table = table
    this.#filter = filter
    this.#logger = logger
  }

  /** @returns the matches that have not been seen, in the order of their time, and notes them */
  async fresh(signal?: AbortSignal): Promise<readonly FoundRecord[]> {
    const sinceMs = this.#newestMs === undefined ? undefined : this.#newestMs - lateRowMs
    // Before the matches, not after them: what lands in between would be taken for read.
    const [[newest, count] = []] = await this.table.rows(landedSinceSql(this.table, sinceMs), signal)
    const landed = `${newest} ${count}`
    if (landed === this.#landed) return []
    const newestMs = millisecondsOf(newest as string | null)
    const fromMs = sinceMs ?? newestMs - lateRowMs
    if (Number.isNaN(fromMs)) {
      // The table is empty: everything in it will be new.
      this.#newestMs = 0
      return []
    }
    const sql = newMatchesSql(this.table, this.#filter, fromMs, maxNewMatches)
    const records = await this.table.read(sql, signal)
    if (records.length >= maxNewMatches && sinceMs !== undefined)
      this.#logger.warn({ limit: maxNewMatches }, 'new matches are left out: search for fewer')
    const fresh = records.filter((record) => !this.#seen.has(recordKey(record)))
    this.note(fresh)
    if (!Number.isNaN(newestMs)) this.#newestMs = newestMs
    this.#landed = landed
    // Older ones are not read again.
    const keptMs = (this.#newestMs ?? 0) - lateRowMs
    for (const [key, atMs] of this.#seen) if (atMs < keptMs) this.#seen.delete(key)
    return fresh
  }

  /** Notes matches that a search has found. */
  note(records: readonly FoundRecord[]): void {
    for (const record of records) this.#seen.set(recordKey(record), millisecondsOf(record.ingest_ts))
  }
}
