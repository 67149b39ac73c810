import type { Clock } from '../../clock.ts'
import { TailraceError } from '../../errors.ts'
import type { PageStatements } from '../../page/sql/page-statements.ts'
import type { Logger } from '../../reporting/logger.ts'
import type { SinkQuery, SinkTarget } from '../../sinks/sink.ts'

/** Statements that may run at once: each opens a session of its own. */
const maxRunning = 2

/** A warehouse that was stopped takes minutes to start. */
const maxMs = 600_000

/**
 * Statements over tables that an engine elsewhere has, such as the warehouse of a workspace. Nothing is sent but what a
 * person runs: each statement can start a warehouse, which costs money.
 */
export function remoteStatements(
  ability: SinkQuery,
  targets: readonly SinkTarget[],
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): PageStatements {
  let running = 0
  const relations = targets.map((target) => ({
    name: ability.relationOf(target),
    kind: 'table' as const,
    comment: '',
    columns: target.table.columns.map(({ name, type, comment }) => ({ name, type, comment })),
  }))
  return {
    note: `Statements run in the SQL warehouse of ${targets.map(({ name }) => name).join(', ')}: one that is stopped starts, and costs money while it runs. A statement may read and call all that the principal of sink.auth may. Nothing is sent until you run a statement.`,
    limit: {
      maxMs,
      remedy: 'Select a shorter time or fewer rows. If the warehouse was starting, run the statement again.',
    },
    catalog: async () => ({ logs: [], relations, functions: [] }),
    run: async ({ sql, take, signal }) => {
      if (running >= maxRunning)
        throw new TailraceError('QUERY_BUSY', `${maxRunning} statements run in the warehouse.`)
      running += 1
      try {
        await ability.run(targets, {
          sql: readingSql(sql),
          unsafe: false,
          moment: {},
          take,
          signal,
          clock,
          logger,
        })
        return { files: 0, readFiles: 0 }
      } finally {
        running -= 1
      }
    },
    writeParquet: async () => {
      throw new TailraceError('QUERY_REFUSED', 'A warehouse gives rows, not files: export CSV or JSON.')
    },
  }
}

/** Comments, names and texts of Spark's SQL. In a raw text, a backslash does not keep the quote behind it from ending it. */
const quoted =
  /--[^\r\n]*|\/\*[\s\S]*?\*\/|`[^`]*`|\br(?:'[^']*'|"[^"]*")|'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"/gi

/**
 * A comment that ends for Spark where it ends here. Spark nests comments, reads hints as code, in which a text may hold the
 * end of a comment, and goes on with a line behind a backslash.
 */
const hasPlainEnd = /^(?:--.*(?<!\\)|\/\*(?:(?!\/\*)[^'"`])*)$/s

/** Functions that send something elsewhere or cost money by the call, and IDENTIFIER, which can name them by a text. */
const reachingOut = /\b(http_request|ai_\w+|remote_query|identifier)`?\s*\(/i

function commentRefused(): TailraceError {
  const message =
    'A comment between /* and */ may hold no quote and no other comment, and one behind -- no backslash at its end.'
  return new TailraceError('QUERY_REFUSED', message)
}

/**
 * Only a query can stand in parentheses, so the warehouse itself refuses any statement that would change something.
 *
 * @throws QUERY_REFUSED for several statements, for comments of which the end is not plain, and for calls of functions that
 * reach out of the workspace
 */
function readingSql(sql: string): string {
  // Of the same length, with nothing but code.
  const code = sql.replace(quoted, (found) => {
    if (/^(?:--|\/\*)/.test(found)) {
      if (!hasPlainEnd.test(found)) throw commentRefused()
      return ' '.repeat(found.length)
    }
    // A quoted name can be that of a function.
    return /^`\w+`$/.test(found) ? found : "'".repeat(found.length)
  })
  if (code.includes('/*')) throw commentRefused()
  const one = code.replace(/[\s;]+$/, '')
  if (one.includes(';'))
    throw new TailraceError('QUERY_REFUSED', 'One SELECT at a time: found more behind a semicolon.')
  const [, name] = reachingOut.exec(one) ?? []
  if (name !== undefined)
    throw new TailraceError(
      'QUERY_REFUSED',
      `${name}() cannot be called from the page, because it can have effects outside of the tables.`,
    )
  // The line break ends a comment.
  return `SELECT * FROM (\n${sql.slice(0, one.length)}\n) AS statement`
}
