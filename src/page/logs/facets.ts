import type { Clock } from '../../clock.ts'
import type { Facets, FacetValue, RecordFilter } from '../api.ts'
import { instantWithRows, recordedRange } from './found-tables.ts'
import type { LogTables } from './log-tables.ts'
import { conditionSql, type FilterField, fieldSql } from './record-filter.ts'

/** Records that are counted. A value takes a microsecond to classify as an event. */
const maxCounted = 3_000_000

/** Values of each field. */
const maxValues = 50

const fields: readonly FilterField[] = ['severity', 'server', 'database', 'user', 'event']

/** Counts the values of each field among the newest records of a filter. */
export async function readFacets(
  tables: LogTables,
  filter: RecordFilter,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Facets> {
  const found = await tables.find(filter.table)
  const recorded = recordedRange(found)
  const fromMs = filter.fromMs ?? recorded?.fromMs ?? clock.now()
  const toMs = filter.toMs ?? recorded?.toMs ?? clock.now()
  const countedFromMs = instantWithRows(found, { fromMs, toMs, rows: maxCounted })
  const facets: Record<FilterField, FacetValue[]> = {
    severity: [],
    server: [],
    database: [],
    user: [],
    event: [],
  }
  // Fields without a selection share one scan, because their conditions are the same.
  const free = fields.filter((field) => (filter[field] ?? []).length === 0)
  const groups = [free, ...fields.filter((field) => !free.includes(field)).map((field) => [field])]
  for (const group of groups.filter(({ length }) => length > 0 && found.length > 0)) {
    const others = { ...filter, fromMs: countedFromMs, toMs, ...(group === free ? {} : { [group[0]!]: [] }) }
    const columns = group.map((field) => `${fieldSql[field]()} AS "${field}"`)
    const selects = found.map(
      ({ relation }) => `SELECT ${columns.join(', ')} FROM ${relation} WHERE ${conditionSql(others)}`,
    )
    const { rows } = await tables.rows(
      `SELECT ${group.map((field) => `"${field}"`).join(', ')}, count(*) AS n, grouping(${group.map((field) => `"${field}"`).join(', ')}) AS fields
        FROM (${selects.join(' UNION ALL ')}) GROUP BY GROUPING SETS (${group.map((field) => `("${field}")`).join(', ')})`,
      signal,
    )
    for (const row of rows) {
      // A bit is set for each field that a row does not group by; the last field has the lowest bit.
      const field = group.find((_, index) => ((Number(row.fields) >> (group.length - 1 - index)) & 1) === 0)!
      const value = row[field]
      facets[field].push({ value: value === null ? null : String(value), count: Number(row.n) })
    }
  }
  for (const values of Object.values(facets)) {
    values.sort((a, b) => b.count - a.count)
    values.splice(maxValues)
  }
  return { ...facets, countedFromMs: countedFromMs > fromMs ? countedFromMs : undefined }
}
