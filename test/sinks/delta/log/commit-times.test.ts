import assert from 'node:assert/strict'
import test from 'node:test'
import { newestCommitTimes, readHistory } from '../../../../src/sinks/delta/log/history.ts'
import { LongTable } from '../long-table.ts'
import { workbench } from '../support.ts'

test('a table has a history while commits cross into the next thousand versions', async (t) => {
  for (const look of ['times', 'history'] as const) {
    const bench = await workbench(t)
    const table = await LongTable.of(bench, { from: 0, to: 998, checkpoints: [990] })
    // After the first block is listed, and before the second one is.
    table.storage.afterList.push(async () => {
      await table.commit(999)
      await table.commit(1_000)
    })
    const last =
      look === 'times'
        ? (await newestCommitTimes(table.storage, 10))?.versions.at(-1)
        : (await readHistory(table.storage, 3))?.lastVersion
    assert.equal(last, 1_000, look)
  }
})
