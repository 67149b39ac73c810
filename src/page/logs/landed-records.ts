import type { Clock } from '../../clock.ts'
import type { FileFacts } from '../../sinks/query-session.ts'
import { lateRowMs } from '../../tables/table.ts'
import type { LiveEvents, RecordFilter, RecordRow } from '../api.ts'
import type { FoundTable } from './found-tables.ts'
import type { LogTables } from './log-tables.ts'
import { landedSql } from './record-pages.ts'
import { recordRow } from './record-rows.ts'

/** Records of one event. */
const maxRecords = 500

/** Rows that are read of one table for an event. */
const maxRows = 2 * maxRecords

/** The data files of a table when it was last read, and when that was. */
interface SeenFiles {
  readonly files: readonly FileFacts[]
  readonly atMs: number
}

/** The records of a filter that land while a client follows them. */
export class LandedRecords {
  readonly #tables: LogTables
  readonly #filter: RecordFilter
  readonly #clock: Clock
  /** By key, the time at which a record was first seen. */
  readonly #seen = new Map<string, number>()
  /** By table. */
  readonly #files = new Map<string, SeenFiles>()
  #hasBegun = false

  constructor(tables: LogTables, filter: RecordFilter, clock: Clock) {
    this.#tables = tables
    this.#filter = { ...filter, toMs: undefined }
    this.#clock = clock
  }

  /** @returns the records that have landed since the last call; those of the first call are only noted */
  async next(signal: AbortSignal): Promise<LiveEvents['records']> {
    const atMs = this.#clock.now()
    const found = await this.#tables.find(this.#filter.table)
    const changed = found.filter(({ id, files }) => this.#files.get(id)?.files !== files)
    const fresh: RecordRow[] = []
    const keys: string[] = []
    let isCut = false
    for (const table of changed) {
      const { rows, isMixed } = await this.#read(table, atMs, signal)
      isCut ||= rows.length >= maxRows
      for (const record of rows) {
        const key = [record.table, record.blob, record.generation, record.offset, record.index].join('\n')
        keys.push(key)
        if (this.#hasBegun && !(isMixed && this.#seen.has(key))) fresh.push(record)
      }
    }
    // Only now: what a failed call has read of some tables, the next one reads again.
    for (const { id, files } of changed) this.#files.set(id, { files, atMs })
    for (const key of keys) this.#seen.set(key, this.#seen.get(key) ?? atMs)
    for (const [key, seenMs] of this.#seen) if (seenMs < atMs - 2 * lateRowMs) this.#seen.delete(key)
    this.#hasBegun = true
    fresh.sort((one, other) => instantOf(one) - instantOf(other))
    return { records: fresh.slice(-maxRecords), isCut: isCut || fresh.length > maxRecords }
  }

  /**
   * Reads the new files of a table, whenever their rows were encoded: storage may have been away for an hour since.
   *
   * @returns `isMixed`: there may be rows among them that landed before. New files that replace others hold the rows of
   * these, so of them only rows are read that were encoded since shortly before the last change.
   */
  async #read(
    table: FoundTable,
    atMs: number,
    signal: AbortSignal,
  ): Promise<{ rows: RecordRow[]; isMixed: boolean }> {
    const before = this.#files.get(table.id)
    const now = new Set(table.files.map(({ id }) => id))
    const known = new Set(before?.files.map(({ id }) => id))
    const isMixed = !this.#hasBegun || before?.files.some(({ id }) => !now.has(id)) === true
    const sinceMs = isMixed ? (before?.atMs ?? atMs) - lateRowMs : undefined
    const files = [...now].filter((id) => !known.has(id))
    if (files.length === 0) return { rows: [], isMixed }
    const sql = landedSql(table, this.#filter, sinceMs, maxRows)
    const { rows } = await this.#tables.rows(sql, signal, { only: { pipeline: table.id, files } })
    return { rows: rows.map(recordRow), isMixed }
  }
}

function instantOf({ atMs }: RecordRow): number {
  return atMs ?? Number.MAX_SAFE_INTEGER
}
