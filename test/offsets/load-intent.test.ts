import assert from 'node:assert/strict'
import { test } from 'node:test'
import { intendedRows, type LoadIntent } from '../../src/offsets/load-intent.ts'

test('a load is complete with the rows of all its files', () => {
  const intent = (rows: readonly number[]): LoadIntent => ({
    id: 'b',
    mode: 'copy-into',
    spans: [],
    files: rows.map((count, index) => ({ name: `${index}.parquet`, bytes: 1, rows: count })),
  })
  assert.equal(intendedRows(intent([])), 0)
  assert.equal(intendedRows(intent([7])), 7)
  assert.equal(intendedRows(intent([7, 0, 35])), 42)
})
