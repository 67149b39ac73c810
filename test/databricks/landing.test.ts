import assert from 'node:assert/strict'
import test from 'node:test'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { landAll, openWorkspaceBench, tableSql } from './workspace-bench.ts'

for (const sink of [
  { mode: 'auto' },
  { mode: 'transaction', upload: 'files-api' },
  { mode: 'replace-where' },
  { mode: 'copy-into' },
  { mode: 'copy-into', upload: 'files-api' },
  { mode: 'merge' },
] as const) {
  test(`every line is a row once, by ${Object.values(sink).join(' and ')}, and a second run adds what is new`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const config = bench.config(sink)
    const lines = (from: number, count: number): Buffer =>
      linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index)))
    await bench.storage.append('primary.ndjson', lines(0, 1_000))
    await landAll(config)
    await bench.storage.append('primary.ndjson', lines(1_000, 500))
    const summary = await landAll(config)
    assert.equal(summary.pipelines.primary?.rows, 500)
    const [count] = await bench.warehouse.rows(
      `SELECT count(*)::INTEGER AS n, count(DISTINCT source_offset)::INTEGER AS places, sum(source_length)::INTEGER AS bytes FROM ${tableSql}`,
    )
    assert.deepEqual(count, {
      n: 1_500,
      places: 1_500,
      bytes: lines(0, 1_000).length + lines(1_000, 500).length,
    })
  })
}
