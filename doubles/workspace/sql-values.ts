import type { DuckDBResultReader } from '@duckdb/node-api'
import { notEmulated } from './sql-failures.ts'
import { type ColumnType, SqlFailure, type StatementRows, type Value } from './warehouse-engine.ts'

/** Columns that hold counts, with one row of them. */
export function countsRow(counts: Readonly<Record<string, number | bigint>>): StatementRows {
  return {
    kind: 'rows',
    columns: Object.keys(counts).map((name) => ({ name, type: 'BIGINT' })),
    rows: [Object.values(counts).map(BigInt)],
  }
}

/** The result of a statement without rows. */
export const noRows: StatementRows = { kind: 'rows', columns: [], rows: [] }

/** @returns the result as the wire carries it */
export function statementRows(reader: DuckDBResultReader): StatementRows {
  const names = reader.columnNames()
  const types = reader.columnTypes().map((type) => columnType(String(type)))
  return {
    kind: 'rows',
    columns: names.map((name, index) => ({ name, type: types[index]! })),
    rows: reader.getRowsJson().map((row) => row.map((value, index) => wireValue(value, types[index]!))),
  }
}

function columnType(duckDb: string): ColumnType {
  if (duckDb === 'BOOLEAN' || duckDb === 'DOUBLE' || duckDb === 'BIGINT' || duckDb === 'DATE') return duckDb
  if (/^U?(?:TINYINT|SMALLINT)$|^INTEGER$/.test(duckDb)) return 'INT'
  // A sum of BIGINT is a BIGINT in Databricks, and a HUGEINT in DuckDB.
  if (/^(?:UINTEGER|UBIGINT|HUGEINT)$/.test(duckDb)) return 'BIGINT'
  if (duckDb === 'FLOAT') return 'DOUBLE'
  if (duckDb === 'BLOB') return 'BINARY'
  if (duckDb.startsWith('TIMESTAMP')) return 'TIMESTAMP'
  if (duckDb.startsWith('DECIMAL')) return 'DECIMAL'
  // Arrays and structs travel as JSON text.
  if (/^(?:VARCHAR|JSON|STRUCT|MAP|SQLNULL)|\]$/.test(duckDb)) return 'STRING'
  throw notEmulated(`results of the type ${duckDb}`)
}

/** @param value as DuckDB's JSON converter gives it: 64-bit integers, decimals, dates and instants are text */
function wireValue(value: unknown, type: ColumnType): Value {
  if (value === null || value === undefined) return null
  switch (type) {
    case 'BOOLEAN':
      return value as boolean
    case 'INT':
    case 'DOUBLE':
      // NaN and the infinities are text in DuckDB's JSON.
      return Number(value)
    case 'BIGINT':
      return int64(BigInt(value as string))
    case 'TIMESTAMP':
      return instant(String(value))
    case 'BINARY':
      return binary(String(value))
    default:
      return typeof value === 'string' ? value : JSON.stringify(value)
  }
}

function int64(value: bigint): bigint {
  if (value === BigInt.asIntN(64, value)) return value
  throw new SqlFailure('ARITHMETIC_OVERFLOW', '22003', 'long overflow.')
}

/** Spark's text of an instant: no zone, and no zeros at the end of the fraction. */
function instant(text: string): string {
  return text
    .replace(/[+-]\d\d(?::?\d\d)?$/, '')
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '')
}

/** Base64 of bytes that DuckDB writes as ASCII, with `\\xNN` for all that is not printable. */
function binary(text: string): string {
  const latin1 = text.replaceAll(/\\x([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(latin1, 'latin1').toString('base64')
}
