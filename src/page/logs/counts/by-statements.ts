import type { RecordFilter } from '../../api.ts'
import { instantWithRows, type LogTable } from '../found-tables.ts'
import type { LogTables } from '../log-tables.ts'
import { conditionSql, fieldSql, instantSql, timeColumn } from '../record-filter.ts'
import { nextPartRows } from '../search-parts.ts'
import type { CountUnit } from './count-units.ts'
import { type Counting, countingMs, type Limits, type Reach, type Tally } from './counting.ts'

/** Rows of a part of the records that are counted by a statement: those of the first one, and the most that a later one has. */
const partRows = { min: 400_000, max: 20_000_000 }

/** Counts by statements over the records themselves, part by part. */
export async function countByStatements(
  tables: LogTables,
  { found, filter, grid, tally }: Counting,
  { clock, signal }: Limits,
): Promise<Reach> {
  const begunAtMs = clock.now()
  const { fromMs, beforeMs } = grid
  let countedFromMs = beforeMs
  let filesRead = 0
  for (let { min: rows } = partRows; countedFromMs > fromMs && found.length > 0; ) {
    const partAtMs = clock.now()
    if (countedFromMs < beforeMs && partAtMs - begunAtMs >= countingMs) break
    const partFromMs = instantWithRows(found, { fromMs, toMs: countedFromMs, rows })
    const part = { ...filter, fromMs: partFromMs, toMs: countedFromMs }
    filesRead += await addStatement(tables, found, part, tally, signal)
    countedFromMs = partFromMs
    rows = nextPartRows({ rows, tookMs: clock.now() - partAtMs }, partRows)
  }
  return { countedFromMs: found.length === 0 ? fromMs : countedFromMs, filesRead }
}

/** Counts records by a statement. @returns the number of files that it read */
export async function addStatement(
  tables: LogTables,
  some: readonly LogTable[],
  filter: RecordFilter,
  tally: Tally,
  signal: AbortSignal,
  unit?: CountUnit,
): Promise<number> {
  const only = unit && { pipeline: unit.table.id, files: unit.files }
  const { rows, reading } = await tables.rows(countSql(some, filter, tally), signal, { only })
  for (const { name, bucket, n } of rows)
    tally.add(name === null ? null : String(name), Number(bucket), Number(n))
  return reading.readFiles
}

function countSql(tables: readonly LogTable[], filter: RecordFilter, { by, grid }: Tally): string {
  const { firstMs, bucketMs } = grid
  const condition = conditionSql(filter)
  const selects = tables.map(
    ({
      relation,
    }) => `SELECT (epoch_us(${timeColumn}) - epoch_us(${instantSql(firstMs)})) // ${bucketMs * 1_000} AS bucket,
      ${fieldSql[by]()} AS name, count(*) AS n FROM ${relation} WHERE ${condition} GROUP BY ALL`,
  )
  const name = by === 'severity' ? 'coalesce(severity_level(name), name)' : 'name'
  return `SELECT bucket::INTEGER AS bucket, ${name} AS name, sum(n)::BIGINT AS n FROM (${selects.join(' UNION ALL ')}) GROUP BY ALL`
}
