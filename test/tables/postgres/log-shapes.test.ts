import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { JsonRow } from '../../../src/sinks/encoding/engine.ts'
import { landAll, openBench } from '../../commands/command-fixture.ts'
import { selectFrom } from '../../support/table-rows.ts'

interface ShapeCase {
  readonly name: string
  readonly line: string
  readonly want: Readonly<Record<string, string | number | null>>
}

const cases = [
  'log-shapes.ndjson',
  'more-log-shapes.ndjson',
  'prefix-shapes.ndjson',
  'program-shapes.ndjson',
].flatMap((file) =>
  readFileSync(new URL(file, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): ShapeCase => JSON.parse(line)),
)

// Values that a line alone cannot give.
const exceptions = new Map([
  // The level of the record that the line continues.
  ['text DETAIL line', ['severity']],
])

test('each known shape of a log record fills the columns that it has values for', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ logs: {} })
  const blob = bench.storage.container.getAppendBlobClient('logs')
  await blob.create()
  const offsets = new Map<number, ShapeCase>()
  const bytes: Buffer[] = []
  let offset = 0
  for (const one of cases) {
    offsets.set(offset, one)
    const line = Buffer.from(`${one.line}\n`)
    bytes.push(line)
    offset += line.length
  }
  await blob.appendBlock(Buffer.concat(bytes), offset)
  await landAll(config)
  const rows = await selectFrom(
    join(bench.directory, 'lakehouse/test/logs/logs'),
    (from) =>
      `SELECT * EXCLUDE (raw), event_time::VARCHAR AS event_time,
        commit_time::VARCHAR AS commit_time FROM ${from} ORDER BY source_offset, source_index`,
  )
  const first = new Map<number, JsonRow>()
  for (const row of rows) {
    const at = Number(row.source_offset)
    if (!first.has(at)) first.set(at, row)
  }
  const wrong = [...offsets].flatMap(([at, { name, want }]) => {
    const row = first.get(at) ?? {}
    const differing = Object.entries(want).filter(
      ([column, value]) =>
        !exceptions.get(name)?.includes(column) && String(row[column] ?? '') !== String(value ?? ''),
    )
    return differing.length === 0
      ? []
      : [
          {
            name,
            differing: differing.map(([column, value]) => [column, value, row[column] ?? null]),
            error: row.parse_error,
          },
        ]
  })
  assert.deepEqual(wrong, [])
})
