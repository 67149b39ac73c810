import type { TableName } from './table.ts'

/** @returns `name` as a quoted identifier of Spark and Databricks: in backticks, with backticks in it doubled. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/** @returns a table's three-part name, each part quoted. */
export function qualifiedName({ catalog, schema, table }: TableName): string {
  return [catalog, schema, table].map(quoteName).join('.')
}

/**
 * Quotes any text, such as a comment or a property's value, as a string literal of Databricks SQL.
 *
 * Databricks processes backslash escapes in literals, so backslashes are escaped as well as quotes:
 * https://docs.databricks.com/aws/en/sql/language-manual/data-types/string-type (read 2026-11-24). `${` is escaped
 * because `${…}` would be replaced by a variable's value before the statement is parsed.
 */
export function quoteText(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll("'", "\\'")
    .replaceAll('\0', '\\0')
    .replaceAll('${', '\\u0024{')
  return `'${escaped}'`
}
