import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { JsonRow } from '../../../src/sinks/encoding/engine.ts'
import { landAll, openBench } from '../../commands/command-fixture.ts'
import { selectFrom } from '../../support/table-rows.ts'

/** A line of a producer, and the values of its first row. */
export interface ShapeCase {
  readonly name: string
  readonly line: string
  readonly want: Readonly<Record<string, string | number | null>>
}

export const shapeCases: readonly ShapeCase[] = [
  'log-shapes.ndjson',
  'more-log-shapes.ndjson',
  'prefix-shapes.ndjson',
  'program-shapes.ndjson',
  'field-shapes.ndjson',
].flatMap((file) =>
  readFileSync(new URL(file, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): ShapeCase => JSON.parse(line)),
)

/** Lands lines by a run. @param name the blob's @returns the rows of each line, without `raw` */
export async function landedRows(
  t: TestContext,
  lines: readonly string[],
  name = 'logs',
): Promise<readonly (readonly JsonRow[])[]> {
  const bench = await openBench(t)
  const blob = bench.storage.container.getAppendBlobClient(name)
  await blob.create()
  const rowsAt = new Map<number, JsonRow[]>()
  let offset = 0
  const blocks: Buffer[] = []
  for (const line of lines) {
    rowsAt.set(offset, [])
    const bytes = Buffer.from(`${line}\n`)
    blocks.push(bytes)
    offset += bytes.length
  }
  await blob.appendBlock(Buffer.concat(blocks), offset)
  await landAll(bench.config({ logs: { blob: name } }))
  const rows = await selectFrom(
    join(bench.directory, 'lakehouse/test/logs/logs'),
    (from) =>
      `SELECT * EXCLUDE (raw), event_time::VARCHAR AS event_time,
        commit_time::VARCHAR AS commit_time FROM ${from} ORDER BY source_offset, source_index`,
  )
  for (const row of rows) rowsAt.get(Number(row.source_offset))?.push(row)
  return [...rowsAt.values()]
}
