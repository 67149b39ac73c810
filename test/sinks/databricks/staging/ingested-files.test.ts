import assert from 'node:assert/strict'
import { test } from 'node:test'
import { copyIntoSql } from '../../../../src/sinks/databricks/loading/copy-into.ts'
import { folderOf, lastPartOf } from '../../../../src/sinks/databricks/staging/staged-files.ts'
import { eventually } from '../../../support/eventually.ts'
import {
  type CommitterFixture,
  committerFixture,
  declarationOf,
  directWarehouse,
  rowsOf,
  span,
} from '../committer-fixture.ts'

const hourMs = 3_600_000

/** Loads a staged file as a streaming table does: some time, by itself. */
async function ingest(fixture: CommitterFixture, name: string): Promise<void> {
  const folder = `/Volumes/lake/logs/staging/logs/${folderOf(name)}`
  const sql = copyIntoSql(declarationOf('logs'), { folder, files: [lastPartOf(name)] })
  await directWarehouse(fixture.warehouse).execute({ label: 'ingest', sql, repeatable: true })
}

test('a file that is only staged is removed when it has expired and the table has all of its rows, whatever the clock says', async (t) => {
  const fixture = await committerFixture(t)
  // As CREATE STREAMING TABLE does it.
  await (await fixture.open('logs')).close()
  let nowMs = Date.UTC(2026, 10, 24, 8, 30)
  const clock = { now: () => nowMs, sleep: async () => {}, after: () => () => {} }
  const committer = await fixture.open('logs', { mode: 'stage-only', retentionMs: hourMs, clock })
  await committer.land([span(0, 50)], await fixture.encode(span(0, 50)))
  const [first = ''] = await fixture.staged('logs')
  await committer.land([span(50, 90)], await fixture.encode(span(50, 90)))
  const second = (await fixture.staged('logs')).find((name) => name !== first)!
  await ingest(fixture, first)

  const isStaged = async (name: string): Promise<boolean> => (await fixture.staged('logs')).includes(name)
  nowMs += 3 * hourMs
  await committer.land([span(90, 100)], await fixture.encode(span(90, 100)))
  await eventually(async () => !(await isStaged(first)), 'removal of the file that was ingested')
  assert.ok(await isStaged(second), 'nobody has taken it')

  await ingest(fixture, second)
  nowMs += hourMs
  await committer.land([span(100, 120)], await fixture.encode(span(100, 120)))
  await eventually(async () => !(await isStaged(second)), 'removal of the file that was ingested late')
  await committer.close()
  for (const name of await fixture.staged('logs')) await ingest(fixture, name)
  assert.deepEqual(await fixture.rows('logs'), rowsOf(span(0, 120)))
})
