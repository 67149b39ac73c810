import { sqlString } from '../sql.ts'
import { type JsonStructure, jsonPath, textKeys } from './expressions/json.ts'
import { prefixValueOf } from './log-line-prefix.ts'
import { shapes } from './shapes/index.ts'
import { jsonlog } from './shapes/jsonlog.ts'
import type { Shape, TextField, ValueAt } from './shapes/shape.ts'

/** Columns that are text in the record and in the table. */
export const stringColumns = [
  'severity',
  'sqlstate',
  'message',
  'detail',
  'hint',
  'context',
  'statement',
  'db_name',
  'user_name',
  'client_addr',
  'application_name',
  'backend_type',
  'session_id',
  'command_tag',
  'object_name',
  'source_role',
  'server_name',
] as const satisfies readonly TextField[]

/** Columns whose text must be an integer. */
export const integerColumns = [
  { name: 'pid', type: 'INTEGER' },
  { name: 'client_port', type: 'INTEGER' },
  { name: 'line_num', type: 'BIGINT' },
  { name: 'query_id', type: 'BIGINT' },
  { name: 'txid', type: 'BIGINT' },
] as const satisfies readonly { name: TextField; type: string }[]

/** @returns the number of a shape: its place in the order of detection, from 1. */
export function shapeNumber(name: string): number {
  const index = shapes.findIndex((shape) => shape.name === name)
  if (index < 0) throw new RangeError(`no shape is called ${name}`)
  return index + 1
}

/** A shape with its SQL, and where its values are. */
export interface Form {
  readonly at: ValueAt
  readonly fields: ReturnType<Shape['fields']>
  readonly prefixed: string | undefined
  /** Values in a list; without one they are in the struct `keys`. */
  readonly list?: ValueList
  readonly keys: JsonStructure
}

/** Forms by shape number. */
export function formsOf(): readonly Form[] {
  const prefix = prefixValueOf('prefix')
  const keys = new Set<string>()
  const at: ValueAt = (key) => {
    keys.add(key!)
    return `keys."${key}"`
  }
  jsonlog.matches(at)
  const plain: Form = {
    at,
    fields: jsonlog.fields(at, prefix),
    prefixed: undefined,
    keys: textKeys([...keys]),
  }
  const listed = shapes.map((shape): Form => {
    const list = new ValueList('list')
    return {
      at: list.at,
      fields: shape.fields(list.at, prefix),
      prefixed: shape.prefixed?.(list.at),
      list,
      keys: {},
    }
  })
  return [plain, ...listed]
}

/** SQL of the number of the first shape that matches. */
export function shapeOf(at: ValueAt): string {
  return `CASE ${shapes.map((shape, index) => `WHEN ${shape.matches(at)} THEN ${index + 1}`).join('\n')} END`
}

/** SQL that chooses by shape number. Shapes that share a piece of SQL share its branch, which spares memory. */
export function byShape(branches: readonly (readonly [shape: number, sql: string])[]): string {
  const shapesBySql = new Map<string, number[]>()
  for (const [shape, sql] of branches) shapesBySql.set(sql, [...(shapesBySql.get(sql) ?? []), shape])
  const cases = [...shapesBySql].map(([sql, numbers]) => `WHEN shape IN (${numbers.join(', ')}) THEN ${sql}`)
  return cases.length === 0 ? 'NULL::VARCHAR' : `CASE ${cases.join('\n')} END`
}

/** Name of the column that holds a field's text. */
export function textOf(field: TextField): string {
  return `t_${field}`
}

/** A cheap test for text that may be an object's or an array's; `[local]` and `[unknown]` are ordinary. */
export function looksNested(text: string): string {
  return `((${text} >= '{' AND ${text} < '|') OR (${text} >= '[' AND ${text} < '\\' AND ${text} NOT IN ('[local]', '[unknown]')))`
}

/** SQL of the JSON types of the text columns' values, as a list in the order of those columns. */
export function typesOf(forms: readonly Form[]): string {
  const branches = forms.map(({ fields, list }, number) => {
    const paths = stringColumns.map((name) => {
      const sql = fields[name]
      const [path] = sql === undefined ? [] : list === undefined ? plainPaths(sql) : list.pathsIn(sql)
      // An object has no first element: no type.
      return sqlString(path ?? '$[0]')
    })
    return [number, `json_type(body, [${paths.join(', ')}])`] as const
  })
  return byShape(branches)
}

/** SQL that tells, by a list that `typesOf` made, whether a text column's value is an object or array. */
export function isNested(index: number): string {
  return `types[${index + 1}] IN ('OBJECT', 'ARRAY')`
}

function plainPaths(sql: string): string[] {
  return [...sql.matchAll(/keys\."(\w+)"/g)].map(([, key]) => jsonPath([key!]))
}

/** Values of a JSON text as one list column: collects the paths that are asked for, then extracts them at once. */
export class ValueList {
  readonly #column: string
  readonly #paths: string[] = []

  /** @param column name of the list column */
  constructor(column: string) {
    this.#column = column
  }

  /** Asks for a value; the SQL refers to the list column. */
  readonly at: ValueAt = (...keys) => {
    const path = jsonPath(keys)
    if (!this.#paths.includes(path)) this.#paths.push(path)
    return `${this.#column}[${this.#paths.indexOf(path) + 1}]`
  }

  get isEmpty(): boolean {
    return this.#paths.length === 0
  }

  /** SQL of the list; `text` must be well-formed JSON. Ask for every value before. */
  extract(text: string): string {
    return `json_extract_string(${text}, [${this.#paths.map(sqlString).join(', ')}])`
  }

  /** Paths of the values that a piece of SQL refers to. */
  pathsIn(sql: string): string[] {
    const places = [...sql.matchAll(new RegExp(`\\b${this.#column}\\[(\\d+)\\]`, 'g'))].map(([, place]) =>
      Number(place),
    )
    return [...new Set(places)].map((place) => this.#paths[place - 1]!)
  }
}
