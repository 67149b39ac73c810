import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../clock.ts'
import { isTailraceError, TailraceError } from '../../../errors.ts'
import { type LandedOffset, LandedOffsets } from '../../../offsets/landed-offsets.ts'
import { SerialQueue } from '../../../offsets/serial-queue.ts'
import { type BlobGeneration, type GenerationMark, generationKey, type Span } from '../../../records.ts'
import type { TableDeclaration } from '../../../tables/table.ts'
import { CommitFencedError, type FencedSpan, requireOffsets } from '../../commit-fence.ts'
import type {
  CommitReceipt,
  EncodedBatch,
  TableCommitter,
  UnitsReceipt,
  WrittenUnit,
} from '../../table-committer.ts'
import { BackgroundWork } from '../background-work.ts'
import {
  copyIntoSql,
  insertFilesSql,
  isMissingStagedFile,
  maxFilesPerStatement,
} from '../loading/copy-into.ts'
import { landUnitGroups } from '../loading/land-unit-groups.ts'
import { maxRangesInText, type RangeRows } from '../loading/range-rows.ts'
import type { UnitGroup, UnitLimits } from '../loading/row-loader.ts'
import { withStagedFiles } from '../loading/staged-attempts.ts'
import type { BatchFiles, StagedBatch } from '../staging/batch-files.ts'
import { folderOf, lastPartOf, type StagedFiles } from '../staging/staged-files.ts'
import type { UnitFiles } from '../staging/unit-files.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import {
  batchParameters,
  isUnsupportedInTransaction,
  markText,
  type OffsetsTable,
  type StoredOffset,
} from './offsets-table.ts'
import {
  fencedState,
  handedOverState,
  landSql,
  overtakenState,
  replaceRangeSql,
  spanRow,
} from './transaction-sql.ts'
import type { Turns } from './turns.ts'

export interface TransactionCommitterOptions {
  /** Host and table, for logs. */
  readonly location: string
  readonly warehouse: Warehouse
  readonly declaration: TableDeclaration
  readonly offsets: OffsetsTable
  /** The transactions of this process on the offsets table, of all pipelines. */
  readonly turns: Turns
  readonly rows: RangeRows
  readonly files: BatchFiles
  readonly stagedFiles: StagedFiles
  readonly unitFiles: UnitFiles
  /** Offsets of the pipeline's blobs that the offsets table has had, by the copy in the offset file. */
  readonly copiedOffsets: Iterable<LandedOffset>
  /** Offsets for a pipeline that lands by transactions for the first time. */
  readonly earlierOffsets: () => Promise<readonly LandedOffset[]>
  /** How long a statement of another mode may run on, after the pipeline has begun to land by transactions, in milliseconds. */
  readonly maxOrphanMs: number
  /** Whether this pipeline lands a blob, by `source_blob`. */
  readonly landsBlob: (blob: string) => boolean
  /** How a generation is recognized, stored with its offset. */
  readonly markOf: (source: BlobGeneration) => GenerationMark | undefined
  /** Called for each mark that the offsets table has when it is opened. */
  readonly onMark: (mark: GenerationMark) => void
  readonly clock: Clock
  /** Closes the connections. */
  readonly close: () => Promise<void>
}

/** One transaction takes as many files as a COPY INTO, which may read them, and the offsets as one text. */
const unitLimits: UnitLimits = {
  maxFiles: maxFilesPerStatement,
  maxRanges: maxRangesInText,
  isOneStatement: false,
}

/** Attempts of one landing whose staged files are missing, or that is refused in one of its forms. */
const maxAttempts = 4

/**
 * Lands batches by transactions: one statement adds a batch's rows and moves its offsets in the offsets table, unless
 * another process has moved one. The tables alone have to survive a crash, so no intent is recorded, and whether a batch
 * whose reply is lost has landed is read off the offsets.
 *
 * Each process has an epoch, one higher than the highest in the table, and a blob that a higher one has landed is fenced
 * off from a lower one. `refresh` takes a new epoch.
 */
export class TransactionCommitter implements TableCommitter {
  readonly location: string
  readonly tableVersion = undefined
  readonly #options: TransactionCommitterOptions
  readonly #runId = randomUUID()
  readonly #offsets = new LandedOffsets()
  #epoch = 1
  /** Until then a statement of another mode may add rows beyond the offsets, in milliseconds since the epoch. */
  #replacesUntilMs = 0
  /** How staged files are read: pages of the documentation contradict each other about both. */
  #reads: 'read-files' | 'copy-into' = 'read-files'
  /** One transaction at a time. */
  #queue = new SerialQueue()
  readonly #background: BackgroundWork

  constructor(options: TransactionCommitterOptions) {
    this.location = options.location
    this.#options = options
    this.#background = new BackgroundWork(options.clock)
  }

  /**
   * @throws TransactionsRefused when the warehouse or the table has no transactions; nothing is changed then
   * @throws OFFSETS_SET_BACK
   */
  async open(): Promise<void> {
    await this.#queue.run(async () => {
      const { offsets, copiedOffsets, onMark, clock, maxOrphanMs } = this.#options
      const stored = await offsets.read()
      offsets.requireNotSetBack(copiedOffsets, stored)
      this.#epoch = nextEpoch(stored.offsets)
      if (!stored.isAuthority) await this.#begin()
      this.#replacesUntilMs = clock.now() - (stored.begunAgoMs ?? 0) + maxOrphanMs
      for (const { mark } of await this.#read()) if (mark !== undefined) onMark(mark)
    })
  }

  async #begin(): Promise<void> {
    const { offsets, earlierOffsets, markOf } = this.#options
    let earlier: readonly LandedOffset[]
    try {
      earlier = await earlierOffsets()
    } catch (error) {
      // Another process has begun meanwhile, and landed rows beyond the offset file of this one.
      if ((await offsets.read()).isAuthority) return
      throw error
    }
    await offsets.begin(earlier, markOf, { epoch: this.#epoch, runId: this.#runId })
  }

  async refresh(): Promise<void> {
    await this.#queue.run(async () => {
      this.#epoch = Math.max(this.#epoch, nextEpoch(await this.#read()))
    })
  }

  landed(): LandedOffsets {
    return this.#offsets
  }

  async land(spans: readonly Span[], encoded: EncodedBatch): Promise<CommitReceipt> {
    return this.#queue.run(async () => {
      requireOffsets(spans, (source) => this.#offsets.get(source))
      await this.#attempts(encoded, (batch) => this.#landOnce(spans, batch))
      this.#setOffsets(spans)
      this.#options.files.forget()
      this.#background.start(async () => {
        await this.#options.stagedFiles.removeExpired()
        await this.#options.unitFiles.removeExpired()
      })
      return {}
    })
  }

  async replace(
    span: Span,
    encoded: readonly EncodedBatch[],
  ): Promise<CommitReceipt & { readonly removedRows: number }> {
    return this.#queue.run(async () => {
      const removedRows = await this.#options.rows.count([span])
      const files = encoded.flatMap((batch) => batch.files)
      await this.#attempts({ files }, async (batch) => {
        const stored = (await this.#read()).find((one) => generationKey(one) === generationKey(span))
        await this.#replaceOnce(span, batch, stored?.batchId ?? '')
      })
      this.#options.files.forget()
      return { removedRows }
    })
  }

  async landUnits(units: readonly WrittenUnit[]): Promise<UnitsReceipt> {
    return this.#queue.run(() =>
      landUnitGroups(units, {
        files: this.#options.unitFiles,
        limits: unitLimits,
        refresh: async () => {
          this.#epoch = Math.max(this.#epoch, nextEpoch(await this.#read()))
        },
        offsetOf: (source) => this.#offsets.get(source),
        land: (group) => this.#landGroup(group),
        onLanded: () => this.#background.start(() => this.#options.unitFiles.removeExpired()),
      }),
    )
  }

  async #landGroup({ spans, files }: UnitGroup): Promise<boolean> {
    const paths = files.map(({ name }) => this.#options.files.pathOf(name))
    const id = randomUUID()
    try {
      await this.#inEitherWay(() => this.#landOnce(spans, { id, paths }))
    } catch (error) {
      // Of two commits of the same units, the first one removes their files.
      if (error instanceof CommitFencedError || isMissingStagedFile(error)) return false
      throw error
    }
    this.#setOffsets(spans)
    return true
  }

  async releaseCaches(): Promise<void> {
    this.#background.start(() => this.#options.stagedFiles.removeLoaded())
  }

  async close(): Promise<void> {
    await this.#queue.idle()
    await this.#background.closeAfter(this.#options.close)
  }

  #setOffsets(spans: readonly Span[]): void {
    for (const { blob, generation, end } of spans) this.#offsets.set({ blob, generation, offset: end })
  }

  async #landOnce(spans: readonly Span[], { id, paths }: StagedBatch): Promise<void> {
    const { warehouse, declaration, offsets, markOf, turns, clock } = this.#options
    const rows = spans.map((span) =>
      spanRow(span, this.#offsets.get(span) !== undefined, markText(markOf(span))),
    )
    const opensGenerations = rows.some((row) => !row.is_known)
    const replacesIn = clock.now() < this.#replacesUntilMs ? declaration.name : undefined
    try {
      await warehouse.execute({
        label: 'land a batch',
        sql: landSql(offsets.name, this.#addRows(paths), { opensGenerations, replacesIn }),
        parameters: {
          ...offsets.parameters,
          ...batchParameters(rows, { epoch: this.#epoch, runId: this.#runId }, id),
        },
        // Sent again blindly it would be fenced by itself; one read of the offsets is sooner and cheaper.
        repeatable: false,
        batch: id,
        inTurn: (attempt) => turns.take(attempt, clock),
      })
    } catch (error) {
      if (!isUnclear(error)) throw error
      await this.#settle(spans, id, error)
    }
  }

  /** Returns when a batch has landed after all. @throws CommitFencedError, or the error when it has not landed */
  async #settle(spans: readonly Span[], batch: string, error: TailraceError): Promise<void> {
    const stored = new Map((await this.#read()).map((one) => [generationKey(one), one]))
    const isLanded = (span: Span): boolean => {
      const found = stored.get(generationKey(span))
      return found?.batchId === batch && found.offset === span.end
    }
    if (spans.every(isLanded)) return
    if (stateOf(error) === handedOverState) {
      throw new TailraceError(
        'OFFSETS_HANDED_OVER',
        'The offsets table no longer has the offsets of this pipeline: another process lands it in another mode, or somebody removed them. The batch was not landed.',
        { context: { batch }, cause: error },
      )
    }
    const fenced = spans.flatMap((span) => this.#fence(span, stored.get(generationKey(span))))
    throw fenced.length > 0 ? new CommitFencedError(fenced) : error
  }

  #fence(span: Span, stored: StoredOffset | undefined): readonly FencedSpan[] {
    if (stored === undefined) return []
    const { offset: landedTo, epoch, runId } = stored
    const isOwn = epoch < this.#epoch || (epoch === this.#epoch && runId === this.#runId)
    return landedTo === span.start && isOwn ? [] : [{ span, landedTo }]
  }

  /** @param seen the batch that has landed the blob last */
  async #replaceOnce(span: Span, { id, paths }: StagedBatch, seen: string): Promise<void> {
    const { warehouse, declaration, offsets } = this.#options
    const { blob, generation, start, end } = span
    try {
      await warehouse.execute({
        label: 'replace the rows of a range',
        sql: replaceRangeSql(offsets.name, declaration.name, this.#addRows(paths, { loadsAgain: true })),
        parameters: {
          ...offsets.parameters,
          batch: id,
          seen,
          blob,
          generation,
          from: BigInt(start),
          to: BigInt(end),
        },
        // Executed twice, it leaves the same rows: the second one removes those of the first and loads their files again.
        repeatable: true,
        batch: id,
      })
    } catch (error) {
      if (stateOf(error) === overtakenState) {
        throw new TailraceError(
          'COMMIT_CONTENDED',
          `Another batch or replay of ${blob} was landed meanwhile; this replay has changed nothing.`,
          { cause: error },
        )
      }
      if (stateOf(error) !== fencedState && stateOf(error) !== handedOverState) throw error
      throw new TailraceError(
        'REPLAY_OUT_OF_RANGE',
        `The offsets table does not say that ${blob} is landed up to ${end}.`,
        { cause: error },
      )
    }
  }

  #addRows(paths: readonly string[], { loadsAgain = false } = {}): string | undefined {
    const { declaration } = this.#options
    if (paths.length === 0) return undefined
    if (this.#reads === 'read-files') return insertFilesSql(declaration, paths, { isInTransaction: true })
    const folders = new Map<string, string[]>()
    for (const path of paths) {
      const folder = folderOf(path)
      folders.set(folder, [...(folders.get(folder) ?? []), lastPartOf(path)])
    }
    return [...folders]
      .map(([folder, files]) => copyIntoSql(declaration, { folder, files, loadsAgain }))
      .join(';\n')
  }

  /** Repeats a transaction in another way when the one is refused. */
  async #inEitherWay(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!this.#landsOtherwise(error)) throw error
      await work()
    }
  }

  /** @returns whether transactions have another form now, because the one was refused */
  #landsOtherwise(error: unknown): boolean {
    if (this.#replacesUntilMs > 0 && isAppendOnly(error)) {
      this.#replacesUntilMs = 0
      return true
    }
    if (this.#reads !== 'read-files' || !isUnsupportedInTransaction(error)) return false
    this.#reads = 'copy-into'
    return true
  }

  /** Repeats `work` when staged files are gone, and in another way when the one is refused. */
  async #attempts(
    { files }: Pick<EncodedBatch, 'files'>,
    work: (batch: StagedBatch) => Promise<void>,
  ): Promise<void> {
    await withStagedFiles(this.#options.files, files, work, {
      maxAttempts,
      // A replay reads the offsets again.
      mend: (error) => isTailraceError(error, 'COMMIT_CONTENDED') || this.#landsOtherwise(error),
    })
  }

  /** Reads the offsets of the target, and keeps those of this pipeline's blobs. @throws OFFSETS_SET_BACK */
  async #read(): Promise<readonly StoredOffset[]> {
    const { offsets, landsBlob } = this.#options
    const found = await offsets.read()
    offsets.requireNotSetBack(this.#offsets, found)
    const stored = found.offsets.filter(({ blob }) => landsBlob(blob))
    for (const { blob, generation, offset } of stored) this.#offsets.set({ blob, generation, offset })
    return stored
  }
}

function nextEpoch(stored: readonly StoredOffset[]): number {
  return stored.reduce((highest, { epoch }) => Math.max(highest, epoch), 0) + 1
}

/** Whether a table takes no DELETE. */
function isAppendOnly(error: unknown): boolean {
  return (
    isTailraceError(error, 'STATEMENT_FAILED') && String(error.context.errorClass).includes('APPEND_ONLY')
  )
}

/** Whether an error leaves open if the batch has landed; the offsets then show it. */
function isUnclear(error: unknown): error is TailraceError {
  if (!isTailraceError(error)) return false
  const state = stateOf(error)
  return (
    error.context.executed === 'unknown' ||
    error.context.executed === 'yes' ||
    state === fencedState ||
    state === handedOverState
  )
}

function stateOf(error: unknown): unknown {
  return isTailraceError(error) ? error.context.sqlState : undefined
}
