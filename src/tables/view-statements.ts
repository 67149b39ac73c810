import { qualifiedName, quoteName, quoteText } from './spark-sql.ts'
import type { TableName } from './table.ts'
import type { ViewSet } from './views.ts'

/** A table whose rows views read. */
export interface ViewedTable {
  readonly name: TableName
  readonly columns: readonly { readonly name: string }[]
}

/**
 * Formats the statements that create the views of a set in Spark or Databricks, in the schema of its tables. Every name
 * in them is qualified, so that they do not depend on a session's current schema.
 *
 * @param tables tables of one schema, at least one
 */
export function createViewStatements(
  { relation, functions, views }: ViewSet,
  tables: readonly [ViewedTable, ...ViewedTable[]],
): readonly string[] {
  const [{ name: first, columns }, ...others] = tables
  // Tables of one declaration may have more columns each, which no view reads.
  const shared = columns.filter(({ name }) =>
    others.every((table) => table.columns.some((column) => column.name === name)),
  )
  const qualified = (name: string): string => qualifiedName({ ...first, table: name })
  const list = shared.map(({ name }) => quoteName(name)).join(', ')
  const union = tables.map(({ name }) => `SELECT ${list} FROM ${qualifiedName(name)}`).join('\nUNION ALL\n')
  const relations = [relation, ...views().map(({ name }) => name)].join('|')
  const references = new RegExp(String.raw`\b(FROM|JOIN) (${relations})\b`, 'g')
  const calls = new RegExp(String.raw`\b(${functions.map(({ name }) => name).join('|')})\(`, 'g')
  return [
    ...functions.map(
      ({ name, comment, body, parameter = 'STRING' }) =>
        `CREATE OR REPLACE FUNCTION ${qualified(name)}(s ${parameter}) RETURNS STRING\nCOMMENT ${quoteText(comment)}\nRETURN ${body.spark}`,
    ),
    `CREATE OR REPLACE VIEW ${qualified(relation)}\nCOMMENT 'The rows of all tables of PostgreSQL logs together.' AS\n${union}`,
    ...views().map(({ name, comment, sql }) => {
      const body = sql
        .replaceAll(references, (_, word: string, reference: string) => `${word} ${qualified(reference)}`)
        .replaceAll(calls, (_, called: string) => `${qualified(called)}(`)
      return `CREATE OR REPLACE VIEW ${qualified(name)}\nCOMMENT ${quoteText(comment)} AS\n${body}`
    }),
  ]
}
