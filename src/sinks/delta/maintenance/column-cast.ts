import { TailraceError } from '../../../errors.ts'
import { sqlIdentifier } from '../../duckdb.ts'
import { sqlType } from '../sql-type.ts'
import type { SchemaField } from '../table-schema.ts'

/**
 * @returns SQL that gives a column the type which the table says it has: a file may state another one that means the
 * same, such as the 96-bit timestamps of old writers
 * @throws TABLE_UNSUPPORTED naming a column of a type that this program does not write
 */
export function columnCast({ name, type }: Pick<SchemaField, 'name' | 'type'>): string {
  const castType = sqlType(type)
  if (castType === undefined) {
    throw new TailraceError(
      'TABLE_UNSUPPORTED',
      `The column ${name} is of the type ${JSON.stringify(type)}, which this program does not write.`,
    )
  }
  return `CAST(${sqlIdentifier(name)} AS ${castType}) AS ${sqlIdentifier(name)}`
}
