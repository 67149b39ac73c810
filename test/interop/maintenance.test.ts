import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { loadState } from '../../src/sinks/delta/log/load.ts'
import { retainTable } from '../../src/sinks/delta/maintenance/retain-table.ts'
import { commitPath, encodeActions } from '../../src/sinks/delta/protocol/actions.ts'
import type { DeltaStorage } from '../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { blob, landBatches, optimize, vacuum } from '../sinks/delta/maintenance/support.ts'
import { impatientClock, rowsOf, type Workbench, workbench } from '../sinks/delta/support.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { askDeltaRs, changeByDeltaRs, createByDeltaRs, deltaRsMissing } from './delta-rs.ts'
import { compareRows } from './same-rows.ts'

const withDeltaRs = { skip: skipUnless(await deltaRsMissing()) }

/** Which version delta-rs sees, of how many files, and whether its rows are the live ones. */
async function seenByDeltaRs(bench: Workbench, table = bench.table) {
  const rows = join(bench.directory, 'rows.parquet')
  const { version, files, offsets } = await askDeltaRs({
    table,
    rows,
    applications: [`tailrace:${blob}@20261124T084700Z`],
  })
  const { seen, missing, surplus } = (await compareRows(bench, rows, table)) ?? {}
  return { version, files, offset: Object.values(offsets)[0], seen: Number(seen), missing, surplus }
}

test(
  'delta-rs reads a merged and vacuumed table row for row, and compacts and appends to it',
  withDeltaRs,
  async (t) => {
    const bench = await workbench(t)
    await landBatches(bench, 0, 6)
    const rows = { seen: 72, missing: 0, surplus: 0, offset: 720 }
    assert.deepEqual(await seenByDeltaRs(bench), { version: 6, files: 24, ...rows })
    await optimize(bench, { sortByTime: true })
    assert.deepEqual(await seenByDeltaRs(bench), { version: 10, files: 4, ...rows })
    await vacuum(bench)
    assert.equal((await bench.dataFiles()).length, 4)
    assert.deepEqual(await seenByDeltaRs(bench), { version: 10, files: 4, ...rows })

    // The next checkpoint has the removals.
    await landBatches(bench, 6, 24)
    await changeByDeltaRs(bench.table, 'append', 'compact', 'append', 'checkpoint')
    await optimize(bench)
    await vacuum(bench)
    const { seen, missing, surplus, files } = await seenByDeltaRs(bench)
    assert.deepEqual({ seen, missing, surplus }, { seen: 24 * 12 + 2, missing: 0, surplus: 0 })
    assert.equal((await bench.dataFiles()).length, files)
  },
)

test(
  'delta-rs reads the days that retain keeps, row for row, also behind a vacuum and new landings',
  withDeltaRs,
  async (t) => {
    const bench = await workbench(t)
    await landBatches(bench, 0, 4)
    const rows = (await rowsOf(bench, "event_date IS NULL OR event_date >= DATE '2026-01-02'")).length
    const report = await retainTable({
      storage: bench.storage,
      engine: bench.engine,
      clock: { ...impatientClock, now: () => Date.UTC(2026, 0, 3, 12) },
      random: Math.random,
      days: 1,
      allowEmpty: false,
      deletes: true,
    })
    assert.deepEqual([report?.firstDay, report?.days.length], ['2026-01-02', 1])
    const kept = { seen: rows, missing: 0, surplus: 0, offset: 480 }
    assert.deepEqual(await seenByDeltaRs(bench), { version: 5, files: 12, ...kept })
    await vacuum(bench)
    assert.equal((await bench.dataFiles()).length, 12)
    assert.deepEqual(await seenByDeltaRs(bench), { version: 5, files: 12, ...kept })

    // Checkpoints of both have the removals.
    await landBatches(bench, 4, 24)
    await changeByDeltaRs(bench.table, 'append', 'checkpoint')
    const { seen, missing, surplus, offset } = await seenByDeltaRs(bench)
    assert.deepEqual(
      { seen, missing, surplus, offset },
      { seen: rows + 20 * 12 + 1, missing: 0, surplus: 0, offset: 2_880 },
    )
  },
)

test(
  'a filter that lets delta-rs skip merged files by their statistics finds every row',
  withDeltaRs,
  async (t) => {
    const bench = await workbench(t)
    await landBatches(bench, 0, 6)
    const filters = ['source_offset', 'query_id', 'event_time', 'message'].flatMap(
      (name): [string, string, string][] =>
        name === 'source_offset' || name === 'query_id'
          ? [[name, '=', name === 'query_id' ? String(-6883023751393440299n + 4_990n) : '100']]
          : name === 'event_time'
            ? [[name, '>=', '2026-07-28T00:00:00Z']]
            : [[name, '>=', 'é𝄞']],
    )
    const before = await askDeltaRs({ table: bench.table, filters })
    await optimize(bench)
    const after = await askDeltaRs({ table: bench.table, filters })
    const counts = ({ filters: found }: typeof after) =>
      found.map(({ rows, queried_rows }) => [rows, queried_rows])
    assert.deepEqual(counts(after), counts(before))
    assert.ok(after.filters.every(({ rows }) => rows > 0))
    assert.ok(after.filters.some(({ files }) => files < after.files))
  },
)

/** delta-rs made it a table of appends only. */
async function allowChanges(storage: DeltaStorage, { engine }: Workbench): Promise<void> {
  const { version, metaData } = (await loadState(storage, engine, { keepFiles: false }))!
  const configuration = { ...metaData.configuration, 'delta.appendOnly': 'false' }
  await storage.putIfAbsent(
    commitPath(version + 1),
    encodeActions([{ metaData: { ...metaData, configuration } }]),
  )
}

test('files that delta-rs wrote are merged without a change', withDeltaRs, async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 2)
  const table = join(bench.directory, 'theirs')
  await createByDeltaRs(bench.table, table)
  await changeByDeltaRs(table, 'append', 'append')
  const storage = new LocalDeltaStorage(table)
  await allowChanges(storage, bench)
  const before = await seenByDeltaRs(bench, table)
  await optimize(bench, { storage })
  const after = await seenByDeltaRs(bench, table)
  assert.ok(after.files < before.files)
  assert.deepEqual([after.seen, after.missing, after.surplus], [before.seen, 0, 0])
})
