import { type EmbeddedEngine, sqlIdentifier, sqlString } from '../../encoding/engine.ts'
import { keyWithin } from '../../files-within.ts'
import type { FileFacts, RowRange } from '../../query-session.ts'
import { queryViews } from './query.ts'
import { relationRowsSql, relationSql, type SetMember, viewSql } from './view-sets.ts'
import type { LakehouseView } from './views.ts'

/** Ranges whose statements are kept. */
const maxRanges = 32

/** What statements over ranges of time need, kept until rows of the range change: a screen asks many of one range. */
export class RowRanges {
  /** By range and files; the oldest comes first. */
  readonly #known = new Map<string, readonly string[]>()

  /**
   * @param filesOf the files of a pipeline's table, with facts of the range's column
   * @returns statements that leave the rows outside of a range out of the relations of the sets, for one transaction
   */
  async statements(
    engine: EmbeddedEngine,
    views: readonly LakehouseView[],
    members: readonly SetMember[],
    range: RowRange,
    filesOf: (pipeline: string) => Promise<readonly FileFacts[] | undefined>,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const files: string[] = []
    for (const { pipeline } of read(members, range))
      files.push(pipeline, keyWithin((await filesOf(pipeline)) ?? [], range.fromMs, range.toMs))
    const key = JSON.stringify([range, files])
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const found = await rangeSql(engine, views, members, range, signal)
    this.#known.set(key, found)
    const [oldest] = this.#known.keys()
    if (this.#known.size > maxRanges) this.#known.delete(oldest!)
    return found
  }
}

function read(members: readonly SetMember[], { pipelines }: RowRange): readonly SetMember[] {
  return members.filter(({ pipeline }) => pipelines?.includes(pipeline) ?? true)
}

async function rangeSql(
  engine: EmbeddedEngine,
  views: readonly LakehouseView[],
  members: readonly SetMember[],
  range: RowRange,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { column, fromMs, toMs } = range
  const time = sqlIdentifier(column)
  const instant = (ms: number): string => `TIMESTAMPTZ '${new Date(ms).toISOString()}'`
  const isInRange = `${time} >= ${instant(fromMs)} AND ${time} < ${instant(toMs)}`

  const rowsOf = async (sql: string): Promise<readonly (readonly unknown[])[]> => {
    const found: (readonly unknown[])[] = []
    const take = async ({ rows }: { readonly rows: readonly (readonly unknown[])[] }): Promise<boolean> => {
      for (const row of rows) found.push(row)
      return true
    }
    await queryViews(engine, views, sql, { take, signal })
    return found
  }

  const statements: string[] = []
  for (const set of new Set(members.map((member) => member.set))) {
    const rows = `(${relationRowsSql(members, set, read(members, range))})`
    const dated = `SELECT * FROM ${rows} WHERE ${isInRange}`
    const undated = `SELECT * FROM ${rows} WHERE ${time} IS NULL AND ${set.undated}`
    const blobs =
      set.undated === undefined || (await rowsOf(`${undated} LIMIT 1`)).length === 0
        ? []
        : await rowsOf(`SELECT source_blob, min(source_offset) FROM (${dated}) GROUP BY 1 ORDER BY 1`)
    if (blobs.length === 0) {
      statements.push(relationSql(set, dated))
      const { simpler } = set
      if (simpler !== undefined && (await rowsOf(`${dated} AND ${simpler.unless} LIMIT 1`)).length === 0)
        statements.push(viewSql(simpler.view, simpler.sql()))
      continue
    }
    const isNear = nearSql(blobs)
    const outside = await rowsOf(
      outsideSql(`SELECT * FROM ${rows} WHERE ${time} IS NOT NULL AND ${isNear}`, isInRange),
    )
    // Views read the relation dozens of times, and each join would take memory: conditions with constants take none.
    const parts = [`${undated} AND ${isNear}`, ...outside.map((part) => `NOT (${betweenSql(part)})`)]
    statements.push(relationSql(set, `${dated} UNION ALL ${parts.join(' AND ')}`))
  }
  return statements
}

/**
 * SQL of a condition that the rows of some blobs meet. Files are excluded by the names of the first and the last one.
 *
 * @param blobs names in order, with the offset of their first row in the range
 */
function nearSql(blobs: readonly (readonly unknown[])[]): string {
  const names = blobs.map(([name]) => sqlString(String(name)))
  const offsets = blobs.map(([, offset]) => Number(offset))
  // The engine makes a join of a long IN.
  return `source_blob >= ${names[0]!} AND source_blob <= ${names.at(-1)!} AND list_contains([${names.join(', ')}], source_blob)
    AND source_offset >= ${offsets.reduce((least, offset) => Math.min(least, offset))}`
}

/**
 * SQL of the parts of blobs from a dated row outside of a range of time to the next one inside. Undated rows in them
 * belong to rows outside.
 */
function outsideSql(dated: string, isInRange: string): string {
  return `SELECT source_blob, source_generation, source_offset, source_index, end_offset, end_index
    FROM (
      SELECT *, lead(source_offset) OVER places AS end_offset, lead(source_index) OVER places AS end_index
      FROM (
        SELECT source_blob, source_generation, source_offset, source_index, ${isInRange} AS is_in_range,
          lag(${isInRange}) OVER places AS was_in_range
        FROM (${dated})
        WINDOW places AS (PARTITION BY source_blob, source_generation ORDER BY source_offset, source_index)
      )
      WHERE is_in_range IS DISTINCT FROM was_in_range
      WINDOW places AS (PARTITION BY source_blob, source_generation ORDER BY source_offset, source_index)
    )
    WHERE NOT is_in_range`
}

/** SQL of a condition that the rows of a part of a blob meet. */
function betweenSql([blob, generation, offset, index, endOffset, endIndex]: readonly unknown[]): string {
  const place = '(source_offset, source_index)'
  const isBelow = endOffset === null ? [] : [`${place} < (${String(endOffset)}, ${String(endIndex)})`]
  return [
    `source_blob = ${sqlString(String(blob))} AND source_generation = ${sqlString(String(generation))}`,
    `${place} >= (${String(offset)}, ${String(index)})`,
    ...isBelow,
  ].join(' AND ')
}
