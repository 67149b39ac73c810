import { databricksTypes } from '../../src/sinks/databricks/tables/definition.ts'
import type { TableDeclaration } from '../../src/tables/table.ts'

/** The columns of a declaration for a CREATE TABLE that somebody else would write, without comments. */
export function plainColumnsSql({ columns }: Pick<TableDeclaration, 'columns'>): string {
  return columns
    .map(({ name, type, isRequired }) => {
      return `\`${name}\` ${databricksTypes[type]}${isRequired === true ? ' NOT NULL' : ''}`
    })
    .join(', ')
}

/** For statements that the workspace double runs for somebody else. */
export const elsewhere = {
  parameters: [],
  catalog: undefined,
  schema: undefined,
  signal: new AbortController().signal,
}
