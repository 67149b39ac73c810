import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { linesOf, projectionSql } from '../../../src/sinks/encoding/projection.ts'
import { postgresLogs } from '../../../src/tables/postgres/logs.ts'
import { encoderFixture } from '../encoder-harness.ts'

test('a plain file of lines is projected to the same values as a spool', async (t) => {
  const declaration = postgresLogs('a.b.c', { role: 'primary' })
  const { engine, directory, rowsOf } = await encoderFixture(t, declaration)
  const lines = [
    '{"timestamp":"2026-11-24 08:54:35.875 UTC","pid":1,"error_severity":"LOG","message":"duration: 1.5 ms  statement: select 1","query_id":-6883023751393440299}',
    '{"category":"PostgreSQLLogs","properties":{"message":"LOG:  m","timestamp":"2026-11-24 08:54:36 UTC"}}',
    'nope',
    '{"a":"é"}',
  ]
  const path = join(directory, "it's.ndjson")
  await writeFile(path, `${lines.join('\n')}\n`)
  const projected = await engine.rows(projectionSql(declaration, { from: linesOf(path, 1000) }))
  const placed = new Set([
    'source_blob',
    'source_generation',
    'source_offset',
    'source_length',
    'source_index',
    'ingest_ts',
  ])
  const encoded = (await rowsOf(lines.map((raw) => ({ raw })))).map((row) =>
    Object.fromEntries(Object.entries(row).filter(([name]) => !placed.has(name))),
  )
  const byRaw = (rows: readonly Record<string, unknown>[]) =>
    new Map(rows.map(({ event_date, ...row }) => [row.raw, row]))
  assert.deepEqual(byRaw(projected), byRaw(encoded))
  assert.deepEqual(projected.map(({ event_date }) => event_date).sort(), [
    '2026-11-24',
    '2026-11-24',
    null,
    null,
  ])
})
