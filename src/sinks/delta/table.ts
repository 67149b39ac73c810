import { randomUUID } from 'node:crypto'
import { isPauseOver } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import type { Column, Evolution } from '../../tables/table.ts'
import type { WrittenFile } from '../encoding/engine.ts'
import { requireArchive } from './archive/offset-archive.ts'
import { moveIn, moveOut, type PlacedFile, placeFile } from './files/placement.ts'
import { hintedVersion } from './log/blocks.ts'
import { type CommitContext, type CommitRequest, commit, mayBeVisible } from './log/commit.ts'
import { loadState, readNewCommits } from './log/load.ts'
import { TableState } from './log/state.ts'
import { LogUpkeep, type LogUpkeepOptions } from './log/upkeep.ts'
import {
  commitPath,
  type DomainMetadataAction,
  type MetaDataAction,
  type ProtocolAction,
} from './protocol/actions.ts'
import { checkAppendable, clusteringDomain, newTableProperties } from './protocol/features.ts'
import {
  checkSchema,
  type IndexedColumn,
  indexedColumns,
  SchemaPlan,
  schemaString,
} from './protocol/schema.ts'

/** Age up to which the known version needs no check: log files are kept for days, so none can be cleaned up sooner. */
const trustedMs = 3_600_000

export interface DeltaTableOptions extends NewTable, LogUpkeepOptions {
  /** Add missing columns with the first rows that have them. Default false. */
  readonly evolve?: Evolution | undefined
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Ends the pauses between attempts to commit. */
  readonly signal?: AbortSignal | undefined
}

/** The protocol and metadata that passed the last check, and values derived from them. */
interface CheckedRules {
  readonly protocol: ProtocolAction
  readonly metaData: MetaDataAction
  readonly clustering: DomainMetadataAction | undefined
  readonly indexed: readonly IndexedColumn[]
}

/**
 * A Delta table that this process writes: its state at the newest known version, and commits to it.
 *
 * Calls share one state, so they must not overlap.
 */
export class DeltaTable {
  readonly #options: DeltaTableOptions
  #state: TableState | undefined
  #checked: CheckedRules | undefined
  /** When the known version was last confirmed to be the newest, in milliseconds since the epoch. */
  #newestAtMs = Number.NEGATIVE_INFINITY
  readonly #upkeep: LogUpkeep
  /** Whether others committed between the last two commits of this process, and so probably will again. */
  #hasOtherWriters = false

  constructor(options: DeltaTableOptions) {
    this.#options = options
    this.#upkeep = new LogUpkeep(options)
  }

  /** The state at the newest known version; `refresh` advances it. */
  get state(): TableState {
    if (this.#state === undefined) throw new Error('The table is not open.')
    return this.#state
  }

  /**
   * Opens the table, or creates it.
   *
   * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED, TABLE_CORRUPT
   */
  async open(): Promise<void> {
    await this.#options.storage.prepare()
    this.#state = await this.#load({ keepFiles: false })
    if (this.#state === undefined) {
      await createTable(this.#options, this.#options)
      // Read it back: another process may have created the table first.
      await this.#reload({ keepFiles: false })
    }
    this.#noteNewest()
    this.checkRules()
  }

  /**
   * Refreshes when other writers may have committed and then removed from storage what the known version needs: commits,
   * or files of the offset archive. After less than an hour this is impossible and costs no request.
   *
   * Without this, the version after the known one would seem to be free, as at the end of the log, and a commit would
   * be written where no reader finds it. Call it before the checks of a commit, because the removed commits can no longer be
   * checked one by one.
   */
  async catchUp(): Promise<void> {
    if (!this.#isTrusted) await this.refresh()
  }

  /** Reads other writers' new commits, or the table again when some of them may have been removed from the log. */
  async refresh(): Promise<void> {
    if (!this.#isTrusted && (await this.#isLeftBehind()))
      await this.#reload({ keepFiles: this.state.files !== undefined })
    await readNewCommits(this.#options.storage, this.state)
    this.#noteNewest()
    this.checkRules()
  }

  /** Refreshes and loads the live files, which appends do not need. @returns the state */
  async refreshWithFiles(): Promise<TableState> {
    if (this.state.files !== undefined) {
      await this.refresh()
    } else {
      await this.#reload({ keepFiles: true })
      this.#noteNewest()
      this.checkRules()
    }
    return this.state
  }

  /**
   * Checks that rows can be appended; does nothing if protocol, metadata and clustering are those of the last check.
   *
   * @throws TABLE_SCHEMA_MISMATCH, TABLE_UNSUPPORTED
   */
  checkRules(): void {
    const { protocol, metaData, domains } = this.state
    const clustering = domains.get(clusteringDomain)
    const last = this.#checked
    if (last?.protocol === protocol && last.metaData === metaData && last.clustering === clustering) return
    checkAppendable(protocol, metaData, clustering)
    checkSchema(metaData, this.#options.columns, this.#options.partitionColumns, this.#options)
    this.#checked = { protocol, metaData, clustering, indexed: indexedColumns(metaData) }
  }

  /** @returns the schema change that is needed before rows of the declaration can be added. */
  planSchema(): SchemaPlan {
    return new SchemaPlan(this.state.metaData, this.#options.columns)
  }

  /** Chooses the paths of written files and formats their statistics. @param metaData the schema after the commit */
  place(files: readonly WrittenFile[], metaData = this.state.metaData): PlacedFile[] {
    const { partitionColumns, clock } = this.#options
    const indexed = this.#checked?.metaData === metaData ? this.#checked.indexed : indexedColumns(metaData)
    return files.flatMap((file) => placeFile(file, partitionColumns, indexed, clock.now()) ?? [])
  }

  /**
   * Moves files into the table and commits. The files are durable before the log names them. After a failed commit they
   * are back where they were staged; after COMMIT_UNKNOWN they stay, because the log may name them.
   *
   * @returns the new version
   */
  async commit(files: readonly PlacedFile[], request: CommitRequest): Promise<number> {
    const { storage } = this.#options
    this.checkRules()
    await moveIn(storage, files)
    const before = this.state.version
    try {
      const version = await commit(this.state, request, {
        ...this.#options,
        readFirst: this.#hasOtherWriters,
      })
      this.#hasOtherWriters = version > before + 1
      this.#noteNewest()
      this.#upkeep.start(this.state)
      return version
    } catch (error) {
      if (!mayBeVisible(error)) await moveOut(storage, files)
      throw error
    }
  }

  /** Waits for background work started by commits. */
  async settle(): Promise<void> {
    await this.#upkeep.settle()
  }

  get #isTrusted(): boolean {
    return !isPauseOver(this.#newestAtMs, trustedMs, this.#options.clock.now())
  }

  #noteNewest(): void {
    this.#newestAtMs = this.#options.clock.now()
  }

  /**
   * Whether commits after the known version may have been removed. That the known version's commit still exists is not
   * enough: a cleanup removes several files at a time, so the next version may be gone first. But a cleanup needs a newer
   * checkpoint, which `_last_checkpoint` names.
   */
  async #isLeftBehind(): Promise<boolean> {
    const { storage } = this.#options
    const { version } = this.state
    if (((await hintedVersion(storage)) ?? -1) > version) return true
    return (await storage.read(commitPath(version))) === undefined
  }

  async #reload(options: { readonly keepFiles: boolean }): Promise<void> {
    const state = await this.#load(options)
    if (state === undefined)
      throw new TailraceError('TABLE_CORRUPT', 'The log of the table was removed while the table was in use.')
    this.#state = state
  }

  async #load(options: { readonly keepFiles: boolean }): Promise<TableState | undefined> {
    const state = await loadState(this.#options.storage, this.#options.engine, options)
    if (state !== undefined) await requireArchive(state, this.#options)
    return state
  }
}

/** Schema and name of a table to create. */
export interface NewTable {
  readonly columns: readonly Column[]
  readonly partitionColumns: readonly string[]
  readonly tableName: string
}

/** Commits between checkpoints. More make opening slower; fewer write the list of all live files more often. */
const checkpointInterval = '20'

/** Creates version 0 of a table; does nothing if another writer created it first. */
export async function createTable(table: NewTable, context: CommitContext): Promise<void> {
  const { columns, partitionColumns, tableName } = table
  const request = {
    info: { operation: 'CREATE TABLE', operationParameters: {}, isBlindAppend: true },
    actions: [
      // The lowest versions with every type used here, so that all readers can read the table.
      { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
      {
        metaData: {
          id: randomUUID(),
          name: tableName,
          format: { provider: 'parquet', options: {} },
          schemaString: schemaString(columns),
          partitionColumns,
          // Without `delta.setTransactionRetentionDuration`: with it, another writer's checkpoint would drop the offsets
          // of finished blobs, and a blob that is still listed would be landed again.
          configuration: newTableProperties({ 'delta.checkpointInterval': checkpointInterval }),
          createdTime: context.clock.now(),
        },
      },
    ],
    check: () => {
      throw new TableExists()
    },
  }
  try {
    await commit(new TableState({ keepFiles: false }), request, context)
  } catch (error) {
    if (!(error instanceof TableExists)) throw error
  }
}

/** Another writer created the table first. Caught in this file. */
class TableExists extends Error {}
