import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'
import { type BlobGeneration, generationKey } from '../../src/records.ts'
import { archiveAppId, Transactions } from '../../src/sinks/delta/log/offsets.ts'
import { decodeCommit } from '../../src/sinks/delta/protocol/actions.ts'
import type { LandedTable } from './landed-whole.ts'
import { rowsOfFile, type SimulatedRow } from './row-encoder.ts'

/** One commit, for the history. */
export interface CommitSummary {
  readonly version: number
  /** `blob start→end`, each. */
  readonly moves: readonly string[]
  readonly rows: number
}

/**
 * What every reader of the table sees, after each commit.
 *
 * It is checked at each commit that no row was visible before, that no offset goes back, and that the rows lie in the
 * ranges by which the offsets moved.
 */
export class VisibleTable implements LandedTable {
  readonly mayHaveUnrecordedRows = false
  readonly #transactions = new Transactions()
  /** The same, without what archives take. */
  readonly #unarchived = new Transactions()
  readonly #rows = new Map<string, Map<string, SimulatedRow>>()
  #version = -1

  get offsets(): LandedOffsets {
    return this.#transactions.landed
  }

  get unarchived(): LandedOffsets {
    return this.#unarchived.landed
  }

  get version(): number {
    return this.#version
  }

  /** The rows of one generation, in order. */
  rowsOf(source: BlobGeneration): readonly SimulatedRow[] {
    const rows = [...(this.#rows.get(generationKey(source))?.values() ?? [])]
    return rows.sort((a, b) => a.offset - b.offset || a.index - b.index)
  }

  /**
   * @param read the bytes of a data file
   * @throws when the commit breaks a promise
   */
  apply(version: number, bytes: Buffer, read: (path: string) => Buffer | undefined): CommitSummary {
    if (version !== this.#version + 1)
      throw new Error(`Version ${version} was created after ${this.#version}.`)
    this.#version = version
    const before = new LandedOffsets()
    for (const landed of this.offsets) before.set(landed)
    const { actions } = decodeCommit(version, bytes)
    for (const action of actions) {
      if (!('txn' in action)) continue
      this.#transactions.set(action.txn)
      if (action.txn.appId === archiveAppId) this.#unarchived.moveToArchive(Number(action.txn.version))
      else this.#unarchived.set(action.txn)
    }
    const moves: string[] = []
    for (const { offset, ...source } of this.offsets) {
      const start = before.get(source) ?? 0
      if (offset < start)
        throw new Error(`The offset of ${generationKey(source)} went back from ${start} to ${offset}.`)
      if (offset > start) moves.push(`${generationKey(source)} ${start}→${offset}`)
    }
    let rows = 0
    for (const action of actions) {
      if (!('add' in action)) continue
      const file = read(decodeURIComponent(action.add.path))
      if (file === undefined) throw new Error(`Version ${version} names a file that is not there.`)
      for (const row of rowsOfFile(file)) {
        this.#add(row, before.get(row) ?? 0)
        rows += 1
      }
    }
    return { version, moves, rows }
  }

  #add(row: SimulatedRow, start: number): void {
    const key = generationKey(row)
    const place = `${row.offset}:${row.index}`
    const rows = this.#rows.get(key) ?? new Map<string, SimulatedRow>()
    this.#rows.set(key, rows)
    if (rows.has(place)) throw new Error(`The row of ${key} at ${place} is visible twice.`)
    const end = this.offsets.get(row) ?? 0
    if (row.offset < start || row.offset + row.length > end)
      throw new Error(`The row of ${key} at ${place} of ${row.length} bytes lies outside of ${start}→${end}.`)
    rows.set(place, row)
  }
}
