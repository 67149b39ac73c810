import type { SqlCursor } from './sql-cursor.ts'

/** `('key' = 'value', …)`; a key may also be a dotted name, and a value a number or a word such as true. */
export function parseOptions(cursor: SqlCursor): ReadonlyMap<string, string> {
  const entries = cursor.list((): [string, string] => {
    const key = cursor.peek().kind === 'string' ? cursor.string() : cursor.name().join('.')
    cursor.expectSymbol('=')
    const { kind } = cursor.peek()
    if (kind !== 'string' && kind !== 'number' && kind !== 'word') throw cursor.failure()
    return [key, cursor.next().text]
  })
  return new Map(entries)
}
