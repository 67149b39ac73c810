import { joinedTexts, sqlString } from '../../sql.ts'

/** Keys to read and their types; nested objects become nested structs. */
export interface JsonStructure {
  readonly [key: string]: 'VARCHAR' | 'JSON' | JsonStructure
}

/** SQL that parses a well-formed JSON text to a struct. Missing keys are NULL; the first of repeated keys counts. */
export function jsonStruct(text: string, structure: JsonStructure): string {
  return `json_transform(${text}, ${sqlString(JSON.stringify(structure))})`
}

/** @returns a structure that reads all keys as text */
export function textKeys(keys: readonly string[]): JsonStructure {
  return Object.fromEntries(keys.map((key) => [key, 'VARCHAR' as const]))
}

/** @returns a JSON path. @param keys one key per level */
export function jsonPath(keys: readonly string[]): string {
  return `$${keys.map((key) => `."${key.replace(/["\\]/g, '\\$&')}"`).join('')}`
}

/** SQL of a JSON object; NULL for an empty list. @param members SQL of a list of its members' texts */
export function jsonObject(members: string): string {
  return `'{' || ${joinedTexts(members, ',')} || '}'`
}

/** SQL of a constant list of texts. To plan one function takes the engine less time than to plan a list of constants. */
export function constantList(texts: readonly string[]): string {
  return texts.length === 0 ? '[]' : `string_split(${sqlString(texts.join('\x1f'))}, ${sqlString('\x1f')})`
}

/**
 * SQL of the text that stands beside the first of some words in a list of pairs; NULL when the list has none of them.
 *
 * The optimizer folds both lists to constants. It would make a join of each IN.
 */
export function constantLookup(
  pairs: readonly (readonly [text: string, word: string])[],
  ...words: readonly string[]
): string {
  const listed = constantList(pairs.map(([, word]) => word))
  const places = words.map((word) => `nullif(list_position(${listed}, ${word}), 0)`)
  return `${constantList(pairs.map(([text]) => text))}[coalesce(${places.join(', ')})]`
}

// Placeholders during the replacement: characters that a JSON text never contains unescaped.
const backslash = 'chr(1)'
const highHalf = 'chr(2)'
const lowHalf = 'chr(3)'

/**
 * SQL that replaces lone surrogates by U+FFFD. JSON allows them, but DuckDB refuses them. Other text stays unchanged.
 */
export function withoutLoneSurrogates(text: string): string {
  const pair = String.raw`\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})`
  const aside = `regexp_replace(replace(${text}, '\\\\', ${backslash}), '${pair}', ${highHalf} || '\\1' || ${lowHalf} || '\\2', 'g')`
  const replaced = `regexp_replace(${aside}, '${String.raw`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`}', '\\\\ufffd', 'g')`
  return `replace(replace(replace(${replaced}, ${highHalf}, '\\u'), ${lowHalf}, '\\u'), ${backslash}, '\\\\')`
}
