import { isJsonObject, type JsonValue } from '../../json.ts'
import { sqlIdentifier } from '../duckdb.ts'
import { fieldsOf } from './table-schema.ts'

const primitiveTypes: Readonly<Record<string, string>> = {
  string: 'VARCHAR',
  long: 'BIGINT',
  integer: 'INTEGER',
  short: 'SMALLINT',
  byte: 'TINYINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  binary: 'BLOB',
  date: 'DATE',
  timestamp: 'TIMESTAMPTZ',
  timestamp_ntz: 'TIMESTAMP',
}

/** @returns the engine's type for a type of a Delta schema; undefined for one that it has no match for. */
export function sqlType(type: JsonValue | undefined): string | undefined {
  if (typeof type === 'string') {
    return primitiveTypes[type] ?? /^decimal\(\s*\d+\s*,\s*\d+\s*\)$/.exec(type)?.[0]
  }
  if (!isJsonObject(type)) return undefined
  const [element, key, value] = [type.elementType, type.keyType, type.valueType].map(sqlType)
  if (type.type === 'array' && element !== undefined) return `${element}[]`
  if (type.type === 'map' && key !== undefined && value !== undefined) return `MAP(${key}, ${value})`
  const fields = fieldsOf(type)?.map(
    ({ name, type: inner }) => [sqlIdentifier(name), sqlType(inner)] as const,
  )
  if (fields === undefined || fields.length === 0) return undefined
  if (fields.some(([, inner]) => inner === undefined)) return undefined
  return `STRUCT(${fields.map((field) => field.join(' ')).join(', ')})`
}
