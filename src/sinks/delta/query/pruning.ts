import { isJsonObject, type JsonObject, type JsonValue, parseJson, stringifyJson } from '../../../json.ts'
import { type EmbeddedEngine, sqlString } from '../../encoding/engine.ts'
import type { LiveFile, TableContents } from '../files/live-files.ts'
import { fileBoundsSql, hasBounds } from './bounds.ts'

/** One scan of a table in a query plan. */
export interface TableScan {
  /** Conditions that every needed row meets, as SQL over columns `c0`, `c1`, … in table order. */
  readonly filters: readonly string[]
}

/** A longer IN list excludes no file: each of its values becomes a condition on every file. */
const maxListedValues = 64

/** Files whose bounds one statement tests. */
const maxFilesPerStatement = 1_000

/**
 * Finds the files that may hold a row that one of the scans needs, by partition values and statistics.
 *
 * Comparisons of a column with a constant, IN lists of constants, and tests for NULL are used, also under AND and OR.
 * Any other condition, or a missing bound, excludes no file.
 */
export async function matchingFiles(
  engine: EmbeddedEngine,
  contents: TableContents,
  scans: readonly TableScan[],
): Promise<readonly LiveFile[]> {
  if (scans.length === 0) return []
  const test = new FileTest(contents)
  const conditions: JsonObject[] = []
  for (const { filters } of scans) {
    const parts: JsonObject[] = []
    for (const filter of filters) {
      const parsed = await parsedCondition(engine, filter)
      const part = test.of(parsed)
      if (part !== undefined) parts.push(part)
    }
    // A scan without a usable condition needs every file.
    if (parts.length === 0) return contents.files
    conditions.push(conjunction('AND', parts))
  }
  const select = await statementOf(engine, conjunction('OR', conditions))
  const files: LiveFile[] = []
  for (let next = 0; next < contents.files.length; next += maxFilesPerStatement) {
    const some = contents.files.slice(next, next + maxFilesPerStatement)
    const rows = await engine.rows(
      `WITH bounds AS (${fileBoundsSql(contents, some, test.columns)}) ${select}`,
    )
    const matching = new Set(rows.map(({ file }) => Number(file)))
    for (const [index, file] of some.entries()) if (matching.has(index)) files.push(file)
  }
  return files
}

const comparisons: ReadonlySet<unknown> = new Set([
  'COMPARE_EQUAL',
  'COMPARE_LESSTHAN',
  'COMPARE_LESSTHANOREQUALTO',
  'COMPARE_GREATERTHAN',
  'COMPARE_GREATERTHANOREQUALTO',
])

/** Translates conditions on rows into conditions on files, as syntax trees of the engine. */
class FileTest {
  readonly #contents: TableContents
  readonly #columns = new Set<number>()

  constructor(contents: TableContents) {
    this.#contents = contents
  }

  /** Indexes of the columns used by the conditions translated so far. */
  get columns(): number[] {
    return [...this.#columns]
  }

  /** @returns a condition met by every file with a row that meets `node`; undefined when `node` excludes no file */
  of(node: JsonValue | undefined): JsonObject | undefined {
    if (!isJsonObject(node)) return undefined
    const children = Array.isArray(node.children) ? node.children : []
    switch (node.type) {
      case 'CONJUNCTION_AND': {
        const parts = children.map((child) => this.of(child)).filter((part) => part !== undefined)
        return parts.length === 0 ? undefined : conjunction('AND', parts)
      }
      case 'CONJUNCTION_OR': {
        const parts = children.map((child) => this.of(child)).filter((part) => part !== undefined)
        return parts.length < children.length ? undefined : conjunction('OR', parts)
      }
      case 'OPERATOR_IS_NULL':
        return this.#fact('nulls', children[0])
      case 'OPERATOR_IS_NOT_NULL':
        return this.#fact('values', children[0])
      case 'COMPARE_IN': {
        const [column, ...values] = children
        if (values.length > maxListedValues) return undefined
        const parts = values.map((value) => this.#comparison('COMPARE_EQUAL', column, value))
        const known = parts.filter((part) => part !== undefined)
        return known.length < values.length ? undefined : conjunction('OR', known)
      }
      default:
        return comparisons.has(node.type)
          ? this.#comparison(String(node.type), node.left, node.right)
          : undefined
    }
  }

  #comparison(
    type: string,
    left: JsonValue | undefined,
    right: JsonValue | undefined,
  ): JsonObject | undefined {
    const column = this.#columnOf(left)
    if (column === undefined || !isConstant(right)) return undefined
    const values = reference(`values_${column}`)
    if (!hasBounds(this.#contents.columns[column]!)) return values
    const [min, max] = [reference(`min_${column}`), reference(`max_${column}`)]
    const parts =
      type === 'COMPARE_EQUAL'
        ? [
            comparison('COMPARE_LESSTHANOREQUALTO', min, right),
            comparison('COMPARE_GREATERTHANOREQUALTO', max, right),
          ]
        : [comparison(type, type.includes('LESS') ? min : max, right)]
    return conjunction('AND', [values, ...parts.map(unlessUnknown)])
  }

  #fact(name: string, column: JsonValue | undefined): JsonObject | undefined {
    const index = this.#columnOf(column)
    return index === undefined ? undefined : reference(`${name}_${index}`)
  }

  #columnOf(node: JsonValue | undefined): number | undefined {
    if (!isJsonObject(node) || node.type !== 'COLUMN_REF' || !Array.isArray(node.column_names))
      return undefined
    const index = Number(/^c(\d+)$/.exec(node.column_names.join('.'))?.[1] ?? Number.NaN)
    if (this.#contents.columns[index] === undefined) return undefined
    this.#columns.add(index)
    return index
  }
}

function isConstant(node: JsonValue | undefined): node is JsonObject {
  if (!isJsonObject(node)) return false
  return node.class === 'CONSTANT' || (node.class === 'CAST' && isConstant(node.child))
}

function reference(name: string): JsonObject {
  return { class: 'COLUMN_REF', type: 'COLUMN_REF', alias: '', query_location: 0, column_names: [name] }
}

function comparison(type: string, left: JsonObject, right: JsonObject): JsonObject {
  return { class: 'COMPARISON', type, alias: '', query_location: 0, left, right }
}

function conjunction(word: 'AND' | 'OR', children: readonly JsonObject[]): JsonObject {
  const [only] = children
  if (only !== undefined && children.length === 1) return only
  return {
    class: 'CONJUNCTION',
    type: `CONJUNCTION_${word}`,
    alias: '',
    query_location: 0,
    children: [...children],
  }
}

function unlessUnknown(condition: JsonObject): JsonObject {
  const isUnknown = { class: 'OPERATOR', type: 'OPERATOR_IS_NULL', alias: '', query_location: 0 }
  return conjunction('OR', [condition, { ...isUnknown, children: [condition] }])
}

async function parsedCondition(engine: EmbeddedEngine, filter: string): Promise<JsonValue | undefined> {
  return whereOf(await serialized(engine, `SELECT 1 WHERE ${filter}`))?.where_clause
}

/** SQL that selects from `bounds` the files that meet a condition. */
async function statementOf(engine: EmbeddedEngine, condition: JsonObject): Promise<string> {
  const tree = await serialized(engine, 'SELECT file FROM bounds')
  whereOf(tree)!.where_clause = condition
  const [row] = await engine.rows(
    `SELECT json_deserialize_sql(${sqlString(stringifyJson(tree))}::JSON) AS sql`,
  )
  return String(row?.sql)
}

async function serialized(engine: EmbeddedEngine, sql: string): Promise<JsonObject> {
  const [row] = await engine.rows(`SELECT json_serialize_sql(${sqlString(sql)})::VARCHAR AS tree`)
  const tree = parseJson(String(row?.tree))
  return isJsonObject(tree) ? tree : {}
}

/** @returns the single SELECT of a syntax tree; undefined when the engine could not parse the text. */
function whereOf({ statements }: JsonObject): JsonObject | undefined {
  const [only, ...others] = Array.isArray(statements) ? statements : []
  return others.length === 0 && isJsonObject(only) && isJsonObject(only.node) ? only.node : undefined
}
