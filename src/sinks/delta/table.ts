import { randomUUID } from 'node:crypto'
import { TailraceError } from '../../errors.ts'
import type { Column } from '../../tables/table.ts'
import type { WrittenFile } from '../encoding/engine.ts'
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
import { checkAppendable, clusteringDomain, withOffsetsFence } from './protocol/features.ts'
import { checkSchema, SchemaPlan, schemaString } from './protocol/schema.ts'
import { type IndexedColumn, indexedColumns } from './protocol/statistics.ts'

/** How long no other writer can have committed and then cleaned its commit away: logs are kept for days. */
const trustedMs = 3_600_000

export interface DeltaTableOptions extends TableDeclaration, LogUpkeepOptions {
  /** Whether columns that the table lacks are added with the first rows that have them. Default false. */
  readonly evolve?: boolean
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/** The rules of the table that the last check found to be known, and what follows from them. */
interface CheckedRules {
  readonly protocol: ProtocolAction
  readonly metaData: MetaDataAction
  readonly clustering: DomainMetadataAction | undefined
  readonly indexed: readonly IndexedColumn[]
}

/**
 * One table that this process writes: what is known of it, and the way to change it.
 *
 * Calls share one state: they must not overlap.
 */
export class DeltaTable {
  readonly #options: DeltaTableOptions
  #state: TableState | undefined
  #checked: CheckedRules | undefined
  /** Milliseconds since the epoch: when the known version was last found to be the newest. */
  #newestAtMs = Number.NEGATIVE_INFINITY
  readonly #upkeep: LogUpkeep
  /** Whether others committed between the last two commits of this process: they will again. */
  #hasCompany = false

  constructor(options: DeltaTableOptions) {
    this.#options = options
    this.#upkeep = new LogUpkeep(options)
  }

  /** The newest version that is known here; move it with `refresh`. */
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
    const { storage, engine } = this.#options
    await storage.prepare()
    this.#state = await loadState(storage, engine, { keepFiles: false })
    if (this.#state === undefined) {
      await createTable(this.#options, this.#options)
      // Read what is there: another process may have created it at the same time.
      await this.#reload({ keepFiles: false })
    }
    this.#noteNewest()
    this.checkRules()
  }

  /**
   * Opens the table again where others went on and may have cleaned the log behind them, which only takes a request
   * after an hour without a commit.
   *
   * The version after the known one is free then, as it is at the end of the log: a commit would be created there,
   * where no reader comes by. It must come before what a commit is decided by, because the commits in between are gone
   * and cannot be checked one by one.
   */
  async catchUp(): Promise<void> {
    if (this.#options.clock.now() - this.#newestAtMs <= trustedMs) return
    if (await this.#isLeftBehind()) {
      await this.#reload({ keepFiles: this.state.files !== undefined })
      this.checkRules()
    }
    this.#noteNewest()
  }

  /** Reads what others committed since. */
  async refresh(): Promise<void> {
    await this.catchUp()
    await readNewCommits(this.#options.storage, this.state)
    this.#noteNewest()
    this.checkRules()
  }

  /** The newest state with its live files, which an append does without. */
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
   * Checks that rows can be appended, whenever protocol or schema are not those of the last check.
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

  /** @returns what has to be added to the schema before rows of the declaration can be read. */
  planSchema(): SchemaPlan {
    return new SchemaPlan(this.state.metaData, this.#options.columns)
  }

  /** Decides on the places of written files, with the statistics that the table, or the schema to be, asks for. */
  place(files: readonly WrittenFile[], metaData = this.state.metaData): PlacedFile[] {
    const { partitionColumns, clock } = this.#options
    const indexed = this.#checked?.metaData === metaData ? this.#checked.indexed : indexedColumns(metaData)
    return files.flatMap((file) => placeFile(file, partitionColumns, indexed, clock.now()) ?? [])
  }

  /**
   * Moves files into the table and commits. They are durable before the log names them, and are back where
   * they were staged when the commit fails; after COMMIT_UNKNOWN they stay in the table, which may name them.
   *
   * @returns the version
   */
  async commit(files: readonly PlacedFile[], request: CommitRequest): Promise<number> {
    const { storage } = this.#options
    this.checkRules()
    await moveIn(storage, files)
    const before = this.state.version
    try {
      const version = await commit(this.state, request, { ...this.#options, readFirst: this.#hasCompany })
      this.#hasCompany = version > before + 1
      this.#noteNewest()
      this.#upkeep.start(this.state)
      return version
    } catch (error) {
      if (!mayBeVisible(error)) await moveOut(storage, files)
      throw error
    }
  }

  /** Waits for work that goes on after a commit. */
  async settle(): Promise<void> {
    await this.#upkeep.settle()
  }

  #noteNewest(): void {
    this.#newestAtMs = this.#options.clock.now()
  }

  /**
   * A cleanup removes the oldest commits first, but several at a time: the known version may outlive the one after it.
   * The checkpoint that allows a cleanup is there long before.
   */
  async #isLeftBehind(): Promise<boolean> {
    const { storage } = this.#options
    const { version } = this.state
    if (((await hintedVersion(storage)) ?? -1) > version) return true
    return (await storage.read(commitPath(version))) === undefined
  }

  async #reload(options: { readonly keepFiles: boolean }): Promise<void> {
    const state = await loadState(this.#options.storage, this.#options.engine, options)
    if (state === undefined) throw new TailraceError('TABLE_CORRUPT', 'The log of the table is gone.')
    this.#state = state
  }
}

/** What a new table is made of. */
export interface TableDeclaration {
  readonly columns: readonly Column[]
  readonly partitionColumns: readonly string[]
  readonly tableName: string
}

/** Commits between checkpoints: the most an opening replays, against the cost of writing all live files. */
const checkpointInterval = '20'

/** Creates version 0, unless another writer just did. */
export async function createTable(table: TableDeclaration, context: CommitContext): Promise<void> {
  const { columns, partitionColumns, tableName } = table
  const request = {
    info: { operation: 'CREATE TABLE', operationParameters: {}, isBlindAppend: true },
    actions: [
      // The lowest versions that have every type used here: all readers know them.
      { protocol: { minReaderVersion: 1, minWriterVersion: 2 } },
      {
        metaData: {
          id: randomUUID(),
          name: tableName,
          format: { provider: 'parquet', options: {} },
          schemaString: schemaString(columns),
          partitionColumns,
          // No `delta.setTransactionRetentionDuration`: with it, another writer's checkpoint drops the offsets of
          // blobs that are finished, and a listing that still finds such a blob would land it again.
          configuration: withOffsetsFence({ 'delta.checkpointInterval': checkpointInterval }),
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

/** A signal within this file. */
class TableExists extends Error {}
