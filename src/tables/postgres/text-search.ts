/** The columns that are searched for a text. */
export const searchedColumns: readonly string[] = ['message', 'detail', 'hint', 'context', 'statement']

/**
 * @param quote writes a text as a literal of a dialect
 * @returns SQL of a condition that a record contains a text, in any case of letters. A rejected row has no columns but its
 *   line, so that is searched
 */
export function recordContainsSql(text: string, quote: (text: string) => string): string {
  // ILIKE with an escape takes twice the time in the embedded engine.
  const contains = (column: string): string => `contains(lower(${column}), lower(${quote(text)}))`
  return `(${searchedColumns.map(contains).join(' OR ')} OR (parse_status = 'rejected' AND ${contains('raw')}))`
}
