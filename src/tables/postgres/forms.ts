import { sqlIdentifier, sqlString } from '../sql.ts'
import { stringColumns } from './columns.ts'
import { constantList, type JsonStructure, jsonPath, jsonStruct, textKeys } from './expressions/json.ts'
import { type PrefixColumns, prefixValueOf } from './log-line-prefix.ts'
import { removalPatch } from './other-keys.ts'
import type { SqlColumns } from './select-chain.ts'
import { envelopeText } from './shapes/envelope.ts'
import { shapes } from './shapes/index.ts'
import { jsonlog, jsonlogKeys } from './shapes/jsonlog.ts'
import { lineOf } from './shapes/log-text.ts'
import type { Shape, TextField, ValueAt } from './shapes/shape.ts'

/** @returns the number of a shape: its 1-based position in the order of detection. */
export function shapeNumber(name: string): number {
  const index = shapes.findIndex((shape) => shape.name === name)
  if (index < 0) throw new RangeError(`unknown shape ${name}`)
  return index + 1
}

/** A shape with its SQL and the location of its values. */
export interface Form {
  readonly at: ValueAt
  readonly fields: ReturnType<Shape['fields']>
  readonly prefixed: string | undefined
  /** The list that holds the values; without one they are in the struct `keys`. */
  readonly list?:
    | Pick<ValueList, 'isEmpty' | 'topKeys' | 'extract' | 'pathsIn' | 'keysIn' | 'from'>
    | undefined
  /** SQL of `removalPatch` the values that columns have. Default: none, for an envelope, whose text alone is read. */
  readonly removal?: string | undefined
  /** SQL of what else of the record is in `extra`. */
  readonly partly?: string | undefined
  /** Whether the struct of the clues has the list's values, too. */
  readonly isClue?: boolean | undefined
  readonly keys: JsonStructure
}

/** Columns of the projection from which a prefix is read. */
export const prefixColumns: PrefixColumns = {
  whole: 'prefixed',
  head: 'prefix_head',
  values: 'prefix',
  rest: 'prefix_rest',
}

/** Column of the text inside an envelope. */
export const lineColumn = 'line'

/** Fields that do not hold their values whole: a record has several of them, or they are longer or more precise. */
const partlyHeld: ReadonlySet<string> = new Set([
  'event_time_second',
  'record_kind',
  'server_name',
  'source_role',
])

/**
 * @param blob SQL of the name of the blob; not given if it is not known
 * @returns the forms by shape number; 0 is jsonlog with its first key first
 */
export function formsOf(blob?: string): readonly Form[] {
  const prefix = prefixValueOf(prefixColumns)
  const keys = new Set<string>()
  const at: ValueAt = (key) => {
    keys.add(key!)
    return `keys."${key}"`
  }
  jsonlog.matches(at, 'NULL')
  const plain: Form = {
    at,
    fields: jsonlog.fields(at, prefix),
    prefixed: undefined,
    keys: textKeys([...keys]),
    removal: sqlString(removalPatch(jsonlogKeys.map(({ key }) => [key]))),
  }
  const listed = shapes.map((shape): Form => {
    const list =
      shape.split === undefined
        ? new ValueList('list')
        : new SplitList('list', shape.split(`(${lineOf('line_text')})`))
    const fields = shape.fields(list.at, prefix, blob)
    const prefixed = shape.prefixed?.(list.at, lineColumn)
    const held = Object.entries(fields).flatMap(([name, sql]) => (partlyHeld.has(name) ? [] : [sql]))
    const heldKeys = list.keysIn([...held, prefixed].join(' '))
    return {
      at: list.at,
      fields,
      prefixed,
      list,
      removal:
        prefixed === lineColumn || shape.split !== undefined || shape.isRow === true
          ? undefined
          : removalOf(heldKeys, shape.replaced?.(list.at, prefix)),
      partly: shape.partly?.(list.at, prefix),
      isClue: shape.areClues === true,
      keys: {},
    }
  })
  return [plain, ...listed]
}

/** SQL of `removalPatch` some values, but not the one that is replaced. */
function removalOf(
  keys: readonly (readonly string[])[],
  replaced: ReturnType<NonNullable<Shape['replaced']>> | undefined,
): string {
  const all = sqlString(removalPatch(keys))
  if (replaced === undefined) return all
  const [path, condition] = replaced
  const others = keys.filter((one) => one.join('.') !== path.join('.'))
  return `CASE WHEN ${condition} THEN ${sqlString(removalPatch(others))} ELSE ${all} END`
}

/** SQL of the number of the first shape that matches. @param text SQL of the text inside an envelope */
export function shapeOf(at: ValueAt, text: string): string {
  return `CASE ${shapes.map((shape, index) => `WHEN ${shape.matches(at, text)} THEN ${index + 1}`).join('\n')} END`
}

/** SQL that chooses by the column of the shape's number. Shapes with equal SQL share a branch, which saves memory. */
export function byShape(
  branches: readonly (readonly [shape: number, sql: string])[],
  shape = 'shape',
): string {
  const shapesBySql = new Map<string, number[]>()
  for (const [shape, sql] of branches) shapesBySql.set(sql, [...(shapesBySql.get(sql) ?? []), shape])
  const cases = [...shapesBySql].map(
    ([sql, numbers]) => `WHEN ${shape} IN (${numbers.join(', ')}) THEN ${sql}`,
  )
  return cases.length === 0 ? 'NULL::VARCHAR' : `CASE ${cases.join('\n')} END`
}

/** @returns the name of the column that holds a field's text. */
export function textOf(field: TextField): string {
  return `t_${field}`
}

/** SQL that tests whether JSON text is an object, without a copy of the text. */
export function beginsObject(text: string): string {
  return `CASE WHEN starts_with(${text}, '{') THEN true ELSE regexp_matches(${text}, '^\\p{Zs}+\\{') END`
}

/** SQL of a cheap test for text that may be an object or array, except the ordinary values `[local]` and `[unknown]`. */
export function mayBeNested(text: string): string {
  return `((${text} >= '{' AND ${text} < '|') OR (${text} >= '[' AND ${text} < '\\' AND ${text} NOT IN ('[local]', '[unknown]')))`
}

/** SQL of the JSON types of the text columns' values, as a list in the order of the columns. */
export function typesOf([plain]: readonly Form[]): string {
  const branch = (number: number, pathOf: (name: TextField) => string | undefined) => {
    // For a missing column: an object has no element 0, so the type is NULL.
    const paths = stringColumns.map((name) => pathOf(name) ?? '$[0]')
    return [number, `json_type(body, ${constantList(paths)})`] as const
  }
  const listed = shapes.map((shape, index) => {
    // The text inside an envelope counts as the first value that it may come from.
    const list = shape.split === undefined ? new ValueList('list') : new SplitList('list', '')
    const prefixed = shape.prefixed?.(list.at, envelopeText(list.at)) ?? 'NULL'
    const fields = shape.fields(
      list.at,
      prefixValueOf({ ...prefixColumns, whole: prefixed, head: prefixed, rest: prefixed }),
    )
    return branch(index + 1, (name) =>
      fields[name] === undefined ? undefined : list.pathsIn(fields[name])[0],
    )
  })
  return byShape([
    branch(0, (name) => (plain!.fields[name] === undefined ? undefined : plainPaths(plain!.fields[name])[0])),
    ...listed,
  ])
}

/** SQL of whether a text column's value is an object or array, from the list column of `typesOf`. */
export function isNested(index: number): string {
  return `types[${index + 1}] IN ('OBJECT', 'ARRAY')`
}

function plainPaths(sql: string): string[] {
  return [...sql.matchAll(/keys\."(\w+)"/g)].map(([, key]) => jsonPath([key!]))
}

/**
 * Values of a JSON text in struct columns: collects the keys to read, then parses the text once for all of them. A key
 * that the text lacks costs next to nothing, and its use copies no text; a list takes less memory.
 *
 * The engine does not distinguish a struct's names by case, so other spellings of a key are in further structs. Most texts
 * have none of these, and are not parsed again.
 */
export class ValueStruct {
  readonly #column: string
  readonly #structures: MutableStructure[] = []
  /** The spellings of each name in lower case; each one's place is that of its struct. */
  readonly #spellings = new Map<string, string[]>()

  /** @param column name of the struct column; those of other spellings have a number behind it */
  constructor(column: string) {
    this.#column = column
  }

  /** Adds a value. @returns SQL of it; of an inner object with known keys, only whether it is NULL has a meaning */
  readonly at: ValueAt = (...keys) => {
    const name = keys[0]!.toLowerCase()
    const spellings = this.#spellings.get(name) ?? []
    this.#spellings.set(name, spellings)
    if (!spellings.includes(keys[0]!)) spellings.push(keys[0]!)
    const place = spellings.indexOf(keys[0]!)
    const structure = this.#structures[place] ?? {}
    this.#structures[place] = structure
    addKeys(structure, keys)
    return [this.#columnOf(place), ...keys.map(sqlIdentifier)].join('.')
  }

  /** SQL of the structs, by column. Call it after all values were added. @param text SQL of well-formed JSON, or NULL */
  columns(text: string): SqlColumns {
    const read = (structure: JsonStructure, place: number): string => {
      if (place === 0) return jsonStruct(text, structure)
      const key = sqlString(`"(?:${Object.keys(structure).join('|')})"`)
      return jsonStruct(`CASE WHEN regexp_matches(${text}, ${key}) THEN ${text} END`, structure)
    }
    return Object.fromEntries(
      this.#structures.map((structure, place) => [this.#columnOf(place), read(structure, place)]),
    )
  }

  #columnOf(place: number): string {
    return place === 0 ? this.#column : `${this.#column}_${place + 1}`
  }
}

function addKeys(structure: MutableStructure, [key, ...inner]: readonly string[]): void {
  const present = structure[key!]
  if (inner.length === 0) structure[key!] ??= 'VARCHAR'
  else {
    const object = typeof present === 'object' ? present : {}
    structure[key!] = object
    addKeys(object, inner)
  }
}

interface MutableStructure {
  [key: string]: 'VARCHAR' | MutableStructure
}

/** Values of a JSON text in one list column: collects the paths to read, then extracts all in one call. */
export class ValueList {
  readonly #column: string
  readonly #keys: (readonly string[])[] = []
  readonly #paths: string[] = []
  readonly #topKeys = new Set<string>()

  /** @param column name of the list column */
  constructor(column: string) {
    this.#column = column
  }

  /** Adds a value to the list. @returns SQL of the value, from the list column */
  readonly at: ValueAt = (...keys) => {
    const path = jsonPath(keys)
    this.#topKeys.add(keys[0]!)
    if (!this.#paths.includes(path)) {
      this.#paths.push(path)
      this.#keys.push(keys)
    }
    return `${this.#column}[${this.#paths.indexOf(path) + 1}]`
  }

  /** The keys of the record with which the values' paths begin. */
  get topKeys(): readonly string[] {
    return [...this.#topKeys]
  }

  get isEmpty(): boolean {
    return this.#paths.length === 0
  }

  /** SQL of the list. Call it after all values were added with `at`. @param text SQL of well-formed JSON */
  extract(text: string): string {
    return `json_extract_string(${text}, ${constantList(this.#paths)})`
  }

  /** SQL of the list, from values that are at hand. Call it after all values were added with `at`. */
  from(at: ValueAt): string {
    return `[${this.#keys.map((keys) => at(...keys)).join(', ')}]`
  }

  /** @returns the paths of the values used in SQL */
  pathsIn(sql: string): string[] {
    return this.#placesIn(sql).map((place) => this.#paths[place]!)
  }

  /** @returns these paths, one key per level */
  keysIn(sql: string): (readonly string[])[] {
    return this.#placesIn(sql).map((place) => this.#keys[place]!)
  }

  #placesIn(sql: string): readonly number[] {
    const found = sql.matchAll(new RegExp(`\\b${this.#column}\\[(\\d+)\\]`, 'g'))
    return [...new Set([...found].map(([, place]) => Number(place) - 1))]
  }
}

/** Values of a text that is no JSON, in one list column: its places are the values' numbers. */
class SplitList {
  readonly #column: string
  readonly #split: string
  readonly isEmpty = false
  readonly topKeys: readonly string[] = []

  constructor(column: string, split: string) {
    this.#column = column
    this.#split = split
  }

  readonly at: ValueAt = (place) => `${this.#column}[${place}]`

  extract(): string {
    return this.#split
  }

  from(): string {
    return this.#split
  }

  pathsIn(): string[] {
    return []
  }

  keysIn(): (readonly string[])[] {
    return []
  }
}
