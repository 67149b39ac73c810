import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts'
import { type EmbeddedEngine, sqlString } from '../../encoding/engine.ts'

/** The kind of an SQL text: one SELECT, one other statement that only reads, or anything else. */
export type StatementKind = 'select' | 'reading' | 'other'

/** Functions allowed in a FROM. All others can read files, run a statement given as text, or change the engine. */
const tableFunctions =
  /^(?:duckdb_\w+|generate_series|histogram(?:_values)?|icu_calendar_names|json_(?:each|tree)|pg_timezone_names|pragma_\w+|range|repeat|repeat_row|summary|test_all_types|unnest)$/i

/**
 * Classifies an SQL text with the engine's parser; runs nothing.
 *
 * @throws the engine's error for a text that it cannot parse
 * @throws QUERY_REFUSED for a text without a statement
 */
export async function statementKind(engine: EmbeddedEngine, sql: string): Promise<StatementKind> {
  const selects = await parsedSelects(engine, sql)
  if (selects !== undefined) {
    if (selects.length === 0) throw refused('found no statement, expected one')
    return selects.length === 1 ? 'select' : 'other'
  }
  return (await explained(engine, sql)) !== undefined || isDynamicPivot(sql) ? 'reading' : 'other'
}

/**
 * Checks that a text is one statement that only reads, and that its FROM calls no function that could reach beyond the
 * tables. The engine is confined to its directories as well, but there a statement could still write files, start a log,
 * or read other files.
 *
 * @throws QUERY_REFUSED naming what is not allowed; the engine's error for a text that it cannot parse
 */
export async function requireReading(engine: EmbeddedEngine, sql: string): Promise<StatementKind> {
  const kind = await statementKind(engine, sql)
  if (kind === 'other') {
    throw refused(
      'expected one statement that reads: SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, SHOW, EXPLAIN …',
    )
  }
  const trees = (await parsedSelects(engine, sql)) ?? (await explained(engine, sql))
  const denied = trees === undefined ? await deniedInText(engine, sql) : trees.flatMap(deniedBelow)
  if (denied.length > 0) throw refused(`the function ${denied[0]} is not allowed in a FROM`)
  return kind
}

/** @returns the parse trees of the statements; undefined when one of them is not a SELECT */
async function parsedSelects(engine: EmbeddedEngine, sql: string): Promise<JsonValue[] | undefined> {
  const [row] = await engine.rows(`SELECT json_serialize_sql(${sqlString(sql)})::VARCHAR AS tree`)
  const { error, error_type, error_message, statements } = JSON.parse(String(row?.tree)) as JsonObject
  if (error_type === 'parser') throw new Error(`Parser Error: ${error_message}`)
  return error === false && Array.isArray(statements) ? statements : undefined
}

/** @returns the parse tree of the SELECT inside an EXPLAIN; undefined for any other statement */
async function explained(engine: EmbeddedEngine, sql: string): Promise<JsonValue[] | undefined> {
  const begin = /^\s*explain\b(?:\s*\(\s*(?:analyze|format)\b[^()]*\)|\s+analyze\b)?/i.exec(sql)
  if (begin === null) return undefined
  const selects = await parsedSelects(engine, sql.slice(begin[0].length))
  return selects?.length === 1 ? selects : undefined
}

/**
 * Recognizes a PIVOT without a list of values by its text. The engine treats it as two statements, the first of which
 * collects the values, and gives no parse tree for it.
 */
function isDynamicPivot(sql: string): boolean {
  return /^\s*(?:pivot|from|select|with)\b/i.test(sql) && /\bpivot\b/i.test(sql) && !/;\s*\S/.test(sql)
}

/** Finds forbidden functions in a text without a parse tree, by their names before a parenthesis or a comment. */
async function deniedInText(engine: EmbeddedEngine, sql: string): Promise<string[]> {
  const functions = await engine.rows(
    "SELECT DISTINCT function_name AS name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma')",
  )
  return functions
    .map(({ name }) => String(name))
    .filter(
      (name) =>
        !tableFunctions.test(name) && new RegExp(String.raw`\b${name}"?\s*(?:\(|--|/\*)`, 'i').test(sql),
    )
}

function deniedBelow(tree: JsonValue): string[] {
  if (Array.isArray(tree)) return tree.flatMap(deniedBelow)
  if (!isJsonObject(tree)) return []
  const name =
    tree.type === 'TABLE_FUNCTION' && isJsonObject(tree.function)
      ? String(tree.function.function_name)
      : undefined
  const own = name === undefined || tableFunctions.test(name) ? [] : [name]
  return [...own, ...Object.values(tree).flatMap(deniedBelow)]
}

function refused(reason: string): TailraceError {
  return new TailraceError('QUERY_REFUSED', `The statement was not run: ${reason}`)
}
