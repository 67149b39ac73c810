import assert from 'node:assert/strict'
import { test } from 'node:test'
import { landedRows, shapeCases } from './shape-cases.ts'

// Values that a line alone cannot give.
const exceptions = new Map([
  // The level of the record that the line continues.
  ['text DETAIL line', ['severity']],
])

test('each known shape of a log record fills the columns that it has values for', async (t) => {
  const rows = await landedRows(
    t,
    shapeCases.map(({ line }) => line),
  )
  const wrong = shapeCases.flatMap(({ name, want }, index) => {
    const row = rows[index]![0] ?? {}
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

test('a day without a year has that of the month in the name of its blob', async (t) => {
  const line = 'I1231 23:59:59.875000       1 leaderelection.go:250] attempting to acquire leader lease'
  const rows = await landedRows(t, [line], 'operator/y=2027/m=01/d=01/h=00/m=00/PT1H.json')
  assert.deepEqual(
    rows[0]!.map((row) => [row.event_time, row.parse_status]),
    [['2026-12-31 23:59:59.875+00', 'ok']],
  )
})
