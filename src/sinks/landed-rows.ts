import type { LandedOffset } from '../offsets/landed-offsets.ts'
import type { BlobGeneration } from '../records.ts'
import type { TakeRows } from './encoding/row-stream.ts'

/** SQL of a relation, and the values of its parameters if it has any. */
export interface BoundRelation {
  readonly sql: string
  readonly parameters?: Readonly<Record<string, string>> | undefined
}

/** Queries the rows of one table, in SQL that both DuckDB and Databricks understand. */
export interface RowsEngine {
  /** The table as SQL. */
  readonly relation: string
  /** @returns a relation `ends(id, blob, generation, end_offset)` of these values */
  ends(generations: readonly LandedOffset[]): BoundRelation
  query(
    sql: string,
    parameters?: Readonly<Record<string, string>>,
  ): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Passes the rows of a statement to `take` while it runs. */
  stream(sql: string, take: TakeRows): Promise<void>
}

/** Number of rows of one blob generation. */
export interface RowCount extends BlobGeneration {
  readonly rows: number
  readonly rejected: number
}

/** How the rows of one blob generation cover its bytes. */
export interface RowPlaces {
  readonly rows: number
  /** Bytes covered by rows. */
  readonly rowBytes: number
  /** Rows whose byte range overlaps another row's. */
  readonly overlappingRows: number
  /** Byte ranges before the committed offset without a row. */
  readonly gaps: readonly { readonly start: number; readonly end: number }[]
}

/**
 * Where the check of a generation begins: at its blob's start, at its first row, or at its first row of a day after
 * `firstDay`. Rows of earlier days were deleted on purpose, and around midnight the rows of two days are mixed.
 */
export type CheckedFrom = 'start' | 'first-row' | RetainedDays

/** The days whose rows were not deleted on purpose. */
export interface RetainedDays {
  /** The column with a row's day. */
  readonly column: string
  /** In UTC, as `2026-08-31`. */
  readonly firstDay: string
}

/** Columns shown of a rejected or partial row. */
export const flawedColumns = [
  'source_blob',
  'source_generation',
  'source_offset',
  'source_length',
  'source_index',
  'parse_status',
  'parse_error',
  'raw',
] as const

/** Queries of commands about the rows of one table. */
export class LandedRows {
  readonly #engine: RowsEngine

  constructor(engine: RowsEngine) {
    this.#engine = engine
  }

  /** @param isWanted whether a blob's rows are counted: a table may have rows of millions of blobs. Default: all */
  async counts(isWanted: (blob: string) => boolean = () => true): Promise<readonly RowCount[]> {
    const counts: RowCount[] = []
    const sql = `SELECT source_blob, source_generation, count(*) AS row_count,
        count(CASE WHEN parse_status = 'rejected' THEN 1 END) AS rejected_count
      FROM ${this.#engine.relation} GROUP BY source_blob, source_generation`
    await this.#engine.stream(sql, async ({ rows }) => {
      for (const [blob, generation, count, rejected] of rows) {
        if (!isWanted(String(blob))) continue
        counts.push({
          blob: String(blob),
          generation: String(generation),
          rows: Number(count),
          rejected: Number(rejected),
        })
      }
      return true
    })
    return counts
  }

  /**
   * Checks how rows cover the bytes of the given generations. @returns one result per generation, in their order
   *
   * @param from where the check of each of them begins
   */
  async places(generations: readonly LandedOffset[], from: CheckedFrom): Promise<readonly RowPlaces[]> {
    const ends = this.#engine.ends(generations)
    const isDated = typeof from === 'object'
    const first = from === 'start' ? '0' : isDated ? 'start_offset' : 'first_byte'
    const isLater = isDated
      ? `, max(CASE WHEN ${from.column} > DATE '${from.firstDay}' THEN 1 ELSE 0 END) AS is_later`
      : ''
    const tiles = isDated
      ? 'SELECT id, first_byte, length, is_later FROM places UNION ALL SELECT id, end_offset, 0, 1 FROM ends'
      : 'SELECT id, first_byte, length FROM places UNION ALL SELECT id, end_offset, 0 FROM ends'
    // Only of a table with deleted days: it is one more pass over the places of all rows.
    const checked = isDated
      ? `SELECT * FROM (
          SELECT *, coalesce(min(CASE WHEN is_later = 1 THEN first_byte END) OVER (PARTITION BY id), first_byte) AS start_offset
          FROM (${tiles}) AS all_tiles) AS dated_tiles
        WHERE first_byte >= start_offset`
      : tiles
    // Rows may be newer than the offsets: those that a run landed in between start at or after the offset and are left out.
    // Records of one document have the same offset and different indexes; their bytes count once.
    const found = await this.#engine.query(
      `WITH ends AS (SELECT * FROM ${ends.sql}),
      places AS (
        SELECT id, source_offset AS first_byte, max(source_length) AS length, count(*) AS n,
          count(DISTINCT source_index) AS indexes${isLater}
        FROM ${this.#engine.relation} JOIN ends
          ON source_blob = ends.blob AND source_generation = ends.generation AND source_offset < end_offset
        GROUP BY id, source_offset),
      breaks AS (
        SELECT id, first_byte, coalesce(lag(first_byte + length) OVER (PARTITION BY id ORDER BY first_byte),
            ${first}) AS previous_end
        FROM (${checked}) AS tiles)
      SELECT 'gap' AS kind, id, previous_end AS a, first_byte AS b, 0 AS c FROM breaks WHERE first_byte <> previous_end
      UNION ALL
      SELECT 'sum', id, CAST(sum(n) AS BIGINT), CAST(sum(length) AS BIGINT), CAST(sum(n - indexes) AS BIGINT)
      FROM places GROUP BY id
      ORDER BY kind, id, a`,
      ends.parameters,
    )
    const none = { rows: 0, rowBytes: 0, overlappingRows: 0 }
    const sums = new Map<number, typeof none>()
    const breaks = new Map<number, { start: number; end: number }[]>()
    for (const { kind, id, a, b, c } of found) {
      const key = Number(id)
      if (kind === 'sum') {
        sums.set(key, { rows: Number(a), rowBytes: Number(b), overlappingRows: Number(c) })
        continue
      }
      const before = breaks.get(key) ?? []
      breaks.set(key, before)
      before.push({ start: Number(a), end: Number(b) })
    }
    return generations.map((_landed, id) => {
      const sum = sums.get(id) ?? none
      const all = breaks.get(id) ?? []
      const gaps = all.filter(({ start, end }) => start < end)
      return { ...sum, overlappingRows: sum.overlappingRows + all.length - gaps.length, gaps }
    })
  }

  /** Passes the newest rejected and partial rows to `take`, with `flawedColumns` as text. */
  async flawed(maxRows: number, take: TakeRows): Promise<void> {
    await this.#engine.stream(
      `SELECT ${flawedColumns.map((column) => `CAST(${column} AS STRING) AS ${column}`).join(', ')}
      FROM ${this.#engine.relation} AS landed WHERE parse_status <> 'ok'
      ORDER BY landed.ingest_ts DESC, landed.source_offset DESC, landed.source_index DESC LIMIT ${maxRows}`,
      take,
    )
  }
}
