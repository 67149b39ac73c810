import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { Span } from '../../../records.ts'
import { qualifiedName, quoteName, quoteText } from '../../../tables/spark-sql.ts'
import type { Column, TableDeclaration } from '../../../tables/table.ts'
import { type EmbeddedEngine, parquetSql, sqlIdentifier } from '../../encoding/engine.ts'
import type { EncodedBatch } from '../../table-committer.ts'
import { databricksTypes } from '../tables/definition.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import type { RangeRows } from './range-rows.ts'
import type { RowLoader, Settlement } from './row-loader.ts'

/** Bytes of JSON rows in one statement. The limit of a parameter's length is not documented; 1 MiB works. */
const maxRowsBytes = 1024 * 1024

/** Columns that identify a row. */
export const keyColumns = ['source_blob', 'source_generation', 'source_offset', 'source_index'] as const

export interface MergeLoaderOptions {
  readonly warehouse: Warehouse
  readonly declaration: TableDeclaration
  readonly rows: RangeRows
  /** Creates the table or checks its schema. */
  readonly ensureTable: () => Promise<void>
  /** Reads the encoded files. */
  readonly engine: EmbeddedEngine
}

/** A row as JSON, and its offset in the blob. */
interface RowText {
  readonly offset: number
  readonly json: string
}

/** An empty time range, so that `RangeRows.remove` spares no row. */
const noIngestTimes = { ingestedFrom: '1970-01-01 00:00:00', ingestedTo: '1970-01-01 00:00:00' }

/**
 * Loads batches without a volume. Rows are sent as a JSON parameter of a MERGE, which adds only rows whose key columns
 * the table does not have yet. So a batch can be sent again, also divided differently, and needs no load intent.
 *
 * https://docs.databricks.com/sql/language-manual/delta-merge-into
 */
export class MergeLoader implements RowLoader {
  readonly #options: MergeLoaderOptions

  constructor(options: MergeLoaderOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    await this.#options.ensureTable()
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
    let added = 0
    for (const rows of inChunks(await this.#rowTexts(encoded), 'anywhere')) added += await this.#add(rows)
    // Rows were there already after a lost reply, or the warehouse did not add all rows. Counting them decides.
    if (added !== encoded.rows) await this.#options.rows.require(spans, encoded.rows)
  }

  /**
   * Each statement replaces a part of the range atomically, so after a crash the replay can be repeated. Only one batch
   * is in memory at a time.
   */
  async replace(span: Span, encoded: readonly EncodedBatch[]): Promise<number> {
    const parts = encoded.filter(({ rows }) => rows > 0)
    if (parts.length === 0) return this.#options.rows.remove(span, noIngestTimes)
    let from = span.start
    let removed = 0
    for (const [index, part] of parts.entries()) {
      const next = parts[index + 1]
      const end = next === undefined ? span.end : firstOffset(next)
      const chunks = inChunks(await this.#rowTexts(part), 'between-offsets')
      for (const [at, rows] of chunks.entries()) {
        const to = chunks[at + 1]?.[0]?.offset ?? end
        removed += await this.#replacePart({ ...span, start: from, end: to }, rows)
        from = to
      }
    }
    return removed
  }

  async #add(rows: readonly RowText[]): Promise<number> {
    const [result] = await this.#options.warehouse.execute({
      label: 'merge rows',
      sql: mergeSql(this.#options.declaration),
      parameters: { rows: jsonArray(rows) },
      repeatable: true,
    })
    return Number(result?.num_inserted_rows ?? 0)
  }

  async #replacePart(part: Span, rows: readonly RowText[]): Promise<number> {
    const { blob, generation, start, end } = part
    const [result] = await this.#options.warehouse.execute({
      label: 'replace the rows of a range',
      sql: replaceSql(this.#options.declaration),
      parameters: { rows: jsonArray(rows), blob, generation, from: BigInt(start), to: BigInt(end) },
      repeatable: true,
    })
    const updated = Number(result?.num_updated_rows ?? 0)
    if (updated > rows.length) {
      // The table had duplicates of a row, which the MERGE has updated but kept. Remove the whole range and add it again.
      // After a crash in between, rows are missing at worst, and repeating the replay adds them.
      await this.#options.rows.remove(part, noIngestTimes)
      await this.#add(rows)
    }
    return updated + Number(result?.num_deleted_rows ?? 0)
  }

  async landedByRows(): Promise<readonly LandedOffset[]> {
    return this.#options.rows.ends()
  }

  async tidy(): Promise<void> {}

  async reclaim(): Promise<void> {}

  /**
   * Reads a batch's rows as JSON, ordered by the key columns. `json_merge_patch` drops NULL values, which are about half
   * of a row's columns.
   */
  async #rowTexts({ files }: EncodedBatch): Promise<RowText[]> {
    const { engine, declaration } = this.#options
    const paths = files.map(({ path }) => path)
    if (paths.length === 0) return []
    const found = await engine.rows(`SELECT source_offset::VARCHAR AS place,
      json_merge_patch('{}', to_json(struct_pack(${declaration.columns.map(packed).join(', ')})))::VARCHAR AS json
      FROM ${parquetSql(paths)} ORDER BY ${keyColumns.join(', ')}`)
    return found.map(({ place, json }) => ({ offset: Number(place), json: String(json) }))
  }
}

/** SQL that adds those rows of the parameter `:rows` that the table does not have. */
export function mergeSql(declaration: Pick<TableDeclaration, 'name' | 'columns'>): string {
  return [...matching(declaration), insertion(declaration)].join('\n')
}

/** SQL that replaces the rows of a range by those of the parameter `:rows`, in one step. */
function replaceSql(declaration: Pick<TableDeclaration, 'name' | 'columns'>): string {
  const columns = declaration.columns.map((column) => quoteName(column.name))
  // Spark's grammar requires this order of the three kinds of clauses.
  return [
    ...matching(declaration),
    `WHEN MATCHED THEN UPDATE SET ${columns.map((column) => `t.${column} = s.${column}`).join(', ')}`,
    insertion(declaration),
    'WHEN NOT MATCHED BY SOURCE AND t.source_blob = :blob AND t.source_generation = :generation AND t.source_offset >= :from AND t.source_offset < :to THEN DELETE',
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

/** Formats timestamps as text with microseconds, because JSON has no type for them. */
function packed({ name, type }: Column): string {
  const column = sqlIdentifier(name)
  if (type !== 'timestamp') return `${column} := ${column}`
  return `${column} := strftime(timezone('UTC', ${column}), '%Y-%m-%dT%H:%M:%S.%fZ')`
}

function jsonArray(rows: readonly RowText[]): string {
  return `[${rows.map(({ json }) => json).join(',')}]`
}

/** @returns the smallest source offset of a batch's rows, from its files' statistics */
function firstOffset({ files }: EncodedBatch): number {
  return Math.min(...files.map(({ columns }) => Number(columns.get('source_offset')?.min)))
}

/**
 * Divides rows into chunks of at most `maxRowsBytes`; a larger row is a chunk of its own.
 *
 * @param where `between-offsets` keeps rows with the same offset, which come from one document, in one chunk, because
 * `replace` deletes by offset
 */
function inChunks(rows: readonly RowText[], where: 'anywhere' | 'between-offsets'): RowText[][] {
  const chunks: RowText[][] = []
  let bytes = 0
  let previous: RowText | undefined
  for (const row of rows) {
    const size = Buffer.byteLength(row.json) + 1
    const mayCut = where === 'anywhere' || previous?.offset !== row.offset
    if (chunks.length === 0 || (bytes + size > maxRowsBytes && mayCut)) {
      chunks.push([])
      bytes = 0
    }
    chunks.at(-1)?.push(row)
    bytes += size
    previous = row
  }
  return chunks
}
