import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
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

test('a staged file that cannot be read keeps no other hour from being removed, and a foreign file is not read', async (t) => {
  const fixture = await committerFixture(t)
  await (await fixture.open('logs')).close()
  let nowMs = Date.UTC(2026, 10, 24, 8, 30)
  const clock = { now: () => nowMs, sleep: async () => {}, after: () => () => {} }
  const failures: unknown[] = []
  const committer = await fixture.open('logs', {
    mode: 'stage-only',
    retentionMs: hourMs,
    clock,
    onNotRemoved: (error) => failures.push(error),
  })
  const unreadable = `2026-11-24/08/${randomUUID()}-0.parquet`
  const foreign = '2026-11-24/09/notes.txt'
  await fixture.putStaged('logs', unreadable)
  await fixture.putStaged('logs', foreign)
  await committer.land([span(0, 50)], await fixture.encode(span(0, 50)))
  nowMs += hourMs
  await committer.land([span(50, 90)], await fixture.encode(span(50, 90)))
  const ownIn = async (hour: string): Promise<readonly string[]> =>
    (await fixture.staged('logs')).filter(
      (name) => folderOf(name) === hour && name !== unreadable && name !== foreign,
    )
  const [early = '', late = ''] = [...(await ownIn('2026-11-24/08')), ...(await ownIn('2026-11-24/09'))]
  for (const name of [early, late]) await ingest(fixture, name)

  nowMs += 2 * hourMs
  await committer.land([span(90, 100)], await fixture.encode(span(90, 100)))
  await eventually(async () => (await ownIn('2026-11-24/09')).length === 0, 'removal of the later hour')
  assert.deepEqual(await ownIn('2026-11-24/08'), [early])
  assert.ok(failures.length > 0)
  assert.ok((await fixture.staged('logs')).includes(foreign))

  await fixture.volumes.remove(`/Volumes/lake/logs/staging/logs/${unreadable}`)
  nowMs += hourMs
  await committer.land([span(100, 120)], await fixture.encode(span(100, 120)))
  await eventually(async () => (await ownIn('2026-11-24/08')).length === 0, 'removal of the earlier hour')
  await committer.close()
})
