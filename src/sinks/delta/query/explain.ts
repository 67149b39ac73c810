/**
 * Runs an EXPLAIN of a statement.
 *
 * @param run runs the EXPLAIN
 * @throws what `run` throws, with the line numbers of `sql`
 */
export async function explain<Result>(
  kind: 'ANALYZE' | '(FORMAT JSON)',
  sql: string,
  run: (statement: string) => Promise<Result>,
): Promise<Result> {
  try {
    // On a line of its own, so that the line quoted in an error is one of `sql`.
    return await run(`EXPLAIN ${kind}\n${sql}`)
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replace(quotedLine, oneLineUp)
    throw error
  }
}

/** The line that an engine's message quotes, with a caret below the fault. */
const quotedLine = /^LINE (\d+): (.*)\n( *)\^/m

function oneLineUp(_quoted: string, number: string, line: string, indent: string): string {
  const before = String(Number(number) - 1)
  return `LINE ${before}: ${line}\n${indent.slice(number.length - before.length)}^`
}
