import type { TestContext } from 'node:test'
import { DuckDBConnection } from '@duckdb/node-api'

type Statement = (this: DuckDBConnection, sql: string, ...rest: unknown[]) => Promise<unknown>

const names = ['run', 'runAndReadAll', 'stream', 'streamAndRead'] as const

/**
 * Watches every statement that any engine of this process runs, until the test ends or the returned function is called.
 *
 * @param before hears of a statement before it runs; what it throws is how the statement ends, without having run
 */
export function watchStatements(t: Pick<TestContext, 'after'>, before: (sql: string) => void): () => void {
  const prototype = DuckDBConnection.prototype as unknown as Record<string, Statement>
  const original = Object.fromEntries(names.map((name) => [name, prototype[name] as Statement]))
  for (const name of names) {
    prototype[name] = async function (sql, ...rest) {
      before(sql)
      return original[name]?.call(this, sql, ...rest)
    }
  }
  const restore = (): void => void Object.assign(prototype, original)
  t.after(restore)
  return restore
}
