import { isTailraceError, TailraceError } from '../../../errors.ts'
import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { PinnedTable } from '../../../offsets/offset-file-writer.ts'
import { type BlobGeneration, type GenerationMark, generationKey } from '../../../records.ts'
import { qualifiedName, quoteText } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import { WorkspaceCatalog } from '../tables/catalog.ts'
import { compareByBytes } from '../tables/live-table.ts'
import type { ParameterValue, StatementRow, Warehouse } from '../warehouse/warehouse.ts'
import { anchorSql, beginOffsetsSql, createOffsetsSql, type SpanRow, spanRow } from './transaction-sql.ts'

/** Columns of text that statements compare. */
const comparedColumns = ['target', 'source_blob', 'source_generation']

/** An offset as the table has it, and who moved it last. */
export interface StoredOffset extends LandedOffset {
  readonly epoch: number
  readonly runId: string
  readonly batchId: string
  readonly mark: GenerationMark | undefined
}

/** The content of the offsets table for one target. */
export interface StoredOffsets {
  /** Whether the table is the authority for the pipeline's offsets. */
  readonly isAuthority: boolean
  readonly offsets: readonly StoredOffset[]
  /** The table that the last start of the pipeline has landed in; undefined where no start has said it. */
  readonly pinned: PinnedTable | undefined
  /** How long ago the table has become the authority for the pipeline, in milliseconds; undefined where it is not. */
  readonly begunAgoMs: number | undefined
}

/** The process that lands, as the offsets table names it. */
export interface OffsetOwner {
  readonly epoch: number
  readonly runId: string
}

/**
 * The table `tailrace_offsets` in the schema of the target: a row per blob generation, and one per pipeline, which is
 * there as long as the table is the authority for the pipeline's offsets.
 */
export class OffsetsTable {
  readonly name: TableName
  readonly #warehouse: Warehouse
  readonly #target: string
  readonly #pipeline: string

  constructor(warehouse: Warehouse, table: TableName, pipeline: string) {
    this.name = { ...table, table: 'tailrace_offsets' }
    this.#warehouse = warehouse
    this.#target = Object.values(table).join('.').toLowerCase()
    this.#pipeline = pipeline
  }

  /** The parameters that all statements have. */
  get parameters(): { readonly target: string; readonly pipeline: string } {
    return { target: this.#target, pipeline: this.#pipeline }
  }

  async exists(): Promise<boolean> {
    return new WorkspaceCatalog(this.#warehouse).hasTable(this.name)
  }

  /**
   * Creates the table if it is missing. One that an earlier release created in a schema with another collation is altered.
   *
   * @throws TABLE_UNSUPPORTED when it cannot be altered
   */
  async create(): Promise<void> {
    if (await compareByBytes(this.#warehouse, this.name, comparedColumns)) return
    await this.#warehouse.execute({
      label: 'create the offsets table',
      sql: createOffsetsSql(this.name),
      repeatable: true,
    })
  }

  /** @returns undefined when there is no offsets table, or none that the principal can see */
  async readIfThere(): Promise<StoredOffsets | undefined> {
    return (await this.exists()) ? this.read() : undefined
  }

  /** Reads all offsets of the target; the table must exist. */
  async read(): Promise<StoredOffsets> {
    const rows = await this.#warehouse.execute({
      label: 'read the offsets',
      sql: `SELECT source_blob, source_generation, landed_to, mark, epoch, run_id, batch_id, CAST(committed_at AS STRING) AS committed_at, CAST(current_timestamp() AS STRING) AS read_at FROM ${qualifiedName(this.name)} WHERE target = :target`,
      parameters: { target: this.#target },
      repeatable: true,
    })
    const own = rows.find((row) => row.source_blob === '' && row.source_generation === this.#pipeline)
    return {
      isAuthority: own !== undefined,
      pinned: pinnedTable(own?.mark),
      // Both by the warehouse's clock.
      begunAgoMs: own === undefined ? undefined : instantOf(own.read_at) - instantOf(own.committed_at),
      offsets: rows.filter((row) => row.source_blob !== '').map(storedOffset),
    }
  }

  /**
   * Checks that the table has each known offset, or a later one. Transactions only move offsets forward, so somebody has
   * restored the table or changed rows of it otherwise, and the rows beyond its offsets would be landed again.
   *
   * @param known offsets that the table has had
   * @throws OFFSETS_SET_BACK
   */
  requireNotSetBack(known: Iterable<LandedOffset>, { isAuthority, offsets }: StoredOffsets): void {
    if (!isAuthority) return
    const stored = new Map(offsets.map((one) => [generationKey(one), one.offset]))
    let first: string | undefined
    let blobs = 0
    for (const landed of known) {
      const found = stored.get(generationKey(landed)) ?? 0
      if (found >= landed.offset) continue
      blobs += 1
      first ??= `found ${found} for ${generationKey(landed)}, expected at least ${landed.offset}`
    }
    if (first === undefined) return
    const name = qualifiedName(this.name)
    throw new TailraceError(
      'OFFSETS_SET_BACK',
      `The offsets table ${name} was restored or changed by somebody: ${first}${blobs > 1 ? `, and earlier offsets for ${blobs - 1} more` : ''}. Restore its newest version. Or stop all pipelines of the table, run DELETE FROM ${name} WHERE target = ${quoteText(this.#target)}, and remove their offset files: the next start takes the offsets from the rows.`,
      { context: { blobs } },
    )
  }

  /**
   * Makes the table the authority for the pipeline, with the offsets known so far, in one transaction. Offsets that the
   * table has stay as they are.
   *
   * @throws TransactionsRefused when the warehouse or the table has no transactions
   */
  async begin(
    offsets: readonly LandedOffset[],
    markOf: (source: BlobGeneration) => GenerationMark | undefined,
    { epoch, runId }: OffsetOwner,
  ): Promise<void> {
    const spans = offsets.map(({ offset, ...source }) =>
      spanRow({ ...source, start: offset, end: offset }, false, markText(markOf(source))),
    )
    await this.#warehouse.execute({
      label: 'anchor the offsets',
      sql: anchorSql(this.name),
      repeatable: true,
    })
    try {
      await this.#warehouse.execute({
        label: 'begin the offsets',
        sql: beginOffsetsSql(this.name),
        parameters: {
          ...this.parameters,
          ...batchParameters(spans, { epoch, runId }, ''),
        },
        repeatable: true,
      })
    } catch (error) {
      throw isRefusal(error) ? new TransactionsRefused(error) : error
    }
  }

  /**
   * Says which table the offsets belong to, and the newest version of it that a run has seen. The offset file says so, too,
   * but the offsets outlive the state directory, and another table may get the name of theirs.
   */
  async pin({ id, version }: PinnedTable): Promise<void> {
    await this.#warehouse.execute({
      label: 'pin the table',
      sql: `UPDATE ${qualifiedName(this.name)} SET mark = :pinned WHERE target = :target AND source_blob = '' AND source_generation = :pipeline`,
      parameters: { ...this.parameters, pinned: JSON.stringify({ id, version }) },
      repeatable: true,
    })
  }

  /** Removes everything about the target, of all pipelines. Only for a table that is gone. */
  async forgetTarget(): Promise<void> {
    await this.#warehouse.execute({
      label: 'forget the offsets of a table',
      sql: `DELETE FROM ${qualifiedName(this.name)} WHERE target = :target`,
      parameters: { target: this.#target },
      repeatable: true,
    })
  }

  /** Ends the table's authority for a pipeline: its offsets must be recorded elsewhere before. */
  async end(offsets: readonly LandedOffset[]): Promise<void> {
    await this.#warehouse.execute({
      label: 'hand over the offsets',
      sql: `DELETE FROM ${qualifiedName(this.name)} WHERE target = :target AND ((source_blob = '' AND source_generation = :pipeline)
  OR EXISTS (SELECT 1 FROM (SELECT inline(from_json(:spans, 'ARRAY<STRUCT<blob: STRING, generation: STRING>>'))) AS s WHERE s.blob = source_blob AND s.generation = source_generation))`,
      parameters: {
        ...this.parameters,
        spans: JSON.stringify(offsets.map(({ blob, generation }) => ({ blob, generation }))),
      },
      repeatable: true,
    })
  }
}

/** The warehouse or the table has no transactions. Caught where the mode is chosen. */
export class TransactionsRefused extends Error {
  constructor(cause: unknown) {
    super('transactions are refused', { cause })
  }
}

/** Classes for statements that a transaction does not take, by two generations of the documentation. */
const unsupported = /^(?:MULTI_STATEMENT_)?TRANSACTION_NOT_SUPPORTED/

/** @returns whether a transaction was refused for one of its statements or tables */
export function isUnsupportedInTransaction(error: unknown): error is TailraceError {
  return isTailraceError(error, 'STATEMENT_FAILED') && unsupported.test(String(error.context.errorClass))
}

/** A warehouse that does not know BEGIN ATOMIC takes it for a mistake of syntax. */
function isRefusal(error: unknown): error is TailraceError {
  if (isUnsupportedInTransaction(error)) return true
  return (
    isTailraceError(error, 'STATEMENT_FAILED') &&
    /^(?:PARSE_SYNTAX_ERROR|UNSUPPORTED_FEATURE)/.test(String(error.context.errorClass))
  )
}

/** @returns the parameters by which a transaction moves offsets */
export function batchParameters(
  spans: readonly SpanRow[],
  { epoch, runId }: OffsetOwner,
  batch: string,
): Readonly<Record<string, ParameterValue>> {
  return { spans: JSON.stringify(spans), epoch: BigInt(epoch), run: runId, batch }
}

/** @returns a mark as the table stores it; undefined without one */
export function markText(mark: GenerationMark | undefined): string | undefined {
  if (mark === undefined) return undefined
  const { createdAt, head, tail, closing } = mark
  return JSON.stringify({ createdAt, head, tail, closing })
}

function storedOffset(row: StatementRow): StoredOffset {
  const source = { blob: String(row.source_blob), generation: String(row.source_generation) }
  return {
    ...source,
    offset: Number(row.landed_to),
    epoch: Number(row.epoch ?? 0),
    runId: String(row.run_id ?? ''),
    batchId: String(row.batch_id ?? ''),
    mark: markOf(source, row.mark),
  }
}

/** A mark only helps to recognize a blob sooner, so one that cannot be read is left out. */
function markOf(source: BlobGeneration, text: unknown): GenerationMark | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const { createdAt, head, tail, closing } = JSON.parse(text)
    return typeof createdAt === 'string' ? { ...source, createdAt, head, tail, closing } : undefined
  } catch {
    return undefined
  }
}

/** An earlier release has left no pin; without one, nothing is compared. */
function pinnedTable(text: unknown): PinnedTable | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const { id, version } = JSON.parse(text)
    return typeof id === 'string'
      ? { id, version: typeof version === 'number' ? version : undefined }
      : undefined
  } catch {
    return undefined
  }
}

/** @param text a timestamp as SQL text in UTC @returns 0 for anything else */
function instantOf(text: unknown): number {
  const ms = Date.parse(`${String(text).replace(' ', 'T').replace(/\+00$/, '')}Z`)
  return Number.isNaN(ms) ? 0 : ms
}
