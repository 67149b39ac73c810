import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { Span } from '../../../records.ts'
import { qualifiedName, quoteName, quoteText } from '../../../tables/spark-sql.ts'
import type { Column, TableDeclaration } from '../../../tables/table.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import type { EncodedBatch } from '../../table-committer.ts'
import { databricksTypes } from '../tables/definition.ts'
import { keyColumns } from '../tables/key-columns.ts'
import { mayBeExecuted } from '../warehouse/driver-error.ts'
import type { ParameterValue, Statement, Warehouse } from '../warehouse/warehouse.ts'
import { type BlobPlace, jsonArray, type RowChunk, type RowOrder, readRowChunks } from './json-rows.ts'
import { type IngestTimes, ingestTimes, type RangeRows, type RowsBefore } from './range-rows.ts'
import type { RowLoader, Settlement } from './row-loader.ts'

/** Bytes of JSON rows in one statement. The limit of a parameter's length is not documented; 1 MiB works. */
const maxRowsBytes = 1024 * 1024

export interface MergeLoaderOptions {
  readonly warehouse: Warehouse
  readonly declaration: TableDeclaration
  readonly rows: RangeRows
  /** Creates the table or checks its schema. */
  readonly ensureTable: () => Promise<void>
  /** Waits until no COPY INTO of an earlier process can still run, which would add rows that are read again. */
  readonly outwaitLoads: () => Promise<void>
  /** Reads the encoded files. */
  readonly engine: EmbeddedEngine
  readonly nowMs: () => number
}

/**
 * Loads batches without a volume. Rows are sent as a JSON parameter of a MERGE, which adds only rows whose key columns
 * the table does not have yet. So a batch can be sent again, also divided differently, and needs no load intent.
 *
 * https://docs.databricks.com/sql/language-manual/delta-merge-into
 */
export class MergeLoader implements RowLoader {
  readonly #options: MergeLoaderOptions
  /** Whether the last statement of a batch may have been executed, although it failed. */
  #isInDoubt = false

  constructor(options: MergeLoaderOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    await this.#options.ensureTable()
    this.#isInDoubt = false
  }

  async settle(): Promise<Settlement> {
    return 'not-begun'
  }

  async add({
    spans,
    encoded,
  }: {
    readonly spans: readonly Span[]
    readonly encoded: EncodedBatch
  }): Promise<void> {
    // A row filter that somebody has set meanwhile would hide the rows, and they would be added again.
    if (this.#isInDoubt) await this.open()
    let added = 0
    await this.#inChunks(encoded, 'any', async ({ rows }) => {
      added += await this.#add(rows, { repeatable: false })
    })
    // Rows were there already after a lost reply, or the warehouse did not add all rows. Counting them decides.
    if (added !== encoded.rows) await this.#options.rows.require(spans, encoded.rows)
  }

  /**
   * Each statement replaces a part of the range atomically, so after a crash the replay can be repeated. A statement of a
   * killed replay that is executed late leaves the rows that a later replay has put there.
   */
  async replace(span: Span, encoded: readonly EncodedBatch[]): Promise<number> {
    const { rows, nowMs } = this.#options
    const files = encoded.flatMap((batch) => batch.files)
    const times = ingestTimes(files, nowMs())
    const { newest, hasDoubles } = await rows.before(span, times)
    if (hasDoubles) {
      // A MERGE would update each of the doubles and keep them. After a crash in between, rows are missing at worst, and
      // repeating the replay adds them.
      const removed = await rows.remove(span, times)
      const sent = { repeatable: true }
      for (const part of encoded) {
        await this.#inChunks(part, 'any', async (chunk) => void (await this.#add(chunk.rows, sent)))
      }
      return removed
    }
    let first: BlobPlace = { offset: span.start, index: 0 }
    let waiting: readonly string[] | undefined
    let removed = 0
    const replaceUpTo = async (end: BlobPlace): Promise<void> => {
      removed += await this.#replacePart({ span, first, end }, { newest, ...times }, waiting ?? [])
      first = end
    }
    for (const part of encoded) {
      await this.#inChunks(part, 'by-place', async (chunk) => {
        // The part of a chunk ends where the next one begins.
        if (waiting !== undefined) await replaceUpTo(chunk.first)
        waiting = chunk.rows
      })
    }
    await replaceUpTo({ offset: span.end, index: 0 })
    return removed
  }

  async #add(rows: readonly string[], { repeatable }: Pick<Statement, 'repeatable'>): Promise<number> {
    const [result] = await this.#options.warehouse
      .execute({
        label: 'merge rows',
        sql: mergeSql(this.#options.declaration),
        parameters: { rows: jsonArray(rows) },
        repeatable,
      })
      .catch((error: unknown) => {
        this.#isInDoubt ||= mayBeExecuted(error)
        throw error
      })
    return Number(result?.num_inserted_rows ?? 0)
  }

  async #replacePart(
    part: Part,
    { newest, ingestedFrom, ingestedTo }: Pick<RowsBefore, 'newest'> & IngestTimes,
    rows: readonly string[],
  ): Promise<number> {
    const { warehouse, declaration } = this.#options
    const [result] = await warehouse.execute({
      label: 'replace the rows of a range',
      sql: replaceSql(declaration),
      parameters: { ...partParameters(part), newest, ingestedFrom, ingestedTo, rows: jsonArray(rows) },
      repeatable: true,
    })
    return Number(result?.num_updated_rows ?? 0) + Number(result?.num_deleted_rows ?? 0)
  }

  async landedByRows(): Promise<readonly LandedOffset[]> {
    await this.#options.outwaitLoads()
    return this.#options.rows.ends()
  }

  async tidy(): Promise<void> {}

  async reclaim(): Promise<void> {}

  async #inChunks(
    { files }: EncodedBatch,
    order: RowOrder,
    send: (chunk: RowChunk) => Promise<void>,
  ): Promise<void> {
    const { engine, declaration } = this.#options
    const { columns } = declaration
    await readRowChunks({ engine, files, columns, order, times: 'text', maxBytes: maxRowsBytes }, send)
  }
}

/** SQL that adds those rows of the parameter `:rows` that the table does not have. */
export function mergeSql(declaration: Pick<TableDeclaration, 'name' | 'columns'>): string {
  return [...matching(declaration), insertion(declaration)].join('\n')
}

/**
 * SQL that replaces the rows of a range by those of the parameter `:rows`, in one step, except those that were encoded after
 * all that were there when the replay began.
 */
function replaceSql(declaration: Pick<TableDeclaration, 'name' | 'columns'>): string {
  const columns = declaration.columns.map((column) => quoteName(column.name))
  // Spark's grammar requires this order of the three kinds of clauses.
  return [
    ...matching(declaration),
    `WHEN MATCHED AND ${isReplaced} THEN UPDATE SET ${columns.map((column) => `t.${column} = s.${column}`).join(', ')}`,
    insertion(declaration),
    `WHEN NOT MATCHED BY SOURCE AND ${inPart} AND ${isReplaced} THEN DELETE`,
  ].join('\n')
}

function matching({ name, columns }: Pick<TableDeclaration, 'name' | 'columns'>): readonly string[] {
  return [
    `MERGE INTO ${qualifiedName(name)} AS t`,
    `USING (SELECT inline(from_json(:rows, ${quoteText(rowsType(columns))}))) AS s`,
    `ON ${keyColumns.map((key) => `t.${quoteName(key)} = s.${quoteName(key)}`).join(' AND ')}`,
  ]
}

function insertion({ columns }: Pick<TableDeclaration, 'columns'>): string {
  const list = columns.map((column) => quoteName(column.name))
  return `WHEN NOT MATCHED THEN INSERT (${list.join(', ')}) VALUES (${list.map((column) => `s.${column}`).join(', ')})`
}

function rowsType(columns: readonly Column[]): string {
  const fields = columns.map(({ name, type }) => `${quoteName(name)}: ${databricksTypes[type]}`)
  return `ARRAY<STRUCT<${fields.join(', ')}>>`
}

/** A part of a range whose rows one statement replaces: the records of one document may be in several. */
interface Part {
  readonly span: Span
  readonly first: BlobPlace
  /** The place behind the last row. */
  readonly end: BlobPlace
}

/** The condition for a row in a part, whose bounds are parameters. */
const inPart = [
  't.source_blob = :blob AND t.source_generation = :generation',
  't.source_offset >= :from AND (t.source_offset > :from OR t.source_index >= :fromIndex)',
  't.source_offset <= :to AND (t.source_offset < :to OR t.source_index < :toIndex)',
].join(' AND ')

/** The condition for a row that was there when the replay began, or that is one of its own. */
const isReplaced = `(t.ingest_ts IS NULL OR t.ingest_ts <= CAST(:newest AS TIMESTAMP)
  OR (t.ingest_ts >= CAST(:ingestedFrom AS TIMESTAMP) AND t.ingest_ts <= CAST(:ingestedTo AS TIMESTAMP)))`

function partParameters({ span, first, end }: Part): Readonly<Record<string, ParameterValue>> {
  return {
    blob: span.blob,
    generation: span.generation,
    from: BigInt(first.offset),
    fromIndex: BigInt(first.index),
    to: BigInt(end.offset),
    toIndex: BigInt(end.index),
  }
}
