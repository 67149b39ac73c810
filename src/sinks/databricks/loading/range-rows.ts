import { TailraceError } from '../../../errors.ts'
import type { LandedOffset } from '../../../offsets/landed-offsets.ts'
import type { Replacement } from '../../../offsets/load-intent.ts'
import type { BlobGeneration, Span } from '../../../records.ts'
import { qualifiedName } from '../../../tables/spark-sql.ts'
import type { TableName } from '../../../tables/table.ts'
import type { WrittenFile } from '../../encoding/engine.ts'
import type { ParameterValue, Warehouse } from '../warehouse/warehouse.ts'

/** Each range needs four parameters, of the 256 that a statement may have. */
export const maxRangesPerStatement = 50

/** Ranges in one JSON text, of about a MiB. */
export const maxRangesInText = 4_000

/** First and last encoding time of a replay's new rows, as SQL text in UTC. */
export type IngestTimes = Pick<Replacement, 'ingestedFrom' | 'ingestedTo'>

/** Reads the encoding times of new rows from the files' statistics; the current time when there are no rows. */
export function ingestTimes(files: readonly WrittenFile[], nowMs: number): IngestTimes {
  const now = new Date(nowMs).toISOString().replace('T', ' ').slice(0, -1)
  const bounds = files.map(({ columns }) => columns.get('ingest_ts'))
  // `2026-11-24 08:47:00.123+00`
  const inUtc = (text: string | undefined): string => (text ?? now).replace(/\+00$/, '')
  const first = bounds.map((bound) => inUtc(bound?.min)).sort()[0] ?? now
  const last =
    bounds
      .map((bound) => inUtc(bound?.max))
      .sort()
      .at(-1) ?? now
  return { ingestedFrom: first, ingestedTo: last }
}

/** What a table has of a range before its rows are replaced. */
export interface RowsBefore {
  /** The last `ingest_ts` of its rows, except those of the replay itself, as SQL text; null without any. */
  readonly newest: string | null
  /** Whether two rows have the same place. */
  readonly hasDoubles: boolean
}

/** Counts and removes the rows of blob ranges, by their source columns. */
export class RangeRows {
  readonly #warehouse: Warehouse
  readonly #table: string

  constructor(warehouse: Warehouse, name: TableName) {
    this.#warehouse = warehouse
    this.#table = qualifiedName(name)
  }

  /** @returns the total number of rows that the table has of the ranges */
  async count(spans: readonly Span[]): Promise<number> {
    if (spans.length > maxRangesPerStatement) return this.#countMany(spans)
    if (spans.length === 0) return 0
    const { condition, parameters } = withinRanges(spans)
    const [found] = await this.#warehouse.execute({
      label: 'count the rows of ranges',
      sql: `SELECT count(*) AS row_count FROM ${this.#table} WHERE ${condition}`,
      parameters,
      repeatable: true,
    })
    return Number(found?.row_count ?? 0)
  }

  /** @throws LOAD_UNCLEAR when the table has another number of rows of the ranges after a load */
  async require(spans: readonly Span[], rows: number): Promise<void> {
    const found = await this.count(spans)
    if (found === rows) return
    throw new TailraceError(
      'LOAD_UNCLEAR',
      `After a load the table has a wrong number of rows: expected ${rows}, found ${found}${rangesOf(spans)}.`,
      { context: { rows, found } },
    )
  }

  /** Many ranges travel as one JSON text, which no statistics of files can be compared with. */
  async #countMany(spans: readonly Span[]): Promise<number> {
    let rows = 0
    for (let from = 0; from < spans.length; from += maxRangesInText) {
      const ranges = spans.slice(from, from + maxRangesInText).map(({ blob, generation, start, end }) => ({
        blob,
        generation,
        start_offset: start,
        end_offset: end,
      }))
      const [found] = await this.#warehouse.execute({
        label: 'count the rows of ranges',
        sql: `SELECT count(*) AS row_count FROM ${this.#table} AS t JOIN (SELECT inline(from_json(:ranges, 'ARRAY<STRUCT<blob: STRING, generation: STRING, start_offset: BIGINT, end_offset: BIGINT>>'))) AS r
ON t.source_blob = r.blob AND t.source_generation = r.generation AND t.source_offset >= r.start_offset AND t.source_offset < r.end_offset`,
        parameters: { ranges: JSON.stringify(ranges) },
        repeatable: true,
      })
      rows += Number(found?.row_count ?? 0)
    }
    return rows
  }

  /** Reads what the table has of a range. */
  async before(span: Span, { ingestedFrom, ingestedTo }: IngestTimes): Promise<RowsBefore> {
    const { condition, parameters } = withinRanges([span])
    const [found] = await this.#warehouse.execute({
      label: 'find the newest row of a range, and doubles',
      sql: `SELECT CAST(max(newest) AS STRING) AS newest, max(places) AS most FROM (
  SELECT max(CASE WHEN ${isOther} THEN ingest_ts END) AS newest, count(*) AS places
  FROM ${this.#table} WHERE ${condition} GROUP BY source_offset, source_index)`,
      parameters: { ...parameters, ingestedFrom, ingestedTo },
      repeatable: true,
    })
    return { newest: textOf(found?.newest), hasDoubles: Number(found?.most ?? 0) > 1 }
  }

  /**
   * Removes the rows of a range, except those encoded by the replay itself. A removal by a killed process, or one whose
   * reply was lost, may be executed late, after the new rows were loaded. Rows that were encoded later than all that were
   * there before the removal was sent stay, because another replay may have loaded them by then.
   *
   * @returns the number of rows that the last attempt removed
   */
  async remove(span: Span, { ingestedFrom, ingestedTo }: IngestTimes): Promise<number> {
    const { condition, parameters } = withinRanges([span])
    const values = { ...parameters, ingestedFrom, ingestedTo }
    const [found] = await this.#warehouse.execute({
      label: 'find the newest row of a range',
      // As a text, which keeps the microseconds.
      sql: `SELECT CAST(max(ingest_ts) AS STRING) AS newest FROM ${this.#table} WHERE ${condition} AND (${isOther})`,
      parameters: values,
      repeatable: true,
    })
    const newest = textOf(found?.newest)
    const [result] = await this.#warehouse.execute({
      label: 'remove the rows of a range',
      sql: `DELETE FROM ${this.#table} WHERE ${condition} AND (ingest_ts IS NULL
  OR (ingest_ts <= CAST(:newest AS TIMESTAMP) AND (${isOther})))`,
      parameters: { ...values, newest },
      repeatable: true,
    })
    return Number(result?.num_affected_rows ?? 0)
  }

  /** Removes all rows of ranges. */
  async removeAll(spans: readonly Span[]): Promise<void> {
    for (let from = 0; from < spans.length; from += maxRangesPerStatement) {
      const { condition, parameters } = withinRanges(spans.slice(from, from + maxRangesPerStatement))
      await this.#warehouse.execute({
        label: 'remove the rows of ranges',
        sql: `DELETE FROM ${this.#table} WHERE ${condition}`,
        parameters,
        repeatable: true,
      })
    }
  }

  /** Computes the end of the last row of each blob generation. Reads the whole table. */
  async ends(): Promise<readonly LandedOffset[]> {
    return this.#ends('', {})
  }

  /** Computes the end of the last row of some blob generations; those without rows are left out. */
  async endsOf(sources: readonly BlobGeneration[]): Promise<readonly LandedOffset[]> {
    const ends: LandedOffset[] = []
    for (let from = 0; from < sources.length; from += maxRangesPerStatement) {
      const { condition, parameters } = ofGenerations(sources.slice(from, from + maxRangesPerStatement))
      for (const end of await this.#ends(` WHERE ${condition}`, parameters)) ends.push(end)
    }
    return ends
  }

  async #ends(
    where: string,
    parameters: Readonly<Record<string, ParameterValue>>,
  ): Promise<readonly LandedOffset[]> {
    const rows = await this.#warehouse.execute({
      label: 'find the landed offsets in the rows',
      sql: `SELECT source_blob, source_generation, max(source_offset + source_length) AS landed_to
FROM ${this.#table}${where} GROUP BY source_blob, source_generation`,
      parameters,
      repeatable: true,
    })
    return rows.map(({ source_blob, source_generation, landed_to }) => ({
      blob: String(source_blob),
      generation: String(source_generation),
      offset: Number(landed_to),
    }))
  }
}

/** The condition for a row that the replay itself has not encoded. */
const isOther = 'ingest_ts < CAST(:ingestedFrom AS TIMESTAMP) OR ingest_ts > CAST(:ingestedTo AS TIMESTAMP)'

/**
 * The condition for a row in ranges that was encoded after all that were there before a replay, except those of the replay
 * itself. Its parameters are those of the ranges, `:newest` of `RowsBefore`, `:ingestedFrom` and `:ingestedTo`.
 */
export function newerRows(ranges: string): string {
  return `(${ranges}) AND coalesce(ingest_ts > CAST(:newest AS TIMESTAMP), TRUE) AND (${isOther})`
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** @returns an SQL condition for rows in any of the spans, with the values as parameters, so that no blob name becomes SQL. */
export function withinRanges(spans: readonly Span[]): {
  readonly condition: string
  readonly parameters: Readonly<Record<string, ParameterValue>>
} {
  const parameters: Record<string, ParameterValue> = {}
  const conditions = spans.map(({ blob, generation, start, end }, index) => {
    parameters[`blob${index}`] = blob
    parameters[`generation${index}`] = generation
    parameters[`from${index}`] = BigInt(start)
    parameters[`to${index}`] = BigInt(end)
    return `(source_blob = :blob${index} AND source_generation = :generation${index} AND source_offset >= :from${index} AND source_offset < :to${index})`
  })
  return { condition: conditions.join(' OR '), parameters }
}

/**
 * The condition for a row that lies partly in a range and partly outside of it. Lines and gzip members never change, so
 * only a document that has grown has such rows: landed when it was shorter or longer than the range assumes.
 *
 * @param mayHaveGrown whether a row may begin before the range and end in it. To find one, all earlier rows of the
 * generation are read; a row that begins in the range is found among those that are replaced anyway.
 * @returns an SQL condition by the parameters of `withinRanges`
 */
export function crossingRanges(
  spans: readonly Span[],
  mayHaveGrown: (source: BlobGeneration) => boolean,
): string {
  const conditions = spans.map((span, index) => {
    const crossesEnd = `(source_offset >= :from${index} AND source_offset < :to${index} AND source_offset + source_length > :to${index})`
    const crossesStart = `(source_offset < :from${index} AND source_offset + source_length > :from${index})`
    const crosses = span.start > 0 && mayHaveGrown(span) ? `(${crossesEnd} OR ${crossesStart})` : crossesEnd
    return `(source_blob = :blob${index} AND source_generation = :generation${index} AND ${crosses})`
  })
  return conditions.join(' OR ')
}

function ofGenerations(sources: readonly BlobGeneration[]): {
  readonly condition: string
  readonly parameters: Readonly<Record<string, ParameterValue>>
} {
  const parameters: Record<string, ParameterValue> = {}
  const conditions = sources.map(({ blob, generation }, index) => {
    parameters[`blob${index}`] = blob
    parameters[`generation${index}`] = generation
    return `(source_blob = :blob${index} AND source_generation = :generation${index})`
  })
  return { condition: conditions.join(' OR '), parameters }
}

/** @returns the first three ranges, for an error message */
export function rangesOf(spans: readonly Span[]): string {
  const named = spans.slice(0, 3).map(({ blob, start, end }) => `${blob} from ${start} to ${end}`)
  return `, of ${named.join(', ')}${spans.length > 3 ? ` and ${spans.length - 3} more` : ''}`
}
