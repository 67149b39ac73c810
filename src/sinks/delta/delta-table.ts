import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import type { WrittenFile } from '../duckdb.ts'
import { type CheckpointContext, dueCheckpoint, writeCheckpoint } from './checkpoint-writer.ts'
import { type CommitRequest, commit, mayBeVisible } from './commit-loop.ts'
import type { MetaDataAction, ProtocolAction } from './delta-action.ts'
import { checkAppendable } from './feature-gate.ts'
import { moveIn, moveOut, type PlacedFile, placeFile } from './file-placement.ts'
import { type IndexedColumn, indexedColumns } from './file-statistics.ts'
import { createTable, type TableDeclaration } from './table-creation.ts'
import { loadState, readNewCommits } from './table-log.ts'
import { checkSchema } from './table-schema.ts'
import type { TableState } from './table-state.ts'

export interface DeltaTableOptions extends TableDeclaration, CheckpointContext {
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Hears of a checkpoint that could not be written; the table is whole without it. */
  readonly onCheckpointFailed?: ((error: unknown) => void) | undefined
}

/** The rules of the table that the last check found to be known, and what follows from them. */
interface CheckedRules {
  readonly protocol: ProtocolAction
  readonly metaData: MetaDataAction
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
  #checkpointing: Promise<void> | undefined
  #checkpointTried = -1

  constructor(options: DeltaTableOptions) {
    this.#options = options
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
    this.checkRules()
  }

  /** Reads what others committed since. */
  async refresh(): Promise<void> {
    await readNewCommits(this.#options.storage, this.state)
    this.checkRules()
  }

  /** The newest state with its live files, which an append does without. */
  async refreshWithFiles(): Promise<TableState> {
    if (this.state.files !== undefined) {
      await this.refresh()
    } else {
      await this.#reload({ keepFiles: true })
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
    const { protocol, metaData } = this.state
    if (this.#checked?.protocol === protocol && this.#checked.metaData === metaData) return
    checkAppendable(protocol, metaData)
    checkSchema(metaData, this.#options.columns, this.#options.partitionColumns)
    this.#checked = { protocol, metaData, indexed: indexedColumns(metaData) }
  }

  /** Decides on the places of written files. */
  place(files: readonly WrittenFile[]): PlacedFile[] {
    const { partitionColumns, clock } = this.#options
    const indexed = this.#checked?.indexed ?? []
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
    try {
      const version = await commit(this.state, request, this.#options)
      this.#checkpointIfDue()
      return version
    } catch (error) {
      if (!mayBeVisible(error)) await moveOut(storage, files)
      throw error
    }
  }

  /** Waits for work that goes on after a commit. */
  async settle(): Promise<void> {
    await this.#checkpointing
  }

  /** Checkpoints follow the commit that makes them due, which does not wait for them. */
  #checkpointIfDue(): void {
    if (this.#checkpointing !== undefined) return
    const { state } = this
    const plan = dueCheckpoint(state, this.#checkpointTried)
    if (plan === undefined) return
    this.#checkpointTried = plan.version
    this.#checkpointing = writeCheckpoint(plan, this.#options, this.#options.clock.now())
      .then(
        () => state.noteCheckpoint(plan.version),
        (error) => this.#options.onCheckpointFailed?.(error),
      )
      .finally(() => {
        this.#checkpointing = undefined
      })
  }

  async #reload(options: { readonly keepFiles: boolean }): Promise<void> {
    const state = await loadState(this.#options.storage, this.#options.engine, options)
    if (state === undefined) throw new TailraceError('TABLE_CORRUPT', 'The log of the table is gone.')
    this.#state = state
  }
}
