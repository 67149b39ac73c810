import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import { type LandedOffset, LandedOffsets } from '../../offsets/landed-offsets.ts'
import type { Span } from '../../records.ts'
import { SerialQueue } from '../../serial-queue.ts'
import type { Column } from '../../tables/table.ts'
import { requireOffsets } from '../commit-fence.ts'
import type { EmbeddedEngine } from '../encoding/engine.ts'
import type { CommitReceipt, EncodedBatch, TableCommitter } from '../table-committer.ts'
import { type ReplaceReceipt, replaceRange } from './files/replace.ts'
import { appIdOf, type DoubledRange, type Transactions } from './offsets.ts'
import type { TransactionAction } from './protocol/actions.ts'
import { SchemaPlan } from './protocol/schema.ts'
import { provenanceOffsets } from './provenance-offsets.ts'
import { raiseOffsetsFence } from './raise-offsets-fence.ts'
import type { DeltaStorage } from './storage/delta-storage.ts'
import { DeltaTable } from './table.ts'

/** How often a batch is prepared again because another writer changed the schema meanwhile. */
const maxPlans = 10

export interface DeltaCommitterOptions {
  readonly storage: DeltaStorage
  /** Reads checkpoints, and rewrites files for `replace`. */
  readonly engine: EmbeddedEngine
  /** Every column of the table, the partition columns included. */
  readonly columns: readonly Column[]
  readonly partitionColumns: readonly string[]
  /** Whether columns that the table lacks are added with the first rows that have them. Default false. */
  readonly evolve?: boolean
  /** Stored in a table that is created. */
  readonly tableName: string
  /** Where rewritten files and checkpoints are staged before they move into the table. Must exist. */
  readonly stagingDirectory: string
  readonly clock: Clock
  /** Uniform in [0, 1), for pauses between attempts. Default Math.random. */
  readonly random?: () => number
  /** Hears of a checkpoint that could not be written; the table is whole without it. */
  readonly onCheckpointFailed?: (error: unknown) => void
  /** Which blobs are this pipeline's to land, by `source_blob`. Default all. */
  readonly landsBlob?: (blob: string) => boolean
  /** Called when the table had lost this pipeline's offsets and its rows told those of `count` blob generations. */
  readonly onOffsetsRecovered?: (count: number) => void
  /** Called when a table of a former release holds ranges that several pipelines landed, each for itself. */
  readonly onDoubled?: (ranges: readonly DoubledRange[]) => void
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
  /** This pipeline's part of the table's offsets, which follows the state that it was made from. */
  #landed: { readonly transactions: Transactions; readonly offsets: LandedOffsets } | undefined
  /** The operations share one table state and must not overlap. */
  #queue = new SerialQueue()

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
    await this.#queue.run(async () => {
      await this.#table.open()
      if (await raiseOffsetsFence(this.#table)) this.#reportDoubled()
      await this.#recoverOffsets()
    })
  }

  async refresh(): Promise<void> {
    await this.#queue.run(() => this.#table.catchUp())
  }

  landed(): LandedOffsets {
    const { transactions } = this.#table.state
    if (this.#landed?.transactions !== transactions) {
      const { landsBlob = () => true } = this.#options
      const offsets = new LandedOffsets()
      const set = (landed: LandedOffset): void => {
        if (landsBlob(landed.blob)) offsets.set(landed)
      }
      for (const landed of transactions.landed) set(landed)
      transactions.listen(set)
      this.#landed = { transactions, offsets }
    }
    return this.#landed.offsets
  }

  async land(spans: readonly Span[], encoded: EncodedBatch): Promise<CommitReceipt> {
    return this.#queue.run(async () => {
      await this.#table.catchUp()
      for (let plan = 1; plan <= maxPlans; plan += 1) {
        try {
          const tableVersion = await this.#append(spans, encoded)
          return { tableVersion }
        } catch (error) {
          if (!(error instanceof SchemaMoved)) throw error
        }
      }
      throw new TailraceError('COMMIT_CONTENDED', 'Other commits kept changing the schema of the table.', {
        context: { attempts: maxPlans },
      })
    })
  }

  /** @throws SchemaMoved when the batch has to be prepared for another schema; nothing is visible then */
  async #append(spans: readonly Span[], encoded: EncodedBatch): Promise<number> {
    this.#requireOffsets(spans)
    const hasRows = encoded.files.length > 0
    const schema = hasRows ? this.#table.planSchema() : new SchemaPlan(this.#table.state.metaData, [])
    const files = this.#table.place(encoded.files, schema.metaData)
    const offsets = this.#transactions(spans.map(({ end, ...source }) => ({ ...source, offset: end })))
    return this.#table.commit(files, {
      info: {
        operation: 'STREAMING UPDATE',
        operationParameters: { outputMode: 'Append' },
        isBlindAppend: true,
        operationMetrics: { numAddedFiles: String(files.length), numOutputRows: String(encoded.rows) },
      },
      actions: [...offsets, ...schema.actions, ...files.map(({ add }) => ({ add }))],
      check: (_winner, { metaData }) => {
        this.#table.checkRules()
        this.#requireOffsets(spans)
        if (schema.isOutdatedBy(metaData)) throw new SchemaMoved()
      },
    })
  }

  /**
   * A table that another engine copied or overwrote has rows and no offsets: landing from the start would double
   * them. Their own places tell how far they go.
   */
  async #recoverOffsets(): Promise<void> {
    const { landsBlob = () => true, onOffsetsRecovered = () => {} } = this.#options
    if (this.landed().blobCount > 0) return
    const found = (await provenanceOffsets(this.#table, this.#options)).filter(({ blob }) => landsBlob(blob))
    if (found.length === 0) return
    try {
      await this.#table.commit([], {
        info: {
          operation: 'STREAMING UPDATE',
          operationParameters: { outputMode: 'Append', recoveredOffsets: String(found.length) },
          isBlindAppend: false,
          operationMetrics: { numAddedFiles: '0', numOutputRows: '0' },
        },
        actions: this.#transactions(found),
        check: () => {
          this.#table.checkRules()
          if (this.landed().blobCount > 0) throw new OffsetsThere()
        },
      })
    } catch (error) {
      if (error instanceof OffsetsThere) return
      throw error
    }
    onOffsetsRecovered(found.length)
  }

  #reportDoubled(): void {
    const doubled = this.#table.state.transactions.doubled()
    if (doubled.length > 0) this.#options.onDoubled?.(doubled)
  }

  #transactions(landed: readonly LandedOffset[]): { readonly txn: TransactionAction }[] {
    const lastUpdated = this.#options.clock.now()
    return landed.map((one) => ({
      txn: { appId: appIdOf(one), version: one.offset, lastUpdated },
    }))
  }

  async replace(span: Span, encoded: readonly EncodedBatch[]): Promise<ReplaceReceipt> {
    return this.#queue.run(() => replaceRange(this.#table, span, encoded, this.#options))
  }

  async releaseCaches(): Promise<void> {
    await this.#queue.run(async () => this.#table.state.dropFiles())
  }

  async close(): Promise<void> {
    await this.#queue.idle()
    await this.#table.settle()
  }

  /** Of all blobs, also of those that another pipeline is to land. */
  #requireOffsets(spans: readonly Span[]): void {
    const { landed } = this.#table.state.transactions
    requireOffsets(spans, (source) => landed.get(source))
  }
}

/** Says that another writer's schema came first: never leaves this file. */
class SchemaMoved extends Error {}

/** Another process recovered the offsets first: never leaves this file. */
class OffsetsThere extends Error {}
