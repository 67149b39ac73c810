import { type SqlCursor, splitAtCommas } from './sql-cursor.ts'
import type { Assignment } from './sql-merge.ts'
import type { Token } from './sql-tokens.ts'

export interface InsertStatement {
  readonly kind: 'INSERT'
  readonly table: readonly string[]
  /** Undefined matches columns by position. */
  readonly columns: readonly string[] | undefined
  /** The rows to remove first; undefined for none. */
  readonly replaceWhere: readonly Token[] | undefined
  readonly query: readonly Token[]
}

export interface UpdateStatement {
  readonly kind: 'UPDATE'
  readonly table: readonly string[]
  readonly assignments: readonly Assignment[]
  readonly condition: readonly Token[] | undefined
}

/**
 * Reads what follows INSERT INTO. A list of columns and REPLACE WHERE are alternatives in the grammar of the page
 * "INSERT" of the Databricks SQL reference (read 2026-11-29).
 */
export function parseInsert(cursor: SqlCursor): InsertStatement {
  cursor.skip('TABLE')
  const table = cursor.name()
  const columns = cursor.atSymbol('(') ? cursor.list(() => cursor.identifier()) : undefined
  let replaceWhere: readonly Token[] | undefined
  if (columns === undefined && cursor.skip('REPLACE', 'WHERE')) {
    replaceWhere = cursor.until('SELECT')
    if (replaceWhere.length === 0) throw cursor.failure()
  }
  if (!cursor.at('SELECT')) throw cursor.failure()
  return { kind: 'INSERT', table, columns, replaceWhere, query: cursor.until() }
}

/** Reads what follows UPDATE. */
export function parseUpdate(cursor: SqlCursor): UpdateStatement {
  const table = cursor.name()
  cursor.expect('SET')
  const assignments = splitAtCommas(cursor.until('WHERE')).map(([column, equals, ...value]) => {
    if (column === undefined || equals?.text !== '=' || value.length === 0) throw cursor.failure()
    return { column: column.text, value }
  })
  return {
    kind: 'UPDATE',
    table,
    assignments,
    condition: cursor.skip('WHERE') ? cursor.until() : undefined,
  }
}
