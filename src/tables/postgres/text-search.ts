/** The columns in which a search looks for a text. */
export const searchedColumns: readonly string[] = ['message', 'detail', 'hint', 'context', 'statement']

/**
 * @param quote writes a text as a literal of a dialect
 * @returns SQL of a condition that one of some columns contains a text, in any case of letters
 */
export function containsTextSql(
  columns: readonly string[],
  text: string,
  quote: (text: string) => string,
): string {
  const pattern = quote(`%${text.replace(/[!%_]/g, '!$&')}%`)
  return columns.map((column) => `${column} ILIKE ${pattern} ESCAPE '!'`).join(' OR ')
}
