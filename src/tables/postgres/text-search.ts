/** The columns in which a search looks for a text. */
export const searchedColumns: readonly string[] = ['message', 'detail', 'hint', 'context', 'statement']

/**
 * @param quote writes a text as a literal of a dialect
 * @returns SQL of a condition that a record contains a text, in any case of letters. A rejected row has no columns but its
 *   line, so that is searched
 */
export function recordContainsSql(text: string, quote: (text: string) => string): string {
  const pattern = quote(`%${text.replace(/[!%_]/g, '!$&')}%`)
  const contains = (column: string): string => `${column} ILIKE ${pattern} ESCAPE '!'`
  return `(${searchedColumns.map(contains).join(' OR ')} OR (parse_status = 'rejected' AND ${contains('raw')}))`
}
