import { sqlIdentifier, sqlString } from '../../src/tables/sql.ts'
import { SqlCursor } from './sql-cursor.ts'
import { notEmulated } from './sql-failures.ts'
import { parseType, type ScalarName, type SqlType } from './sql-types.ts'

/**
 * Translates `from_json(text, schema)` in Spark's mode PERMISSIVE: text that is no JSON is NULL, and so is each single
 * value that its type can't take (JacksonParser of Spark, with `spark.sql.json.enablePartialResults`, its default).
 *
 * @param text a DuckDB expression
 * @param schema such as "ARRAY<STRUCT<`a`: STRING>>"
 */
export function fromJson(text: string, schema: string): string {
  const cursor = new SqlCursor(schema)
  const type = parseType(cursor)
  cursor.expectEnd()
  const json = `CASE WHEN json_valid(${text}) THEN CAST(${text} AS JSON) END`
  // A lone object stands for an array of it, as in Spark.
  const root =
    type.kind === 'array'
      ? `(SELECT CASE WHEN json_type(j) = 'OBJECT' THEN json_array(j) ELSE j END FROM (SELECT ${json} AS j))`
      : `(${json})`
  return value(root, type, 0)
}

/** @param depth makes the argument names of nested lambdas unique */
function value(json: string, type: SqlType, depth: number): string {
  switch (type.kind) {
    case 'struct': {
      // All fields in one pass: each `->` would parse the whole text again, and a row may have a text of 16 MiB.
      const found = `f${depth}`
      const paths = type.fields.map((field) => sqlString(`$.${JSON.stringify(field.name)}`))
      const fields = type.fields.map(
        (field, index) =>
          `${sqlIdentifier(field.name)} := ${value(`${found}[${index + 1}]`, field.type, depth + 1)}`,
      )
      const each = `list_transform([json_extract(${json}, [${paths.join(', ')}])], lambda ${found}: struct_pack(${fields.join(', ')}))[1]`
      return `CASE WHEN json_type(${json}) = 'OBJECT' THEN ${each} END`
    }
    case 'array': {
      const element = `e${depth}`
      const items = `list_transform(CAST(${json} AS JSON[]), lambda ${element}: ${value(element, type.element, depth + 1)})`
      return `CASE WHEN json_type(${json}) = 'ARRAY' THEN ${items} END`
    }
    case 'decimal':
      return tryCast(json, `DECIMAL(${type.precision},${type.scale})`, numbers)
    case 'scalar':
      return scalar(json, type.name)
  }
}

const integers = ['BIGINT', 'UBIGINT']
const numbers = [...integers, 'DOUBLE']

function scalar(json: string, name: ScalarName): string {
  switch (name) {
    // A number, boolean, object or array becomes its JSON text.
    case 'STRING':
      return `(${json} ->> '$')`
    case 'BOOLEAN':
      return tryCast(json, 'BOOLEAN', ['BOOLEAN'])
    case 'TINYINT':
    case 'SMALLINT':
    case 'INT':
    case 'BIGINT':
      // A string with digits is no number, and a fraction is no integer.
      return tryCast(json, name, integers)
    // Values that no JSON number can express, such as NaN, are strings.
    case 'FLOAT':
    case 'DOUBLE':
      return `COALESCE(${tryCast(json, name, numbers)}, CASE WHEN json_type(${json}) = 'VARCHAR' AND (${json} ->> '$') IN ('NaN', 'Infinity', '+Infinity', '-Infinity') THEN CAST(${json} ->> '$' AS ${name}) END)`
    case 'TIMESTAMP':
      return tryCast(json, 'TIMESTAMP WITH TIME ZONE', ['VARCHAR'])
    case 'TIMESTAMP_NTZ':
      return tryCast(json, 'TIMESTAMP', ['VARCHAR'])
    case 'DATE':
      return tryCast(json, 'DATE', ['VARCHAR'])
    case 'BINARY':
      return `CASE WHEN json_type(${json}) = 'VARCHAR' THEN TRY(from_base64(${json} ->> '$')) END`
    default:
      throw notEmulated(`from_json to ${name satisfies never}`)
  }
}

/** The value's text as the DuckDB type, or NULL where it is no such text or not of the JSON types. */
function tryCast(json: string, type: string, jsonTypes: readonly string[]): string {
  const expected = jsonTypes.map((jsonType) => sqlString(jsonType)).join(', ')
  return `CASE WHEN json_type(${json}) IN (${expected}) THEN TRY_CAST(${json} ->> '$' AS ${type}) END`
}
