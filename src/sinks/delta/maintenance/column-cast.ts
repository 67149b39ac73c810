import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonValue } from '../../../json.ts'
import { sqlIdentifier } from '../../duckdb.ts'
import { fieldsOf, type SchemaField } from '../table-schema.ts'

const sqlTypes: ReadonlyMap<JsonValue | undefined, string> = new Map([
  ['string', 'VARCHAR'],
  ['long', 'BIGINT'],
  ['integer', 'INTEGER'],
  ['short', 'SMALLINT'],
  ['byte', 'TINYINT'],
  ['double', 'DOUBLE'],
  ['float', 'FLOAT'],
  ['boolean', 'BOOLEAN'],
  ['binary', 'BLOB'],
  ['date', 'DATE'],
  ['timestamp', 'TIMESTAMPTZ'],
  ['timestamp_ntz', 'TIMESTAMP'],
])

/**
 * @returns SQL that gives a column the type which the table says it has: a file may state another one that means the
 * same, such as the 96-bit timestamps of old writers
 * @throws TABLE_UNSUPPORTED naming a column of a type that this program does not write
 */
export function columnCast({ name, type }: Pick<SchemaField, 'name' | 'type'>): string {
  const sqlType = sqlTypeOf(type)
  if (sqlType === undefined) {
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `The column ${name} is of the type ${JSON.stringify(type)}, which this program does not write.`,
    )
  }
  return `CAST(${sqlIdentifier(name)} AS ${sqlType}) AS ${sqlIdentifier(name)}`
}

function sqlTypeOf(type: JsonValue | undefined): string | undefined {
  if (typeof type === 'string' && /^decimal\(\d+,\s*\d+\)$/.test(type)) return type.toUpperCase()
  if (!isJsonObject(type)) return sqlTypes.get(type)
  const fields = fieldsOf(type)
  if (fields !== undefined) {
    const members = fields.map((field) => [field.name, sqlTypeOf(field.type)] as const)
    if (members.some(([, member]) => member === undefined)) return undefined
    return `STRUCT(${members.map(([name, member]) => `${sqlIdentifier(name)} ${member}`).join(', ')})`
  }
  const [element, key, value] = [type.elementType, type.keyType, type.valueType].map(sqlTypeOf)
  if (type.type === 'array' && element !== undefined) return `${element}[]`
  if (type.type === 'map' && key !== undefined && value !== undefined) return `MAP(${key}, ${value})`
  return undefined
}
