import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { commitChange, jobScenarios } from '../sinks/delta/job-scenarios.ts'
import { stopSharedStorage } from '../sinks/delta/on-each-storage.ts'
import { killEverywhere } from '../sinks/delta/stopped-jobs.ts'
import { workbench } from '../sinks/delta/support.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { askDeltaRs, deltaRsMissing } from './delta-rs.ts'
import { compareRows } from './same-rows.ts'

stopSharedStorage()

const skip = skipUnless(await deltaRsMissing())

/** One table in so many is read: it takes a process of its own. */
const sample = 3

test('delta-rs reads the tables of killed processes row for row', { skip }, async (t) => {
  const bench = await workbench(t)
  for (const { job, dead, changes } of await killEverywhere(t, bench, jobScenarios)) {
    // Before a creation has ended there are no rows to be compared.
    const from =
      job.prepare === undefined ? changes.findLastIndex((change) => commitChange.test(change)) + 1 : 0
    for (let count = from; count <= changes.length; count += sample) {
      const { directory, table } = dead[count]!
      const rows = join(directory, 'rows.parquet')
      await askDeltaRs({ table, rows })
      const { missing, surplus } = (await compareRows(bench, rows, table))!
      assert.deepEqual({ missing, surplus }, { missing: 0, surplus: 0 }, `${job.name}: ${changes[count - 1]}`)
    }
  }
})
