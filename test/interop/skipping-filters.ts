import { sqlString } from '../../src/sinks/encoding/engine.ts'
import type { ColumnType } from '../../src/tables/table.ts'
import { columns, type Workbench } from '../sinks/delta/support.ts'
import { rowsAsSql } from './same-rows.ts'

/** One condition in the words of both engines. */
export interface SkippingFilter {
  readonly spark: string
  readonly duckdb: string
}

const sparkTypes: Readonly<Record<string, string>> = {
  timestamp: 'TIMESTAMP',
  string: 'STRING',
  long: 'BIGINT',
}
const duckdbTypes: Readonly<Record<string, string>> = {
  timestamp: 'TIMESTAMPTZ',
  string: 'VARCHAR',
  long: 'BIGINT',
}

/**
 * Conditions on all columns at once, each met by a row that has the least or the greatest value of a column in its
 * file: whichever bound, count of NULL or partition value of the file is wrong, the row is lost.
 *
 * @param perColumn rows that are looked for because of one column
 */
export async function rowLookups(bench: Workbench, perColumn: number): Promise<SkippingFilter[]> {
  const live = await rowsAsSql(bench)
  const lookups = new Map<string, SkippingFilter>()
  for (const { name } of columns) {
    const rows = await bench.engine.rows(
      `SELECT ${columns.map((column) => `${textOf(column.name, column.type)} AS ${column.name}`).join(', ')}
        FROM (SELECT * FROM ${live} QUALIFY
          row_number() OVER (PARTITION BY file ORDER BY ${name}) = 1
          OR row_number() OVER (PARTITION BY file ORDER BY ${name} DESC) = 1)
        ORDER BY hash(file || ${sqlString(name)}) LIMIT ${perColumn}`,
    )
    for (const row of rows) {
      const parts = columns.map((column) => comparison(column.name, column.type, '=', row[column.name]))
      const lookup = every(parts, 'AND')
      lookups.set(lookup.spark, lookup)
    }
  }
  return [...lookups.values()]
}

/**
 * A condition for each column that has bounds, which only rows at both ends of the table meet.
 *
 * A column whose values are the same in all files has none.
 */
export async function outermost(bench: Workbench): Promise<Map<string, SkippingFilter>> {
  const live = await rowsAsSql(bench)
  const filters = new Map<string, SkippingFilter>()
  for (const { name, type } of columns) {
    if (type === 'boolean') continue
    const [ends] = await bench.engine.rows(
      `SELECT ${textOf(`min(${name})`, type)} AS low, ${textOf(`max(${name})`, type)} AS high FROM ${live}`,
    )
    if (ends?.low === ends?.high) continue
    filters.set(
      name,
      every([comparison(name, type, '<=', ends?.low), comparison(name, type, '>=', ends?.high)], 'OR'),
    )
  }
  return filters
}

/** A value as text that both engines cast to the column's type without loss. */
function textOf(value: string, type: ColumnType): string {
  return type === 'timestamp'
    ? `strftime(${value} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')`
    : `(${value})::VARCHAR`
}

function comparison(name: string, type: ColumnType, sign: string, text: unknown): SkippingFilter {
  if (text === null) return { spark: `${name} IS NULL`, duckdb: `${name} IS NULL` }
  const [spark, duckdb] = [sparkTypes, duckdbTypes].map(
    (types) => `${name} ${sign} CAST(${sqlString(String(text))} AS ${types[String(type)] ?? String(type)})`,
  )
  return { spark: spark!, duckdb: duckdb! }
}

function every(parts: readonly SkippingFilter[], word: 'AND' | 'OR'): SkippingFilter {
  return {
    spark: parts.map(({ spark }) => spark).join(` ${word} `),
    duckdb: parts.map(({ duckdb }) => duckdb).join(` ${word} `),
  }
}
