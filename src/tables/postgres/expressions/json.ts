import { sqlString } from '../../sql.ts'

/** Keys and the types to read them as; nested objects become nested structs. */
export interface JsonStructure {
  readonly [key: string]: 'VARCHAR' | 'JSON' | JsonStructure
}

/** SQL that takes a well-formed JSON text apart. Missing keys are NULL; of a repeated key the first counts. */
export function takeApart(text: string, structure: JsonStructure): string {
  return `json_transform(${text}, ${sqlString(JSON.stringify(structure))})`
}

/** A structure whose keys are all read as text. */
export function textKeys(keys: readonly string[]): JsonStructure {
  return Object.fromEntries(keys.map((key) => [key, 'VARCHAR' as const]))
}

/** A JSON path to a key, given as one name per level. */
export function jsonPath(keys: readonly string[]): string {
  return `$${keys.map((key) => `."${key.replace(/["\\]/g, '\\$&')}"`).join('')}`
}

// Characters that no JSON text holds unescaped stand for what has to be set aside meanwhile.
const backslash = 'chr(1)'
const highHalf = 'chr(2)'
const lowHalf = 'chr(3)'

/**
 * SQL that replaces halves of surrogate pairs that stand alone by U+FFFD: legal in JSON, refused by DuckDB.
 *
 * @returns the text itself where nothing of the kind is in it
 */
export function withoutLoneSurrogates(text: string): string {
  const pair = String.raw`\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})`
  const aside = `regexp_replace(replace(${text}, '\\\\', ${backslash}), '${pair}', ${highHalf} || '\\1' || ${lowHalf} || '\\2', 'g')`
  const replaced = `regexp_replace(${aside}, '${String.raw`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`}', '\\\\ufffd', 'g')`
  return `replace(replace(replace(${replaced}, ${highHalf}, '\\u'), ${lowHalf}, '\\u'), ${backslash}, '\\\\')`
}
