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
