import { sqlIdentifier } from '../../src/tables/sql.ts'
import type { SqlCursor } from './sql-cursor.ts'
import { notEmulated } from './sql-failures.ts'

export type ScalarName = keyof typeof scalars

export type SqlType =
  | { readonly kind: 'scalar'; readonly name: ScalarName; readonly collation?: string | undefined }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'array'; readonly element: SqlType }
  | { readonly kind: 'struct'; readonly fields: readonly { readonly name: string; readonly type: SqlType }[] }

/**
 * `duckdb` is the type that holds the values, spelled as DuckDB's DESCRIBE does. `unity` is Unity Catalog's name of
 * it (`ColumnTypeName` of its API), which `information_schema` shows as `data_type`; `full_data_type` is the type's
 * own name in lower case.
 */
const scalars = {
  BOOLEAN: { duckdb: 'BOOLEAN', unity: 'BOOLEAN' },
  TINYINT: { duckdb: 'TINYINT', unity: 'BYTE' },
  SMALLINT: { duckdb: 'SMALLINT', unity: 'SHORT' },
  INT: { duckdb: 'INTEGER', unity: 'INT' },
  BIGINT: { duckdb: 'BIGINT', unity: 'LONG' },
  FLOAT: { duckdb: 'FLOAT', unity: 'FLOAT' },
  DOUBLE: { duckdb: 'DOUBLE', unity: 'DOUBLE' },
  STRING: { duckdb: 'VARCHAR', unity: 'STRING' },
  BINARY: { duckdb: 'BLOB', unity: 'BINARY' },
  DATE: { duckdb: 'DATE', unity: 'DATE' },
  TIMESTAMP: { duckdb: 'TIMESTAMP WITH TIME ZONE', unity: 'TIMESTAMP' },
  TIMESTAMP_NTZ: { duckdb: 'TIMESTAMP', unity: 'TIMESTAMP_NTZ' },
} as const

const aliases: Readonly<Record<string, ScalarName>> = {
  BYTE: 'TINYINT',
  SHORT: 'SMALLINT',
  INTEGER: 'INT',
  LONG: 'BIGINT',
  REAL: 'FLOAT',
}

export function parseType(cursor: SqlCursor): SqlType {
  return typeOf(cursor.identifier().toUpperCase(), cursor)
}

function typeOf(name: string, cursor: SqlCursor): SqlType {
  if (name === 'DECIMAL' || name === 'DEC' || name === 'NUMERIC') {
    if (!cursor.atSymbol('(')) return { kind: 'decimal', precision: 10, scale: 0 }
    const [precision, scale] = cursor.list(() => cursor.number())
    return { kind: 'decimal', precision: precision!, scale: scale ?? 0 }
  }
  if (name === 'ARRAY') {
    cursor.expectSymbol('<')
    const element = parseType(cursor)
    cursor.expectSymbol('>')
    return { kind: 'array', element }
  }
  if (name === 'STRUCT') return { kind: 'struct', fields: structFields(cursor) }
  const scalar = aliases[name] ?? name
  if (!(scalar in scalars)) throw notEmulated(`the type ${name}`)
  // Values are compared by bytes all the same: no test needs another order.
  const collation =
    scalar === 'STRING' && cursor.skip('COLLATE') ? cursor.identifier().toUpperCase() : undefined
  return { kind: 'scalar', name: scalar as ScalarName, collation }
}

function structFields(cursor: SqlCursor): readonly { name: string; type: SqlType }[] {
  const fields: { name: string; type: SqlType }[] = []
  cursor.expectSymbol('<')
  do {
    const name = cursor.identifier()
    fields.push({ name, type: fieldType(cursor) })
    cursor.skip('NOT', 'NULL')
    if (cursor.skip('COMMENT')) cursor.string()
  } while (cursor.skipSymbol(','))
  cursor.expectSymbol('>')
  return fields
}

function fieldType(cursor: SqlCursor): SqlType {
  // `a:STRING` reads as a name and a parameter called STRING.
  if (cursor.peek().kind === 'parameter') return typeOf(cursor.next().text.toUpperCase(), cursor)
  cursor.skipSymbol(':')
  return parseType(cursor)
}

/** @returns the type that holds such values in DuckDB */
export function duckDbType(type: SqlType): string {
  switch (type.kind) {
    case 'scalar':
      return scalars[type.name].duckdb
    case 'decimal':
      return `DECIMAL(${type.precision},${type.scale})`
    case 'array':
      return `${duckDbType(type.element)}[]`
    case 'struct':
      return `STRUCT(${type.fields.map((field) => `${sqlIdentifier(field.name)} ${duckDbType(field.type)}`).join(', ')})`
  }
}

/** @returns the scalar type that DuckDB's DESCRIBE spells so, as the column of a view has it */
export function sqlTypeOf(duckDb: string): SqlType {
  const found = Object.entries(scalars).find(([, { duckdb }]) => duckdb === duckDb)
  if (found === undefined) throw notEmulated(`views with a column of the type ${duckDb}`)
  return { kind: 'scalar', name: found[0] as ScalarName }
}

/** @returns the type as `information_schema.columns.full_data_type` has it */
export function fullDataType(type: SqlType): string {
  switch (type.kind) {
    case 'scalar':
      return type.collation === undefined ? type.name.toLowerCase() : `string collate ${type.collation}`
    case 'decimal':
      return `decimal(${type.precision},${type.scale})`
    case 'array':
      return `array<${fullDataType(type.element)}>`
    case 'struct':
      return `struct<${type.fields.map((field) => `${field.name}:${fullDataType(field.type)}`).join(',')}>`
  }
}

/** @returns the type as `information_schema.columns.data_type` has it */
export function simpleDataType(type: SqlType): string {
  return type.kind === 'scalar' ? scalars[type.name].unity : type.kind.toUpperCase()
}

/** The types in which a value of a DuckDB type may be stored without a cast: the type itself, or wider ones of its kind. */
const widenings: Readonly<Record<string, readonly string[]>> = {
  TINYINT: ['SMALLINT', 'INTEGER', 'BIGINT', 'DOUBLE'],
  // Spark reads an unsigned integer as the next wider signed one.
  UTINYINT: ['SMALLINT', 'INTEGER', 'BIGINT', 'DOUBLE'],
  SMALLINT: ['INTEGER', 'BIGINT', 'DOUBLE'],
  USMALLINT: ['INTEGER', 'BIGINT', 'DOUBLE'],
  INTEGER: ['BIGINT', 'DOUBLE'],
  UINTEGER: ['BIGINT'],
  FLOAT: ['DOUBLE'],
}

/**
 * @param stored a type as DuckDB's DESCRIBE spells it
 * @returns whether such values fit a column of the type without loss
 */
export function fitsWithoutLoss(stored: string, type: SqlType): boolean {
  const wanted = duckDbType(type)
  if (stored === wanted || stored === '"NULL"' || (widenings[stored] ?? []).includes(wanted)) return true
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(stored)
  if (decimal === null || type.kind !== 'decimal') return false
  const [precision, scale] = [Number(decimal[1]), Number(decimal[2])]
  return scale <= type.scale && precision - scale <= type.precision - type.scale
}
