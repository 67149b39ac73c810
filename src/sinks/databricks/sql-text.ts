import type { TableName } from '../../tables/table.ts'

/** @returns `name` as a quoted identifier of Databricks SQL: between backticks, a backtick in it doubled. */
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
 * Unlike standard SQL, a literal processes backslash escapes, so a backslash is escaped as well as a quote:
 * https://docs.databricks.com/aws/en/sql/language-manual/data-types/string-type (read 2026-11-24). `${…}` would be
 * replaced by a variable's value before the statement is parsed.
 */
export function quoteText(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll("'", "\\'")
    .replaceAll('\0', '\\0')
    .replaceAll('${', '\\u0024{')
  return `'${escaped}'`
}

/**
 * Quotes a path as it stands, for the statements that take no escapes in paths for granted (`PUT`, `LIST`, `COPY INTO`).
 *
 * @returns undefined for a path that would need an escape: with a quote, a backslash, `${` or a control character
 */
export function quotePath(path: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /['"\\\u0000-\u001f\u007f]|\$\{/.test(path) ? undefined : `'${path}'`
}
