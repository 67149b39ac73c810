import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Span } from '../../../../src/records.ts'
import { RangeRows, rangesOf } from '../../../../src/sinks/databricks/loading/range-rows.ts'
import type { Warehouse } from '../../../../src/sinks/databricks/warehouse/warehouse.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'

type Statement = Parameters<Warehouse['execute']>[0]

const { name } = postgresLogs('a.b.c')
const spansOf = (count: number): Span[] =>
  Array.from({ length: count }, (_, index) => ({
    blob: `logs/${index}`,
    generation: '20261124T084700Z',
    start: index,
    end: index + 10,
  }))

/** A warehouse that answers each statement with the same rows, and keeps the statements. */
function answering(rows: Awaited<ReturnType<Warehouse['execute']>>) {
  const statements: Statement[] = []
  const execute: Warehouse['execute'] = async (statement) => {
    statements.push(statement)
    return rows
  }
  return { statements, ranges: new RangeRows({ execute } as Warehouse, name) }
}

test('the rows of any number of ranges are counted once each, in statements of at most 256 parameters', async () => {
  const blobsIn = ({ parameters = {} }: Statement): unknown[] => {
    assert.ok(Object.keys(parameters).length <= 256)
    if (typeof parameters.ranges === 'string') {
      return JSON.parse(parameters.ranges).map(({ blob }: Span) => blob)
    }
    return Object.entries(parameters).flatMap(([key, value]) => (key.startsWith('blob') ? [value] : []))
  }
  for (const [count, few] of [
    [0, 0],
    [1, 1],
    [50, 1],
    [51, 1],
    [10_000, 3],
  ] as const) {
    const { statements, ranges } = answering([{ row_count: 7 }])
    assert.equal(await ranges.count(spansOf(count)), 7 * few)
    assert.deepEqual(
      statements.flatMap(blobsIn),
      spansOf(count).map(({ blob }) => blob),
    )
  }
})

test('an answer without a row counts nothing, and every statement may be repeated', async () => {
  const { statements, ranges } = answering([])
  const [span] = spansOf(1)
  const times = { ingestedFrom: '2026-11-24 08:47:00', ingestedTo: '2026-11-24 08:48:00' }
  assert.equal(await ranges.count([span!]), 0)
  assert.equal(await ranges.remove(span!, times), 0)
  assert.deepEqual(await ranges.ends(), [])
  assert.deepEqual(
    statements.map(({ repeatable }) => repeatable),
    [true, true, true, true],
  )
  assert.equal(await answering([{ num_affected_rows: 5 }]).ranges.remove(span!, times), 5)
})

test('an error names the first three ranges and how many there are more', () => {
  const named = ', of logs/0 from 0 to 10, logs/1 from 1 to 11, logs/2 from 2 to 12'
  assert.equal(rangesOf(spansOf(1)), ', of logs/0 from 0 to 10')
  assert.equal(rangesOf(spansOf(3)), named)
  assert.equal(rangesOf(spansOf(5)), `${named} and 2 more`)
})
