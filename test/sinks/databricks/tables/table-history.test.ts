import assert from 'node:assert/strict'
import test from 'node:test'
import { readTableHistory } from '../../../../src/sinks/databricks/tables/table-history.ts'
import type { Warehouse } from '../../../../src/sinks/databricks/warehouse/warehouse.ts'

const name = { catalog: 'lake', schema: 'logs', table: 'logs' }

/** A warehouse whose table has these versions, the newest one first. */
function withHistory(versions: readonly (readonly [number, string])[]): Warehouse {
  return {
    location: 'test',
    execute: async ({ label }) =>
      label === 'read the history of the table'
        ? versions.map(([version, operation]) => ({ version, operation, userName: 'somebody' }))
        : [{ name: 'tailrace' }],
    close: async () => {},
  }
}

const histories: readonly {
  readonly what: string
  readonly versions: readonly (readonly [number, string])[]
  readonly isUntouched: boolean
}[] = [
  { what: 'was only created', versions: [[0, 'CREATE TABLE']], isUntouched: true },
  {
    what: 'was optimized after its creation',
    versions: [
      [2, 'OPTIMIZE'],
      [1, 'ADD COLUMNS'],
      [0, 'CREATE TABLE'],
    ],
    isUntouched: true,
  },
  {
    what: 'was loaded',
    versions: [
      [1, 'COPY INTO'],
      [0, 'CREATE TABLE'],
    ],
    isUntouched: false,
  },
  { what: 'was created from a query', versions: [[0, 'CREATE TABLE AS SELECT']], isUntouched: false },
  {
    what: 'has forgotten its loads, because they are older than a month',
    versions: [
      [812, 'VACUUM END'],
      [811, 'OPTIMIZE'],
    ],
    isUntouched: false,
  },
]

for (const { what, versions, isUntouched } of histories) {
  test(`a table that ${what} ${isUntouched ? 'has' : 'may have'} ${isUntouched ? 'no ' : ''}landed rows`, async () => {
    const found = await readTableHistory(withHistory(versions), name, undefined)
    assert.equal(found.isUntouched, isUntouched)
  })
}
