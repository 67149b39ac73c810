import type { Clock } from '../../../clock.ts'
import { SerialQueue } from '../../../offsets/serial-queue.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { withEngine } from '../../encoding/engine-session.ts'
import type { FileFacts, TableMoment } from '../../query-session.ts'
import type { TableContents } from '../files/live-files.ts'
import { loadState, readNewCommits } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import { versionAt } from '../log/time-travel.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { fileFacts } from './file-facts.ts'
import { FileSchemas } from './file-schemas.ts'
import { contentsOf, readTable } from './read-table.ts'

/** The log is read anew after this time: its next commit may have been removed, so that no newer one would be seen. */
const reloadMs = 15 * 60_000

export interface FollowedTableOptions {
  readonly moment: TableMoment
  /** The log is not read again within this time after the last look, in milliseconds. */
  readonly freshMs: number
  readonly clock: Clock
}

/** The newest version of a table, read from its log once and then commit by commit; or the version of a moment. */
export class FollowedTable {
  readonly storage: DeltaStorage
  readonly schemas = new FileSchemas()
  readonly #options: FollowedTableOptions
  readonly #queue = new SerialQueue()
  #state: TableState | undefined
  #contents: TableContents | undefined
  #facts: { readonly column: string; readonly files: readonly FileFacts[] } | undefined
  #loadedAtMs = Number.NEGATIVE_INFINITY
  #readAtMs = Number.NEGATIVE_INFINITY

  constructor(storage: DeltaStorage, options: FollowedTableOptions) {
    this.storage = storage
    this.#options = options
  }

  /**
   * @returns undefined when there is no table yet
   * @throws TABLE_VERSION_UNAVAILABLE naming the table's readable versions
   */
  contents(): Promise<TableContents | undefined> {
    return this.#queue.run(async () => {
      const { moment, freshMs, clock } = this.#options
      if (moment.version !== undefined || moment.timestampMs !== undefined) {
        this.#contents ??= await withEngine((engine) => readMoment(engine, this.storage, moment))
        return this.#contents
      }
      const nowMs = clock.now()
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
        this.schemas.keepOnly(this.#contents?.files ?? [])
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
      const files = contents.files.map((file) => fileFacts(file, column))
      this.#facts = { column, files }
    }
    return this.#facts.files
  }
}

async function readMoment(
  engine: EmbeddedEngine,
  storage: DeltaStorage,
  { version, timestampMs }: TableMoment,
): Promise<TableContents | undefined> {
  if (timestampMs === undefined) return readTable(storage, engine, version)
  const then = await versionAt(storage, timestampMs)
  return then === undefined ? undefined : readTable(storage, engine, then)
}
