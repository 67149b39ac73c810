import type { Clock } from '../../../clock.ts'
import { SerialQueue } from '../../../offsets/serial-queue.ts'
import { withEngine } from '../../encoding/engine-session.ts'
import type { FileFacts } from '../../reading-session.ts'
import type { TableContents } from '../files/live-files.ts'
import { loadState, readNewCommits } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { fileRows, timeBounds } from './file-facts.ts'
import { contentsOf } from './read-table.ts'

/** Statements of one screen come together, so a version this old is new enough. */
const freshMs = 300

/** The log is read anew after this time: its next commit may have been removed, so that no newer one would be seen. */
const reloadMs = 15 * 60_000

/** The newest version of a table, read from its log once and then commit by commit. */
export class FollowedTable {
  readonly storage: DeltaStorage
  readonly #clock: Clock
  readonly #queue = new SerialQueue()
  #state: TableState | undefined
  #contents: TableContents | undefined
  #facts: { readonly column: string; readonly files: readonly FileFacts[] } | undefined
  #loadedAtMs = Number.NEGATIVE_INFINITY
  #readAtMs = Number.NEGATIVE_INFINITY

  constructor(storage: DeltaStorage, clock: Clock) {
    this.storage = storage
    this.#clock = clock
  }

  /** @returns undefined when there is no table yet */
  contents(): Promise<TableContents | undefined> {
    return this.#queue.run(async () => {
      const nowMs = this.#clock.now()
      if (nowMs - this.#readAtMs < freshMs) return this.#contents
      if (this.#state === undefined || nowMs - this.#loadedAtMs >= reloadMs) {
        this.#state = await withEngine((engine) => loadState(this.storage, engine, { keepFiles: true }))
        this.#loadedAtMs = nowMs
      } else {
        await readNewCommits(this.storage, this.#state)
      }
      this.#readAtMs = nowMs
      if (this.#state?.version !== this.#contents?.tableVersion) {
        this.#contents = this.#state && contentsOf(this.#state)
        this.#facts = undefined
      }
      return this.#contents
    })
  }

  /** @returns facts about each file, with the bounds of a column; undefined when there is no table yet */
  async files(column: string): Promise<readonly FileFacts[] | undefined> {
    const contents = await this.contents()
    if (contents === undefined) return undefined
    if (this.#facts?.column !== column) {
      const files = contents.files.map((file) => ({
        bytes: file.bytes,
        rows: fileRows(file),
        bounds: timeBounds(file, column),
      }))
      this.#facts = { column, files }
    }
    return this.#facts.files
  }
}
