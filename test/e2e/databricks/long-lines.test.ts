import test from 'node:test'
import { catalog, openWorkspaceBench, schema } from '../../databricks/workspace-bench.ts'
import { landWithinMemory, linesAsBytes, skipWithoutPeak as skip } from '../../support/land-within-memory.ts'

const statement = 'INSERT INTO t VALUES (1, 2), '
const longestBytes = 16 * 1024 * 1024 - 1_024

/** Lines of nearly 16 MiB: a text, and a record that quotes it. */
function longLines(): readonly [string, string] {
  const message = `2026-11-24 08:54:35.875 UTC [77] LOG:  statement: ${statement.repeat(longestBytes / statement.length)}`
  const properties = { message, processId: 77, errorLevel: 'LOG' }
  return [message, JSON.stringify({ time: '2026-11-24T08:54:36Z', category: 'PostgreSQLLogs', properties })]
}

for (const mode of ['transaction', 'replace-where', 'copy-into', 'merge', 'zerobus'] as const) {
  test(`lines of 16 MiB land by ${mode} within 450 MB of memory`, { skip }, async (t) => {
    const bench = await openWorkspaceBench(t)
    const [text, record] = longLines()
    await landWithinMemory(
      t,
      { 'long.json': linesAsBytes([text, record, text]) },
      // Where rows travel as JSON the table gets the beginnings of such lines; the encoder has rejected none.
      { rows: 3, rejected: 0 },
      { sink: bench.sink({ mode, upload: 'files-api' }), schema: `${catalog}.${schema}` },
    )
  })
}
