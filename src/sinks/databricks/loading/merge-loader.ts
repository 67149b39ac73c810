import { TailraceError } from '../../../errors.ts'
import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { Span } from '../../../records.ts'
import type { Column, TableDeclaration } from '../../../tables/table.ts'
import { type EmbeddedEngine, parquetSql, sqlIdentifier } from '../../encoding/engine.ts'
import type { EncodedBatch } from '../../table-committer.ts'
import { databricksTypes, qualifiedName, quoteName, quoteText } from '../tables/definition.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import { type RangeRows, rangesOf } from './range-rows.ts'
import type { RowLoader, Settlement } from './row-loader.ts'

/** Rows of one statement, as bytes of JSON. How long a parameter may be is not documented: this much is safe. */
const maxRowsBytes = 1024 * 1024

/** What tells a row from every other one. */
const keyColumns = ['source_blob', 'source_generation', 'source_offset', 'source_index'] as const

export interface MergeLoaderOptions {
  readonly warehouse: Warehouse
  readonly declaration: TableDeclaration
  readonly rows: RangeRows
  /** Creates the table, or checks it. */
  readonly ensureTable: () => Promise<void>
  /** Reads the encoded files. */
  readonly engine: EmbeddedEngine
}

/** A row as JSON, and where it begins in its blob. */
interface RowText {
  readonly offset: number
  readonly json: string
}

/** No row is encoded within it: all rows of a range are meant. */
const noIngestTimes = { ingestedFrom: '1970-01-01 00:00:00', ingestedTo: '1970-01-01 00:00:00' }

/**
 * Loads batches without a volume: rows travel as the parameter of a MERGE that adds those whose place the table does
 * not have yet. A batch can therefore be sent again, whole or cut in another way, and needs no intent.
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
    for (const rows of inPieces(await this.#rowTexts(encoded), 'anywhere')) added += await this.#add(rows)
    if (added === encoded.rows) return
    // Some were there, after a reply that was lost; or the warehouse did not take what it was sent, and says nothing.
    const found = await this.#options.rows.count(spans)
    if (found === encoded.rows) return
    throw new TailraceError(
      'LOAD_UNCLEAR',
      `Of the ${encoded.rows} rows of a batch the table holds ${found}${rangesOf(spans)}.`,
      { context: { rows: encoded.rows, found } },
    )
  }

  /**
   * Each statement replaces a part of the range in one step: after a crash in between, the replay can be repeated. One
   * batch at a time is in memory.
   */
  async replace(span: Span, encoded: readonly EncodedBatch[]): Promise<number> {
    const parts = encoded.filter(({ rows }) => rows > 0)
    if (parts.length === 0) return this.#options.rows.remove(span, noIngestTimes)
    let from = span.start
    let removed = 0
    for (const [index, part] of parts.entries()) {
      const next = parts[index + 1]
      const end = next === undefined ? span.end : firstOffset(next)
      const pieces = inPieces(await this.#rowTexts(part), 'between-lines')
      for (const [at, rows] of pieces.entries()) {
        const to = pieces[at + 1]?.[0]?.offset ?? end
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
      // The table had a row twice, and has it twice still. All are what they shall be, so that a crash in between
      // leaves rows out at worst, and the replay repeated brings them back.
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
   * Rows without the values that are NULL, half of a row's columns: a merge patch leaves them out.
   * In the order of their offsets, which of a range's rows is the order in the blob.
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

/** Adds the rows of `:rows` that the table does not have. */
export function mergeSql(declaration: Pick<TableDeclaration, 'name' | 'columns'>): string {
  return [...matching(declaration), insertion(declaration)].join('\n')
}

/** Makes the rows of a range those of `:rows`, in one step. */
export function replaceSql(declaration: Pick<TableDeclaration, 'name' | 'columns'>): string {
  const columns = declaration.columns.map((column) => quoteName(column.name))
  // Spark's grammar has the three kinds of clauses in this order alone.
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

/** JSON has no instants: they travel as text with all their microseconds. */
function packed({ name, type }: Column): string {
  const column = sqlIdentifier(name)
  if (type !== 'timestamp') return `${column} := ${column}`
  return `${column} := strftime(timezone('UTC', ${column}), '%Y-%m-%dT%H:%M:%S.%fZ')`
}

function jsonArray(rows: readonly RowText[]): string {
  return `[${rows.map(({ json }) => json).join(',')}]`
}

/** Where the rows of a batch begin, as its files' statistics say. */
function firstOffset({ files }: EncodedBatch): number {
  return Math.min(...files.map(({ columns }) => Number(columns.get('source_offset')?.min)))
}

/**
 * Cuts rows into pieces of bounded size, but for a row that is larger by itself.
 *
 * @param where rows of one offset, which a document has, can be told apart or have to stay together
 */
function inPieces(rows: readonly RowText[], where: 'anywhere' | 'between-lines'): RowText[][] {
  const pieces: RowText[][] = []
  let bytes = 0
  let previous: RowText | undefined
  for (const row of rows) {
    const size = Buffer.byteLength(row.json) + 1
    const mayCut = where === 'anywhere' || previous?.offset !== row.offset
    if (pieces.length === 0 || (bytes + size > maxRowsBytes && mayCut)) {
      pieces.push([])
      bytes = 0
    }
    pieces.at(-1)?.push(row)
    bytes += size
    previous = row
  }
  return pieces
}
