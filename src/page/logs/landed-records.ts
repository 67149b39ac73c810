import type { Clock } from '../../clock.ts'
import type { LiveEvents, RecordFilter, RecordRow } from '../api.ts'
import type { LogTables } from './log-tables.ts'
import { landedSinceSql } from './record-pages.ts'
import { recordRow } from './record-rows.ts'

/** Records of one event. */
const maxRecords = 500

/** Rows can become visible this much later than rows with a later `ingest_ts`, because several processes may land. */
const lateMs = 60_000

/** The records of a filter that land while a client follows them. */
export class LandedRecords {
  readonly #tables: LogTables
  readonly #filter: RecordFilter
  readonly #clock: Clock
  /** By key, the time at which a record was first seen. */
  readonly #seen = new Map<string, number>()
  /** The data files of the last query: without new ones there is nothing new. */
  #files: readonly unknown[] = []
  #hasBegun = false

  constructor(tables: LogTables, filter: RecordFilter, clock: Clock) {
    this.#tables = tables
    this.#filter = { ...filter, toMs: undefined }
    this.#clock = clock
  }

  /** @returns the records that have landed since the last call; those of the first call are only noted */
  async next(signal: AbortSignal): Promise<LiveEvents['records']> {
    const found = await this.#tables.find(this.#filter.table)
    const files = found.map((table) => table.files)
    const isSame =
      files.length === this.#files.length && files.every((one, index) => one === this.#files[index])
    if (found.length === 0 || (isSame && this.#hasBegun)) return { records: [], isCut: false }
    const nowMs = this.#clock.now()
    const sql = landedSinceSql(found, this.#filter, nowMs - lateMs, 2 * maxRecords)
    const { rows } = await this.#tables.rows(sql, signal)
    this.#files = files
    const fresh: RecordRow[] = []
    for (const record of rows.map(recordRow)) {
      const key = [record.table, record.blob, record.generation, record.offset, record.index].join('\n')
      if (!this.#seen.has(key) && this.#hasBegun) fresh.push(record)
      this.#seen.set(key, this.#seen.get(key) ?? nowMs)
    }
    this.#hasBegun = true
    for (const [key, atMs] of this.#seen) if (atMs < nowMs - 2 * lateMs) this.#seen.delete(key)
    return { records: fresh.slice(-maxRecords), isCut: fresh.length > maxRecords }
  }
}
