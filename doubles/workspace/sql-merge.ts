import { type SqlCursor, splitAtCommas } from './sql-cursor.ts'
import { notEmulated } from './sql-failures.ts'
import type { Token } from './sql-tokens.ts'

export interface MergeStatement {
  readonly kind: 'MERGE'
  readonly target: readonly string[]
  readonly targetAlias: string
  /** A query. */
  readonly source: readonly Token[]
  readonly sourceAlias: string
  readonly condition: readonly Token[]
  /** What becomes of a row of the target that a row of the source matches; undefined leaves it. */
  readonly update: MergeUpdate | undefined
  /** The row to insert for a row of the source without a match; undefined to insert none. */
  readonly insert: MergeInsert | undefined
  /** Which rows of the target that no row of the source matches are deleted; undefined for none. */
  readonly deletion: readonly Token[] | undefined
}

export interface MergeUpdate {
  /** Which of the matched rows are changed; undefined for all. */
  readonly condition: readonly Token[] | undefined
  readonly assignments: readonly Assignment[]
}

export interface Assignment {
  readonly column: string
  readonly value: readonly Token[]
}

export interface MergeInsert {
  readonly columns: readonly string[]
  readonly values: readonly (readonly Token[])[]
}

/**
 * Parses the rest of a MERGE INTO statement, with at most one clause of each kind.
 *
 * They come in the order of Spark's grammar, whose rule `mergeIntoTable` is `matchedClause* notMatchedClause*
 * notMatchedBySourceClause*` (SqlBaseParser.g4, read 2026-11-24); the page of Databricks' reference shows none.
 */
export function parseMerge(cursor: SqlCursor): MergeStatement {
  const target = cursor.name()
  const targetAlias = alias(cursor, 'USING') ?? target.at(-1)!
  cursor.expect('USING')
  if (!cursor.atSymbol('(')) throw notEmulated('MERGE from anything but a query')
  const source = cursor.group()
  const sourceAlias = alias(cursor, 'ON') ?? 'source'
  cursor.expect('ON')
  const condition = cursor.until('WHEN')
  if (condition.length === 0 || cursor.atEnd) throw cursor.failure()
  const update = cursor.skip('WHEN', 'MATCHED') ? parseUpdate(cursor, targetAlias) : undefined
  const isInsert = cursor.at('WHEN', 'NOT', 'MATCHED') && !cursor.at('WHEN', 'NOT', 'MATCHED', 'BY', 'SOURCE')
  const insert = isInsert ? parseInsert(cursor) : undefined
  const deletion = cursor.skip('WHEN', 'NOT', 'MATCHED', 'BY', 'SOURCE') ? parseDeletion(cursor) : undefined
  return {
    kind: 'MERGE',
    target,
    targetAlias,
    source,
    sourceAlias,
    condition,
    update,
    insert,
    deletion,
  }
}

function parseUpdate(cursor: SqlCursor, targetAlias: string): MergeUpdate {
  const condition = cursor.skip('AND') ? cursor.until('THEN') : undefined
  if (!cursor.skip('THEN', 'UPDATE', 'SET')) throw notEmulated('DELETE of WHEN MATCHED')
  const assignments = splitAtCommas(cursor.until('WHEN')).map((tokens) => {
    const [qualifier, dot] = tokens
    const isQualified =
      dot?.text === '.' && qualifier?.text.toLowerCase() === targetAlias.toLowerCase() && tokens.length > 2
    const [column, equals, ...value] = isQualified ? tokens.slice(2) : tokens
    if (column === undefined || equals?.text !== '=' || value.length === 0) throw cursor.failure()
    return { column: column.text, value }
  })
  return { condition, assignments }
}

function parseInsert(cursor: SqlCursor): MergeInsert {
  cursor.expect('WHEN', 'NOT', 'MATCHED')
  cursor.skip('BY', 'TARGET')
  if (!cursor.skip('THEN', 'INSERT')) throw notEmulated('conditions of WHEN NOT MATCHED')
  const columns = cursor.list(() => cursor.identifier())
  cursor.expect('VALUES')
  const values = splitAtCommas(cursor.group())
  if (values.length !== columns.length) throw cursor.failure()
  return { columns, values }
}

function parseDeletion(cursor: SqlCursor): readonly Token[] {
  if (!cursor.skip('AND')) throw notEmulated('WHEN NOT MATCHED BY SOURCE without a condition')
  const condition = cursor.until('THEN')
  if (condition.length === 0) throw cursor.failure()
  if (!cursor.skip('THEN', 'DELETE')) throw notEmulated('UPDATE where nothing of the source matches')
  return condition
}

function alias(cursor: SqlCursor, before: string): string | undefined {
  if (cursor.skip('AS')) return cursor.identifier()
  return cursor.at(before) ? undefined : cursor.identifier()
}
