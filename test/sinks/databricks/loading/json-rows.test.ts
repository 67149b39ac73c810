import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { readRowChunks } from '../../../../src/sinks/databricks/loading/json-rows.ts'
import { EmbeddedEngine, sqlString, type WrittenFile } from '../../../../src/sinks/encoding/engine.ts'
import { parquetOptions } from '../../../../src/sinks/encoding/statement-settings.ts'
import { type Column, provenanceColumns } from '../../../../src/tables/table.ts'
import { temporaryDirectory } from '../../../support/temporary-directory.ts'

const columns: readonly Column[] = [
  ...provenanceColumns,
  { name: 'message', type: 'string', comment: 'A long one.' },
]

const maxBytes = 1024 * 1024
const messageBytes = 300 * 1024

/** Rows of 300 KiB in a file, in no order. */
async function written(
  t: TestContext,
  { rows, place }: { readonly rows: number; readonly place: string },
): Promise<{ readonly engine: EmbeddedEngine; readonly files: readonly WrittenFile[] }> {
  const directory = await temporaryDirectory(t)
  const engine = await EmbeddedEngine.open({ temporaryDirectory: join(directory, 'spill') })
  t.after(() => engine.close())
  // The encoder writes such rows in pieces.
  const files = await engine.withSettings({ memory_limit: '1GiB' }, () =>
    engine.copy(`COPY (SELECT 'b' AS source_blob, 'g' AS source_generation, ${place}, 10::BIGINT AS source_length,
        'ok' AS parse_status, TIMESTAMPTZ '2026-11-24 09:00:00Z' AS ingest_ts, repeat('a', ${messageBytes}) AS message
      FROM (SELECT (i * 7) % ${rows} AS o FROM range(0, ${rows}) AS r(i)))
      TO ${sqlString(join(directory, 'rows.parquet'))} (${parquetOptions})`),
  )
  return { engine, files }
}

const shapes = {
  'lines of their own': 'o * 10 AS source_offset, 0::INTEGER AS source_index',
  'records of one gzip member': '0::BIGINT AS source_offset, o::INTEGER AS source_index',
}

for (const [shape, place] of Object.entries(shapes)) {
  for (const order of ['any', 'by-place'] as const) {
    test(`100 MB of rows that are ${shape} are read ${order} in chunks of a MiB by an engine of 200 MiB`, async (t) => {
      const rows = 341
      const { engine, files } = await written(t, { rows, place })
      const found: number[] = []
      await readRowChunks({ engine, files, columns, order, times: 'text', maxBytes }, async (chunk) => {
        const parsed = chunk.rows.map((row) => JSON.parse(row))
        assert.ok(chunk.rows.reduce((sum, row) => sum + row.length + 1, 0) <= maxBytes)
        const first = { offset: parsed[0].source_offset, index: parsed[0].source_index }
        assert.deepEqual(chunk.first, first)
        for (const { source_offset, source_index, message } of parsed) {
          assert.equal(message.length, messageBytes)
          found.push(source_offset / 10 + source_index)
        }
      })
      if (order === 'any') found.sort((a, b) => a - b)
      assert.deepEqual(
        found,
        Array.from({ length: rows }, (_, index) => index),
      )
    })
  }
}
