import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import type { LandedOffsets } from '../../offsets/landed-offsets.ts'
import { SerialQueue } from '../../offsets/serial-queue.ts'
import { type BlobGeneration, type GenerationMark, generationKey, type Span } from '../../records.ts'
import type { Column, Evolution } from '../../tables/table.ts'
import { requireOffsets } from '../commit-fence.ts'
import type { EmbeddedEngine } from '../encoding/engine.ts'
import type {
  CommitReceipt,
  CommitterArchive,
  EncodedBatch,
  StoredFile,
  TableCommitter,
  UnitStore,
  UnitsReceipt,
  WrittenUnit,
} from '../table-committer.ts'
import type { ArchiveFiles } from './archive/archive-files.ts'
import { ParquetArchiveFiles } from './archive/parquet-archive-files.ts'
import { moveIn } from './files/placement.ts'
import { type ReplaceReceipt, replaceRange } from './files/replace.ts'
import { landUnits } from './land-units.ts'
import { type DoubledRange, generationOf, transactionsOf } from './log/offsets.ts'
import { PipelineOffsets, type UnmarkedOffsets } from './pipeline-offsets.ts'
import type { DeltaCommit } from './protocol/actions.ts'
import { SchemaPlan } from './protocol/schema.ts'
import { provenanceOffsets } from './provenance-offsets.ts'
import { raiseOffsetsFence } from './raise-offsets-fence.ts'
import type { DeltaStorage } from './storage/delta-storage.ts'
import { DeltaTable } from './table.ts'

/** Attempts to prepare a batch; each fails when another writer changes the schema. */
const maxPlans = 10

export interface DeltaCommitterOptions {
  readonly storage: DeltaStorage
  /** Reads checkpoints, and rewrites files for `replace`. */
  readonly engine: EmbeddedEngine
  /** All columns of the table, including the partition columns. */
  readonly columns: readonly Column[]
  readonly partitionColumns: readonly string[]
  /** Add missing columns with the first rows that have them. Default false. */
  readonly evolve?: Evolution | undefined
  /** Stored in a newly created table. */
  readonly tableName: string
  /** Directory where rewritten files and checkpoints are staged before they move into the table. Must exist. */
  readonly stagingDirectory: string
  readonly clock: Clock
  /** Uniform in [0, 1), for pauses between attempts. Default Math.random. */
  readonly random?: (() => number) | undefined
  /** Ends the pauses between attempts to commit. */
  readonly signal?: AbortSignal | undefined
  /** Called when a checkpoint could not be written or the log could not be cleaned; the table stays intact. */
  readonly onCheckpointFailed?: ((error: unknown) => void) | undefined
  /** Whether this pipeline lands a blob, by `source_blob`. Default: all blobs. */
  readonly landsBlob?: ((blob: string) => boolean) | undefined
  /** Called when the table had lost this pipeline's offsets and those of `count` blob generations were found in its rows. */
  readonly onOffsetsRecovered?: ((count: number) => void) | undefined
  /** The files of the table's offset archive. Default: as Parquet, read by `engine`. */
  readonly archiveFiles?: ArchiveFiles | undefined
  /** How a generation is recognized, as far as this process knows. Default: by nothing. */
  readonly markOf?: ((source: BlobGeneration) => GenerationMark | undefined) | undefined
  /** Called with how an archived generation is recognized, when its offset comes into memory. */
  readonly onRecalled?: ((mark: GenerationMark) => void) | undefined
  /** Called with a generation whose offset is in the table's archive alone from now on. */
  readonly onForgotten?: ((source: BlobGeneration) => void) | undefined
  /** Called when several pipelines of release 0.1.0 landed the same ranges. */
  readonly onDoubled?: ((ranges: readonly DoubledRange[]) => void) | undefined
}

/**
 * Lands batches in a Delta table by writing its log.
 *
 * One commit holds a batch's files and, per blob generation, a `txn` action whose version is the new offset. So the
 * table alone has to survive a crash.
 */
export class DeltaCommitter implements TableCommitter, UnitStore {
  readonly location: string
  readonly #options: DeltaCommitterOptions
  readonly #table: DeltaTable
  readonly #offsets: PipelineOffsets
  /** The operations share one table state and must not overlap. */
  #queue = new SerialQueue()

  constructor(options: DeltaCommitterOptions) {
    this.#options = options
    this.#table = new DeltaTable({ ...options, random: options.random ?? Math.random })
    const { landsBlob = () => true, archiveFiles: files = new ParquetArchiveFiles(options) } = options
    this.#offsets = new PipelineOffsets({
      ...options,
      files,
      landsBlob,
      transactions: () => this.#table.state.transactions,
      refresh: () => this.#queue.run(() => this.#table.refresh()),
    })
    this.location = options.storage.location
  }

  /** The newest known version. */
  get tableVersion(): number {
    return this.#table.state.version
  }

  async open(): Promise<void> {
    await this.#queue.run(async () => {
      await this.#table.open()
      if (await raiseOffsetsFence(this.#table)) this.#reportDoubled()
      await this.#offsets.open()
      await this.#recoverOffsets()
    })
  }

  async refresh(): Promise<void> {
    await this.#queue.run(() => this.#table.refresh())
  }

  landed(): LandedOffsets {
    return this.#offsets.landed()
  }

  /** The number of offsets in memory that have not changed for a time. */
  unchangedOffsets(unchangedMs: number): number {
    let count = 0
    const { transactions } = this.#table.state
    for (const _ of transactions.committedBefore(this.#options.clock.now() - unchangedMs)) count += 1
    return count
  }

  /** Archived offsets that stay in memory until the archive has their marks. */
  get unmarkedOffsets(): UnmarkedOffsets | undefined {
    return this.#offsets.unmarked
  }

  get archive(): CommitterArchive {
    return this.#offsets
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
      throw new TailraceError(
        'COMMIT_CONTENDED',
        `The batch was not landed: other commits changed the table's schema during all ${maxPlans} attempts.`,
        { context: { attempts: maxPlans } },
      )
    })
  }

  /** @throws SchemaMoved when the batch has to be prepared again for a changed schema; nothing is visible then */
  async #append(spans: readonly Span[], encoded: EncodedBatch): Promise<number> {
    const fence = await this.#fence(spans)
    const hasRows = encoded.files.length > 0
    const schema = hasRows ? this.#table.planSchema() : new SchemaPlan(this.#table.state.metaData, [])
    const files = this.#table.place(encoded.files, schema.metaData)
    const offsets = transactionsOf(
      spans.map(({ end, ...source }) => ({ ...source, offset: end })),
      this.#options.clock.now(),
    )
    return this.#table.commit(files, {
      info: {
        operation: 'STREAMING UPDATE',
        operationParameters: { outputMode: 'Append' },
        isBlindAppend: true,
        operationMetrics: { numAddedFiles: String(files.length), numOutputRows: String(encoded.rows) },
      },
      actions: [...offsets, ...schema.actions, ...files.map(({ add }) => ({ add }))],
      check: (winner, { metaData }) => {
        this.#table.checkRules()
        fence(winner)
        if (schema.isOutdatedBy(metaData)) throw new SchemaMoved()
      },
    })
  }

  /**
   * Restores offsets that are missing because another engine copied or overwrote the table. Landing from the start would
   * duplicate its rows; their own columns say up to where they are landed.
   */
  async #recoverOffsets(): Promise<void> {
    const { landsBlob = () => true, onOffsetsRecovered = () => {} } = this.#options
    if (this.landed().blobCount > 0 || this.#offsets.hasOwn) return
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
        actions: transactionsOf(found, this.#options.clock.now()),
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

  async replace(span: Span, encoded: readonly EncodedBatch[]): Promise<ReplaceReceipt> {
    return this.#queue.run(() => replaceRange(this.#table, span, encoded, this.#options))
  }

  async storeUnit(encoded: readonly EncodedBatch[]): Promise<readonly StoredFile[]> {
    return this.#queue.run(async () => {
      const files = encoded.flatMap((batch) => batch.files)
      const schema = files.length > 0 ? this.#table.planSchema() : undefined
      const placed = this.#table.place(files, schema?.metaData)
      await moveIn(this.#options.storage, placed)
      return placed.map(({ add }) => ({ ...add }))
    })
  }

  async landUnits(units: readonly WrittenUnit[]): Promise<UnitsReceipt> {
    return this.#queue.run(() => landUnits(this.#table, this.#offsets, units, this.#options))
  }

  async releaseCaches(): Promise<void> {
    await this.#queue.run(async () => this.#table.state.dropFiles())
  }

  async close(): Promise<void> {
    await this.#queue.idle()
    await this.#table.settle()
    await this.#offsets.close()
  }

  /**
   * Compares spans with the offsets of all blobs, including those of other pipelines.
   *
   * @returns the check of a commit that comes in between. An offset that such a commit moves into the archive stays what
   * it was, so only the commit's own offsets count.
   * @throws CommitFencedError, as the check does
   */
  async #fence(spans: readonly Span[]): Promise<(winner: DeltaCommit) => void> {
    const offsetOf = await this.#offsets.offsetsOf(spans)
    const offsets = new Map(spans.map((span) => [generationKey(span), offsetOf(span)]))
    const check = (): void => requireOffsets(spans, (span) => offsets.get(generationKey(span)))
    check()
    return ({ actions }) => {
      for (const action of actions) {
        const source = 'txn' in action ? generationOf(action.txn) : undefined
        if (source === undefined || !('txn' in action)) continue
        const key = generationKey(source)
        if (offsets.has(key)) offsets.set(key, this.landed().get(source) ?? Number(action.txn.version))
      }
      check()
    }
  }
}

/** Another writer changed the schema first. Caught in this file. */
class SchemaMoved extends Error {}

/** Another process recovered the offsets first. Caught in this file. */
class OffsetsThere extends Error {}
