import assert from 'node:assert/strict'
import test from 'node:test'
import { resolveConfig } from '../../src/config/resolve.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { catalog, landAll, openWorkspaceBench, schema } from './workspace-bench.ts'

const lines = (from: number, count: number): Buffer =>
  linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index)))

for (const mode of ['auto', 'copy-into', 'merge'] as const) {
  test(`runs and their batches are rows of a table in the workspace, once, by ${mode}`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const runs = { table: `${catalog}.${schema}.tailrace_runs` }
    const config = resolveConfig({ ...bench.rawConfig({ mode }), runs }, bench.directory)
    for (const count of [3, 2]) {
      await bench.storage.append('primary.ndjson', lines(count * 10, count))
      await landAll(config)
    }
    const rows = await bench.warehouse.rows(
      `SELECT kind, row_count::INTEGER AS row_count, outcome, count(*)::INTEGER AS n
        FROM "${catalog}"."${schema}".tailrace_runs GROUP BY ALL ORDER BY kind, row_count`,
    )
    assert.deepEqual(rows, [
      { kind: 'batch', row_count: 2, outcome: null, n: 1 },
      { kind: 'batch', row_count: 3, outcome: null, n: 1 },
      { kind: 'end', row_count: 2, outcome: 'done', n: 1 },
      { kind: 'end', row_count: 3, outcome: 'done', n: 1 },
      { kind: 'start', row_count: null, outcome: null, n: 2 },
    ])
  })
}
