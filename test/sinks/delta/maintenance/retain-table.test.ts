import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import { readCommit } from '../../../../src/sinks/delta/log/load.ts'
import { type RetainOptions, retainTable } from '../../../../src/sinks/delta/maintenance/retain-table.ts'
import type { RetainReport } from '../../../../src/sinks/table-reports.ts'
import { placeInAzure, sharedStorage, stopSharedStorage } from '../on-each-storage.ts'
import { committerOf, encode, impatientClock, rowsOf, span, type Workbench, workbench } from '../support.ts'
import { blob, dayMs, landBatches, optimize, vacuum } from './support.ts'

stopSharedStorage()

/** Rows are of the first three days of 2026, or have no day. */
const firstMs = Date.UTC(2026, 0, 1)

/** Keeps the days from a day of January on, by the clock alone. */
function keepFrom(
  bench: Workbench,
  day: number,
  changes: Partial<RetainOptions> = {},
): Promise<RetainReport | undefined> {
  return retainTable({
    storage: bench.storage,
    engine: bench.engine,
    clock: { ...impatientClock, now: () => firstMs + (day - 1 + 90) * dayMs + 1_000 },
    random: Math.random,
    days: 90,
    allowEmpty: true,
    deletes: true,
    ...changes,
  })
}

test('the days before the first one that is kept go as whole partitions in one commit; offsets and undated rows stay', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 3)
  const kept = await rowsOf(bench, "event_date IS NULL OR event_date >= DATE '2026-01-03'")
  const listed = await keepFrom(bench, 3, { deletes: false })
  assert.deepEqual(
    listed?.days.map(({ day, files }) => [day, files]),
    [
      ['2026-01-01', 3],
      ['2026-01-02', 3],
    ],
  )
  assert.deepEqual([listed?.tableVersion, listed?.firstDay, listed?.deleted], [3, '2026-01-03', false])
  const report = await keepFrom(bench, 3)
  assert.deepEqual([report?.tableVersion, report?.undatedFiles], [4, 3])
  assert.deepEqual(await rowsOf(bench), kept)
  const again = await keepFrom(bench, 3)
  assert.deepEqual([again?.tableVersion, again?.days], [4, []])

  // A run goes on where it was, and its late rows of a deleted day are landed.
  await landBatches(bench, 3, 4)
  const commit = await readCommit(bench.storage, 5)
  assert.equal(commit?.actions.filter((action) => 'add' in action).length, 4)
  await vacuum(bench)
  assert.deepEqual(await rowsOf(bench, 'source_offset < 360'), kept)
})

test('a replay of a deleted day is refused, and one of later days is not', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  await keepFrom(bench, 3)
  const committer = committerOf(bench)
  await committer.open()
  const source = span(blob, 0, 120)
  const before = await rowsOf(bench)
  await assert.rejects(
    committer.replace(source, [await encode(bench, source, [{ offset: 0, seed: 1 }])]),
    (error) =>
      isTailraceError(error, 'REPLAY_OUT_OF_RANGE') && /2026-01-02.*before 2026-01-03/.test(error.message),
  )
  assert.deepEqual(await rowsOf(bench), before)
  await committer.replace(source, [await encode(bench, source, [{ offset: 0, seed: 2 }])])
  assert.equal((await rowsOf(bench)).length, 1)
})

test('the first day never moves back', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  await keepFrom(bench, 3)
  await landBatches(bench, 1, 2)
  const report = await keepFrom(bench, 2)
  assert.deepEqual([report?.days.length, report?.firstDay], [1, '2026-01-03'])
  const committer = committerOf(bench)
  await committer.open()
  const source = span(blob, 0, 120)
  await assert.rejects(
    committer.replace(source, [await encode(bench, source, [{ offset: 0, seed: 1 }])]),
    /before 2026-01-03/,
  )
})

test('with a clock that is weeks or years ahead, the newest rows say what today is, unless the clock is vouched for', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  for (const daysAhead of [0, 1, 20, 4_000]) {
    const clock = { ...impatientClock, now: () => Date.UTC(2026, 0, 3) + daysAhead * dayMs }
    const report = await keepFrom(bench, 3, { clock, days: 1, allowEmpty: false, deletes: false })
    assert.deepEqual(
      [report?.firstDay, report?.today],
      ['2026-01-02', { day: '2026-01-03', by: daysAhead === 0 ? 'clock' : 'rows' }],
    )
  }
  // Rows of a day that is still to come say nothing of today.
  const early = { ...impatientClock, now: () => Date.UTC(2026, 0, 2) }
  const report = await keepFrom(bench, 3, { clock: early, days: 1, allowEmpty: false })
  assert.deepEqual([report?.firstDay, report?.today.by, report?.days], ['2026-01-01', 'clock', []])
  assert.equal((await keepFrom(bench, 4))?.days.length, 3)
  assert.deepEqual(await rowsOf(bench, 'event_date IS NOT NULL'), [])
})

test('in Azure the clock of the service counts if it is behind, also for a table without new rows', async (t) => {
  const { container } = await sharedStorage()
  const bench = await workbench(t, placeInAzure(container))
  await landBatches(bench, 0, 1)
  const today = Math.floor(Date.now() / dayMs)
  const daysSince = (day: number): number => today - Date.UTC(2026, 0, day) / dayMs
  const ahead = { ...impatientClock, now: () => Date.now() + 21 * dayMs }
  const report = await keepFrom(bench, 3, { clock: ahead, days: daysSince(2), allowEmpty: false })
  assert.deepEqual([report?.firstDay, report?.today.by], ['2026-01-02', 'storage'])
  assert.deepEqual(
    report?.days.map(({ day }) => day),
    ['2026-01-01'],
  )
  const before = await rowsOf(bench)
  await assert.rejects(
    keepFrom(bench, 3, { clock: ahead, days: daysSince(4), allowEmpty: false }),
    (error) =>
      isTailraceError(error, 'RETENTION_REFUSED') && /before 2026-01-04.*2026-01-03/.test(error.message),
  )
  assert.deepEqual(await rowsOf(bench), before)
  // No first day was recorded: the days that are kept can be replayed.
  assert.equal((await keepFrom(bench, 2, { deletes: false }))?.firstDay, '2026-01-02')
})

test('a merge that wins the race for the same files makes retain begin again', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 3)
  const kept = await rowsOf(bench, "event_date IS NULL OR event_date >= DATE '2026-01-02'")
  const { storage } = bench
  let merged = false
  const racing = new Proxy(storage, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'putIfAbsent') return value.bind(target)
      return async (...given: unknown[]) => {
        if (!merged) {
          merged = true
          await optimize(bench)
        }
        return value.apply(target, given)
      }
    },
  })
  const report = await keepFrom(bench, 2, { storage: racing })
  assert.deepEqual(
    report?.days.map(({ files }) => files),
    [1],
  )
  assert.deepEqual(await rowsOf(bench), kept)
})

test('a run that lands beside it is not disturbed', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench)
  await committer.open()
  const land = async (batch: number): Promise<void> => {
    const source = span(blob, batch * 120, batch * 120 + 120)
    const rows = Array.from({ length: 12 }, (_, index) => ({
      offset: source.start + index * 10,
      seed: index + 1,
    }))
    await committer.land([source], await encode(bench, source, rows))
  }
  await land(0)
  await keepFrom(bench, 3)
  await land(1)
  assert.equal((await rowsOf(bench, 'source_offset >= 120')).length, 12)
})

test('a table without a partition by date, and one of appends only, are refused', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench, { partitionColumns: [] })
  await committer.open()
  await committer.close()
  await assert.rejects(keepFrom(bench, 3), (error) => isTailraceError(error, 'TABLE_UNSUPPORTED'))
})
