import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import type { LandedOffsets } from '../../landed-offsets.ts'
import type { Span } from '../../records.ts'
import type { Column } from '../../tables/table.ts'
import type { EmbeddedEngine } from '../duckdb.ts'
import type { CommitReceipt, EncodedBatch, TableCommitter } from '../table-committer.ts'
import type { DeltaCommit } from './delta-action.ts'
import type { DeltaStorage } from './delta-storage.ts'
import { DeltaTable } from './delta-table.ts'
import { appIdOf, landedOffsets } from './offset-transactions.ts'
import { type ReplaceReceipt, replaceRange } from './range-replacement.ts'

export interface DeltaCommitterOptions {
  /** Names this pipeline's offsets in the table; two pipelines of one table must differ. Without `/`. */
  readonly pipeline: string
  readonly storage: DeltaStorage
  /** Reads checkpoints, and rewrites files for `replace`. */
  readonly engine: EmbeddedEngine
  /** Every column of the table, the partition columns included. */
  readonly columns: readonly Column[]
  readonly partitionColumns: readonly string[]
  /** Stored in a table that is created. */
  readonly tableName: string
  /** Where rewritten files and checkpoints are staged before they move into the table. Must exist. */
  readonly stagingDirectory: string
  readonly clock: Clock
  /** Uniform in [0, 1), for pauses between attempts. Default Math.random. */
  readonly random?: () => number
  /** Hears of a checkpoint that could not be written; the table is whole without it. */
  readonly onCheckpointFailed?: (error: unknown) => void
}

/**
 * Lands batches in a Delta table by writing its log.
 *
 * One commit holds a batch's files and, per blob generation, a `txn` action whose version is the new offset.
 * The table is therefore the only thing that has to survive.
 */
export class DeltaCommitter implements TableCommitter {
  readonly location: string
  readonly #options: DeltaCommitterOptions
  readonly #table: DeltaTable
  #landed: { version: number; readonly offsets: LandedOffsets } | undefined
  /** The end of the last operation: they share one table state and must not overlap. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: DeltaCommitterOptions) {
    this.#options = options
    this.#table = new DeltaTable({ random: Math.random, ...options })
    this.location = options.storage.location
  }

  /** The newest version that is known here. */
  get tableVersion(): number {
    return this.#table.state.version
  }

  async open(): Promise<void> {
    await this.#exclusively(() => this.#table.open())
  }

  landed(): LandedOffsets {
    const { version } = this.#table.state
    if (this.#landed?.version !== version) {
      this.#landed = { version, offsets: landedOffsets(this.#table.state, this.#options.pipeline) }
    }
    return this.#landed.offsets
  }

  async land(spans: readonly Span[], encoded: EncodedBatch): Promise<CommitReceipt> {
    return this.#exclusively(async () => {
      for (const span of spans) this.#checkOffset(span)
      const files = this.#table.place(encoded.files)
      const lastUpdated = this.#options.clock.now()
      const offsets = spans.map((span) => ({
        txn: { appId: this.#appId(span), version: span.end, lastUpdated },
      }))
      const appIds = new Set(offsets.map(({ txn }) => txn.appId))
      const tableVersion = await this.#table.commit(files, {
        info: {
          operation: 'STREAMING UPDATE',
          operationParameters: { outputMode: 'Append' },
          isBlindAppend: true,
          operationMetrics: { numAddedFiles: String(files.length), numOutputRows: String(encoded.rows) },
        },
        actions: [...offsets, ...files.map(({ add }) => ({ add }))],
        check: (winner) => {
          this.#table.checkRules()
          checkFence(winner, appIds)
        },
      })
      this.#noteLanded(spans, tableVersion)
      return { tableVersion }
    })
  }

  async replace(span: Span, encoded: readonly EncodedBatch[]): Promise<ReplaceReceipt> {
    return this.#exclusively(() => replaceRange(this.#table, span, encoded, this.#options))
  }

  async releaseCaches(): Promise<void> {
    await this.#exclusively(async () => this.#table.state.dropFiles())
  }

  async close(): Promise<void> {
    await this.#queue
    await this.#table.settle()
  }

  /** A table of many blobs is not gone through after each commit: only commits of others make that necessary. */
  #noteLanded(spans: readonly Span[], tableVersion: number): void {
    if (this.#landed?.version !== tableVersion - 1) return
    for (const { blob, generation, end } of spans) this.#landed.offsets.set({ blob, generation, offset: end })
    this.#landed.version = tableVersion
  }

  #appId(span: Span): string {
    return appIdOf(this.#options.pipeline, span)
  }

  #checkOffset(span: Span): void {
    const { transactions, version } = this.#table.state
    const appId = this.#appId(span)
    const known = transactions.get(appId)
    if (known !== undefined && Number(known.version) !== span.start) throw fenced(appId, version)
  }

  #exclusively<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(operation)
    this.#queue = result.catch(() => {})
    return result
  }
}

function checkFence({ actions, version }: DeltaCommit, appIds: ReadonlySet<string>): void {
  for (const action of actions) {
    if ('txn' in action && appIds.has(action.txn.appId)) throw fenced(action.txn.appId, version)
  }
}

function fenced(appId: string, version: number): TailraceError {
  return new TailraceError(
    'COMMIT_FENCED',
    `The table's offset of ${appId} is not the one this batch starts from.`,
    {
      context: { appId, version },
    },
  )
}
