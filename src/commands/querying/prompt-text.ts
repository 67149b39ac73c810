import { textFormats } from '../../reporting/text-formats.ts'
import type { CatalogEntry } from './catalog.ts'

/** @returns whether a statement has its semicolon, outside of quotes and comments */
export function isComplete(text: string): boolean {
  // Complete quotes and comments are left out, so that an open quote is the end of the rest.
  const rest = text.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\//g, ' ')
  return !/['"]|\/\*/.test(rest) && rest.trimEnd().endsWith(';')
}

const keywords =
  'SELECT FROM WHERE GROUP BY ORDER LIMIT HAVING JOIN LEFT ON AND OR NOT IN LIKE ILIKE BETWEEN IS NULL AS DISTINCT COUNT SUM AVG MIN MAX CASE WHEN THEN ELSE END WITH UNION ALL DESC INTERVAL DESCRIBE SUMMARIZE EXPLAIN'.split(
    ' ',
  )

const commands = ['\\d', '\\timing', '\\wide', '\\format', '\\q', '\\?']

/**
 * @param line the line up to the cursor
 * @returns the words that can end it, and the beginning that they replace, as `readline` takes them
 */
export function completionsOf(
  line: string,
  catalog: readonly CatalogEntry[],
): [words: string[], begun: string] {
  const [begun = ''] = /(?:"[^"]*|[\w.\\?]*)$/.exec(line) ?? []
  const candidates = line.startsWith('\\') ? commandWords(line, catalog) : statementWords(line, catalog)
  const words = candidates.filter((word) => word.toLowerCase().startsWith(begun.toLowerCase()))
  return [[...new Set(words)], begun]
}

function commandWords(line: string, catalog: readonly CatalogEntry[]): readonly string[] {
  if (line.startsWith('\\d ')) return catalog.map(({ name }) => name)
  return line.startsWith('\\format ') ? textFormats : commands
}

function statementWords(line: string, catalog: readonly CatalogEntry[]): readonly string[] {
  const names = catalog.map(({ name }) => name)
  if (/\b(?:from|join|describe|summarize)\s+\S*$/i.test(line)) return names
  return [...catalog.flatMap(({ columns }) => columns.map(({ name }) => name)), ...names, ...keywords]
}
