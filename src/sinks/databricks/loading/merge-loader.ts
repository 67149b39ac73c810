import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { Span } from '../../../records.ts'
import { qualifiedName, quoteName, quoteText } from '../../../tables/spark-sql.ts'
import type { Column, TableDeclaration } from '../../../tables/table.ts'
import { type EmbeddedEngine, parquetSql, sqlIdentifier } from '../../encoding/engine.ts'
import type { EncodedBatch } from '../../table-committer.ts'
import { databricksTypes } from '../tables/definition.ts'
import { keyColumns } from '../tables/key-columns.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import type { RangeRows } from './range-rows.ts'
import type { RowLoader, Settlement } from './row-loader.ts'

/** Bytes of JSON rows in one statement. The limit of a parameter's length is not documented; 1 MiB works. */
const maxRowsBytes = 1024 * 1024

export interface MergeLoaderOptions {
  readonly warehouse: Warehouse
  readonly declaration: TableDeclaration
  readonly rows: RangeRows
  /** Creates the table or checks its schema. */
  readonly ensureTable: () => Promise<void>
  /** Reads the encoded files. */
  readonly engine: EmbeddedEngine
}

/** Rows for one statement, as the texts of JSON objects. */
interface RowChunk {
  /** The offset of the first row in its blob. */
  readonly offset: number
  readonly rows: readonly string[]
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
    await this.#inChunks(encoded, 'anywhere', async ({ rows }) => {
      added += await this.#add(rows)
    })
    // Rows were there already after a lost reply, or the warehouse did not add all rows. Counting them decides.
    if (added !== encoded.rows) await this.#options.rows.require(spans, encoded.rows)
  }

  /** Each statement replaces a part of the range atomically, so after a crash the replay can be repeated. */
  async replace(span: Span, encoded: readonly EncodedBatch[]): Promise<number> {
    const parts = encoded.filter(({ rows }) => rows > 0)
    if (parts.length === 0) return this.#options.rows.remove(span, noIngestTimes)
    let from = span.start
    let removed = 0
    for (const [index, part] of parts.entries()) {
      const next = parts[index + 1]
      const end = next === undefined ? span.end : firstOffset(next)
      let waiting: readonly string[] = []
      const replaceUpTo = async (to: number): Promise<void> => {
        removed += await this.#replacePart({ ...span, start: from, end: to }, waiting)
        from = to
      }
      await this.#inChunks(part, 'between-offsets', async ({ offset, rows }) => {
        // The part of a chunk ends where the next one begins.
        if (waiting.length > 0) await replaceUpTo(offset)
        waiting = rows
      })
      await replaceUpTo(end)
    }
    return removed
  }

  async #add(rows: readonly string[]): Promise<number> {
    const [result] = await this.#options.warehouse.execute({
      label: 'merge rows',
      sql: mergeSql(this.#options.declaration),
      parameters: { rows: jsonArray(rows) },
      repeatable: true,
    })
    return Number(result?.num_inserted_rows ?? 0)
  }

  async #replacePart(part: Span, rows: readonly string[]): Promise<number> {
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
   * Reads a batch's rows and passes them on in chunks of at most `maxRowsBytes` of JSON; a larger row is a chunk of its own.
   * One chunk is in memory at a time.
   *
   * @param where `between-offsets` goes in the order of offsets and keeps rows with the same offset, which come from one
   * document, in one chunk, because `replace` deletes by offset
   */
  async #inChunks(
    { files }: EncodedBatch,
    where: 'anywhere' | 'between-offsets',
    send: (chunk: RowChunk) => Promise<void>,
  ): Promise<void> {
    const { engine, declaration } = this.#options
    const { columns } = declaration
    const paths = files.map(({ path }) => path)
    if (paths.length === 0) return
    let open: { readonly offset: number; readonly rows: string[] } | undefined
    let bytes = 0
    let previous: number | undefined
    const seal = async (): Promise<void> => {
      const sealed = open
      open = undefined
      bytes = 0
      if (sealed !== undefined) await send(sealed)
    }
    // The columns of the file, not their texts of the same names. Sorting long rows takes memory, and adding needs no order.
    const order = where === 'anywhere' ? '' : ` ORDER BY ${keyColumns.map((key) => `f.${key}`).join(', ')}`
    const sql = `SELECT source_offset, ${columns.map(selectedText).join(', ')} FROM ${parquetSql(paths)} AS f${order}`
    await engine.rolledBack(() =>
      engine.stream(sql, async ({ rows }) => {
        for (const [place, ...values] of rows) {
          const offset = Number(place)
          const row = jsonObject(columns, values)
          const size = Buffer.byteLength(row) + 1
          const mayCut = where === 'anywhere' || previous !== offset
          if (bytes + size > maxRowsBytes && mayCut) await seal()
          open ??= { offset, rows: [] }
          open.rows.push(row)
          bytes += size
          previous = offset
        }
        return true
      }),
    )
    await seal()
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

/** Formats values that JSON has no type for as text: timestamps with microseconds, integers to their last digit. */
function selectedText({ name, type }: Column): string {
  const column = sqlIdentifier(name)
  if (type === 'timestamp')
    return `strftime(timezone('UTC', ${column}), '%Y-%m-%dT%H:%M:%S.%fZ') AS ${column}`
  return type === 'date' || type === 'long' ? `${column}::VARCHAR AS ${column}` : column
}

/** Leaves out columns that are NULL, which are about half of a row's. */
function jsonObject(columns: readonly Column[], values: readonly unknown[]): string {
  const members = columns.flatMap(({ name, type }, index) => {
    const value = values[index]
    if (value === null || value === undefined) return []
    const isBare =
      type === 'long' ||
      (typeof value === 'number' && Number.isFinite(value)) ||
      value === true ||
      value === false
    return [`${JSON.stringify(name)}:${isBare ? value : JSON.stringify(String(value))}`]
  })
  return `{${members.join(',')}}`
}

function jsonArray(rows: readonly string[]): string {
  return `[${rows.join(',')}]`
}

/** @returns the smallest source offset of a batch's rows, from its files' statistics */
function firstOffset({ files }: EncodedBatch): number {
  return Math.min(...files.map(({ columns }) => Number(columns.get('source_offset')?.min)))
}
