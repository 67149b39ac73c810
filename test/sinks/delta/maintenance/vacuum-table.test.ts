import assert from 'node:assert/strict'
import { readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import { writeCheckpoint } from '../../../../src/sinks/delta/log/checkpoint-writer.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { commitPath, encodeActions } from '../../../../src/sinks/delta/protocol/actions.ts'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import { archive } from '../archive/support.ts'
import { markDeleted } from '../deletion-vectors.ts'
import { FaultyStorage } from '../faulty-storage.ts'
import { onEachStorage } from '../on-each-storage.ts'
import { committerOf, encode, impatientClock, span, type Workbench, workbench } from '../support.ts'
import { blob, contentOf, dayMs, daysLater, landBatches, optimize, vacuum } from './support.ts'

async function putFiles({ storage, staging }: Workbench, ...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const local = join(staging, 'put')
    await writeFile(local, 'rows')
    await storage.putFile(local, path)
  }
}

async function livePathsOf(bench: Workbench): Promise<string[]> {
  return ((await readTable(bench.storage, bench.engine))?.files ?? []).map(({ path }) => path).sort()
}

/** Commits a change of the table's properties. */
async function setProperty(bench: Workbench, name: string, value: string): Promise<void> {
  const { version, metaData } = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
  const configuration = { ...metaData.configuration, [name]: value }
  const bytes = encodeActions([{ metaData: { ...metaData, configuration } }])
  await bench.storage.putIfAbsent(commitPath(version + 1), bytes)
}

onEachStorage('merged files go when the retention is over, the live ones stay', async (bench) => {
  await landBatches(bench, 0, 3)
  await optimize(bench)
  const before = await contentOf(bench)
  const all = await bench.dataFiles()
  const live = await livePathsOf(bench)

  // The removals are known for seven days.
  const early = (await vacuum(bench, { clock: daysLater(6.9) }))!
  assert.deepEqual([early.expired, early.young.length, early.needed.length], [[], 0, all.length])
  assert.deepEqual(await bench.dataFiles(), all)

  const told = (await vacuum(bench, { deletes: false }))!
  assert.equal(told.deleted, false)
  assert.deepEqual(
    told.expired.map(({ path }) => path),
    all.filter((path) => !live.includes(path)),
  )
  assert.ok(told.expired.every(({ bytes }) => bytes > 100))
  assert.deepEqual(await bench.dataFiles(), all)

  const done = (await vacuum(bench))!
  assert.deepEqual([done.expired, done.deleted], [told.expired, true])
  assert.deepEqual(await bench.dataFiles(), live)
  assert.deepEqual(await contentOf(bench), before)
  assert.deepEqual((await vacuum(bench))?.expired, [])
})

onEachStorage(
  'an unreferenced file goes only when it is old enough, from whichever folder',
  async (bench) => {
    await landBatches(bench, 0, 1)
    const stray = ['event_date=2026-01-01/stray é 1%.parquet', 'old/deep/stray.parquet', 'stray.parquet']
    await putFiles(bench, ...stray)
    const all = await bench.dataFiles()
    const early = (await vacuum(bench, { clock: daysLater(6.9) }))!
    assert.deepEqual(
      early.young.map(({ path }) => path),
      stray,
    )
    assert.deepEqual(await bench.dataFiles(), all)
    await vacuum(bench)
    assert.deepEqual(await bench.dataFiles(), await livePathsOf(bench))
  },
)

test('a batch that lands while a vacuum lists the table keeps its files, however short the retention is', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  const storage = new FaultyStorage(bench.storage)
  storage.contentsOf = async (folder) => {
    if (folder === '') await landBatches(bench, 1, 2)
    return bench.storage.contentsOf(folder)
  }
  const report = await vacuum({ ...bench, storage }, { retentionMs: 0, allowShortRetention: true })
  assert.deepEqual(report?.expired, [])
  assert.deepEqual(await bench.dataFiles(), await livePathsOf(bench))
})

onEachStorage('hidden files, other files and other tables below stay', async (bench) => {
  await landBatches(bench, 0, 1)
  const others = [
    '_change_data/event_date=2026-01-01/cdc-1.parquet',
    '_metadata.parquet',
    '.part-0.parquet.tmp.parquet',
    'notes.txt',
    'nested/deletion_vector_61d16c75-6994-46b7-a15b-8b538852e50e.bin',
    'nested/_delta_log/00000000000000000000.json',
    'nested/part-0.parquet',
    'nested/day=1/part-0.parquet',
  ]
  await putFiles(bench, ...others)
  const log = await bench.storage.list('_delta_log')
  const report = (await vacuum(bench, { clock: daysLater(1_000) }))!
  assert.deepEqual(report.expired, [])
  for (const path of others) assert.ok((await bench.storage.read(path)) !== undefined, path)
  assert.deepEqual(await bench.storage.list('_delta_log'), log)
})

onEachStorage('deletion vectors go when no version within the retention needs them', async (bench) => {
  await landBatches(bench, 0, 2)
  // Both rows are in one file.
  const first = await markDeleted(bench, 'source_offset = 0')
  const second = await markDeleted(bench, 'source_offset = 30', { folder: 'ab' })
  const before = await contentOf(bench)
  const all = await bench.dataFiles()
  assert.ok(all.includes(first) && all.includes(second))

  // The removals of the first vectors are known for seven days.
  assert.deepEqual((await vacuum(bench, { clock: daysLater(6.9) }))?.expired, [])
  assert.deepEqual(
    (await vacuum(bench))?.expired.map(({ path }) => path),
    [first],
  )
  assert.deepEqual(
    await bench.dataFiles(),
    all.filter((path) => path !== first),
  )
  assert.deepEqual(await contentOf(bench), before)

  await optimize(bench)
  assert.equal((await vacuum(bench, { clock: daysLater(6.9) }))?.expired.length, 0)
  await vacuum(bench)
  assert.deepEqual(await bench.dataFiles(), await livePathsOf(bench))
  assert.deepEqual(await contentOf(bench), before)
})

test('removals that only a checkpoint knows are honored', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 3)
  await optimize(bench)
  const { version, protocol, metaData, transactions, domains } = (await loadState(
    bench.storage,
    bench.engine,
    {
      keepFiles: false,
    },
  ))!
  await writeCheckpoint(
    { version, protocol, metaData, previous: -1, transactions: transactions.size, domains: domains.size },
    { storage: bench.storage, engine: bench.engine, stagingDirectory: bench.staging },
    Date.now(),
  )
  for (let old = 0; old <= version; old += 1) await bench.storage.remove(commitPath(old))
  const all = await bench.dataFiles()
  const report = (await vacuum(bench, { clock: daysLater(6.9) }))!
  assert.deepEqual([report.expired, report.young], [[], []])
  assert.deepEqual(await bench.dataFiles(), all)
  await vacuum(bench)
  assert.deepEqual(await bench.dataFiles(), await livePathsOf(bench))
})

test('a retention below a week has to be allowed, one above the table is refused', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 2)
  await optimize(bench)
  const all = await bench.dataFiles()
  const hourMs = 3_600_000
  const isUsage = (error: unknown) => isTailraceError(error, 'USAGE')
  for (const retentionMs of [0, 167 * hourMs, 169 * hourMs])
    await assert.rejects(vacuum(bench, { retentionMs, clock: daysLater(100) }), isUsage)
  await assert.rejects(
    vacuum(bench, { retentionMs: 169 * hourMs, allowShortRetention: true, clock: daysLater(100) }),
    isUsage,
  )
  await setProperty(bench, 'delta.deletedFileRetentionDuration', 'interval 1 hour')
  await assert.rejects(vacuum(bench, { clock: daysLater(100) }), isUsage)
  assert.deepEqual(await bench.dataFiles(), all)

  const short = { allowShortRetention: true }
  assert.deepEqual((await vacuum(bench, { ...short, clock: daysLater(0.04) }))?.expired, [])
  assert.equal((await vacuum(bench, { ...short, clock: daysLater(0.05) }))?.expired.length, 8)

  await setProperty(bench, 'delta.deletedFileRetentionDuration', 'interval 30 days')
  assert.equal((await vacuum(bench, { clock: daysLater(29) }))?.retentionMs, 30 * 24 * hourMs)
  assert.equal(
    (await vacuum(bench, { clock: daysLater(29), retentionMs: 168 * hourMs }))?.retentionMs,
    168 * hourMs,
  )
  await setProperty(bench, 'delta.deletedFileRetentionDuration', 'interval 1 month')
  await assert.rejects(vacuum(bench), (error) => isTailraceError(error, 'TABLE_UNSUPPORTED'))
})

test('a table with rules that are not known here is left alone', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 2)
  await optimize(bench)
  const all = await bench.dataFiles()
  const { version } = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
  const features = [['vacuumProtocolCheck'], ['vacuumProtocolCheck', 'somethingNew']]
  for (const [index, names] of features.entries()) {
    const protocol = {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: names,
      writerFeatures: names,
    }
    await bench.storage.putIfAbsent(commitPath(version + 1 + index), encodeActions([{ protocol }]))
    if (index === 0) assert.equal((await vacuum(bench, { deletes: false }))?.expired.length, 8)
  }
  await assert.rejects(
    vacuum(bench),
    (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && error.message.includes('somethingNew'),
  )
  assert.deepEqual(await bench.dataFiles(), all)
})

test('no table is no fault', async (t) => {
  assert.equal(await vacuum(await workbench(t)), undefined)
})

onEachStorage(
  'the files of former archives go when the retention is over, those of the newest one stay',
  async (bench) => {
    await landBatches(bench, 0, 1)
    await archive(bench)
    await landBatches(bench, 1, 2)
    await archive(bench)
    await bench.storage.put('_tailrace/offsets/offsets-of-a-killed-process.parquet', Buffer.from('PAR1'))
    const files = async () => (await bench.storage.list('_tailrace/offsets')).sort()
    const before = await files()
    assert.deepEqual((await vacuum(bench, { clock: daysLater(6.9) }))!.expired, [])
    assert.deepEqual(await files(), before)
    const expired = (await vacuum(bench))!.expired.map(({ path }) => path)
    // A manifest and the file that was merged with its successor, beside the leftover.
    assert.equal(expired.length, 3)
    assert.equal((await files()).length, 2)
    const committer = committerOf(bench)
    await committer.open()
    assert.deepEqual(
      (await committer.archive.find(['logs/pg'])).map(({ offset }) => offset),
      [240],
    )
  },
)

onEachStorage(
  'an archive that is committed while vacuum runs stays, also with a clock ahead',
  async (bench) => {
    await landBatches(bench, 0, 1)
    const storage = new FaultyStorage(bench.storage)
    let isArchived = false
    storage.pages = async function* (folder, prefix) {
      if (folder === '_tailrace/offsets' && !isArchived) {
        await archive(bench)
        isArchived = true
      }
      yield* bench.storage.pages(folder, prefix)
    }
    await vacuum({ ...bench, storage })
    assert.equal(isArchived, true)
    const committer = committerOf(bench)
    await committer.open()
    assert.equal((await committer.archive.find(['logs/pg'])).length, 1)
  },
)

onEachStorage('files of a former archive stay for a week, however short the retention is', async (bench) => {
  await landBatches(bench, 0, 1)
  await archive(bench)
  await landBatches(bench, 1, 2)
  await archive(bench)
  const files = async () => (await bench.storage.list('_tailrace/offsets')).sort()
  const before = await files()
  await vacuum(bench, { clock: daysLater(6.9), retentionMs: 0, allowShortRetention: true })
  assert.deepEqual(await files(), before)
})

/** Makes every file of the archive look as old as its last change would be after so many days. */
async function ageArchive({ table }: Workbench, days: number): Promise<void> {
  const folder = join(table, '_tailrace/offsets')
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const seconds = (await stat(path)).mtimeMs / 1000 - days * 86_400
    await utimes(path, seconds, seconds)
  }
}

test('a vacuum right after an old archive was replaced keeps it for those that still read it, and a week later deletes it', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  await archive(bench)
  await ageArchive(bench, 8)
  const running = committerOf(bench)
  await running.open()
  const files = async () => (await bench.storage.list('_tailrace/offsets')).sort()
  const former = await files()
  await landBatches(bench, 1, 2)
  await archive(bench)
  const report = (await vacuum(bench, { clock: impatientClock }))!
  assert.deepEqual(report.expired, [])
  assert.deepEqual(
    report.young.map(({ path }) => path.split('/').at(-1)),
    former,
  )
  assert.equal((await running.archive.find(['logs/pg']))[0]?.offset, 120)
  await ageArchive(bench, 6.9)
  assert.deepEqual((await vacuum(bench, { clock: impatientClock }))!.expired, [])
  await ageArchive(bench, 0.2)
  const expired = (await vacuum(bench, { clock: impatientClock }))!.expired
  assert.deepEqual(
    expired.map(({ path }) => path.split('/').at(-1)),
    former,
  )
})

test('a process that has not landed for so long that its archive is deleted lands an archived blob', async (t) => {
  const bench = await workbench(t)
  await landBatches(bench, 0, 1)
  await archive(bench)
  let nowMs = Date.now()
  const idle = committerOf(bench, { clock: { ...impatientClock, now: () => nowMs } })
  await idle.open()
  const other = span('logs/other', 0, 10)
  await idle.land([other], await encode(bench, other, [{ offset: 0, seed: 0 }]))
  await landBatches(bench, 1, 2)
  await archive(bench)
  await ageArchive(bench, 8)
  assert.equal((await vacuum(bench, { clock: impatientClock }))!.expired.length, 2)
  nowMs += 8 * dayMs
  const source = span(blob, 240, 250)
  await idle.land([source], await encode(bench, source, [{ offset: 240, seed: 0 }]))
  assert.equal(idle.landed().get(source), 250)
})
