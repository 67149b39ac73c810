import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { recordRows } from '../../src/run/record-rows.ts'
import { runsTable } from '../../src/tables/runs-table.ts'
import { provenanceColumns } from '../../src/tables/table.ts'

const table = runsTable('lake.logs.tailrace_runs')

test('docs/tables.md lists the columns of the table of runs', () => {
  const page = readFileSync(new URL('../../docs/tables.md', import.meta.url), 'utf8')
  const section = /<!-- runs-columns -->\n(.*?)<!-- \/runs-columns -->/s.exec(page)?.[1] ?? ''
  const rows = [...section.matchAll(/^\| `(\w+)` *\| (\w+) *\| (.*?) *\|$/gm)].map(([, ...cells]) => cells)
  const others = new Set([...provenanceColumns.map(({ name }) => name), 'parse_error', 'raw', 'event_date'])
  const own = table.columns.filter(({ name }) => !others.has(name))
  assert.deepEqual(
    rows,
    own.map(({ name, type, comment }) => [name, type, comment]),
  )
})

test('a record of a run is a row of its values, and a damaged line of a journal a rejected one', async () => {
  const record = { at: '2026-11-29T08:30:00.250Z', kind: 'batch', row_count: 3, pid: 7, is_recovered: true }
  const lines = [JSON.stringify(record), '{"at":', '{"at":"yesterday","kind":"end","later":1}']
  const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
  const rows = await recordRows('runs', { transforms: [], table }, bytes)
  assert.deepEqual(
    rows.map(({ parse_status, kind, row_count, pid, is_recovered, event_date }) => [
      parse_status,
      kind,
      row_count === null ? null : Number(row_count),
      pid,
      is_recovered,
      event_date === null ? null : String(event_date),
    ]),
    [
      ['ok', 'batch', 3, 7, true, '2026-11-29'],
      ['rejected', null, null, null, null, null],
      ['ok', 'end', null, null, null, null],
    ],
  )
  assert.match(String(rows[1]!.parse_error), /^not_json/)
})
