import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoadIntent } from '../../../../src/offsets/load-intent.ts'
import { CopyInto } from '../../../../src/sinks/databricks/loading/copy-into.ts'
import type { Warehouse } from '../../../../src/sinks/databricks/warehouse/warehouse.ts'
import { postgresLogs } from '../../../../src/tables/postgres/logs.ts'

const intent: LoadIntent = {
  id: 'batch',
  mode: 'copy-into',
  spans: [{ blob: 'logs/a', generation: '20261124T084700Z', start: 0, end: 10 }],
  files: [
    { name: 'batch/0.parquet', bytes: 1, rows: 2 },
    { name: 'batch/1.parquet', bytes: 1, rows: 3 },
  ],
}

test('a load may be repeated, and adds all rows, none, or an unclear number', async () => {
  for (const [rows, added] of [
    [[{ num_inserted_rows: 5 }], 5],
    [[{ num_inserted_rows: 0 }], 0],
    [[], 0],
    [[{}], 0],
  ] as const) {
    const execute: Warehouse['execute'] = async ({ repeatable, batch }) => {
      assert.deepEqual([repeatable, batch], [true, 'batch'])
      return rows
    }
    assert.equal(await copyOf(execute).load(intent), added)
  }
  await assert.rejects(copyOf(async () => [{ num_inserted_rows: 4 }]).load(intent), {
    code: 'LOAD_UNCLEAR',
    message: /added 4 rows, expected 5, of logs\/a from 0 to 10/,
  })
})

function copyOf(execute: Warehouse['execute']): CopyInto {
  return new CopyInto({
    warehouse: { execute } as Warehouse,
    declaration: postgresLogs('a.b.c'),
    stagingFolder: '/Volumes/a/b/c',
    retry: { policy: { maxAttempts: 1 } },
  })
}
