import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { CommitFencedError } from '../../../../src/sinks/commit-fence.ts'
import { ParquetArchiveFiles } from '../../../../src/sinks/delta/archive/parquet-archive-files.ts'
import type { DeltaCommitter } from '../../../../src/sinks/delta/committer.ts'
import { checkpointPath } from '../../../../src/sinks/delta/log/checkpoint-reader.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { archiveOffsets } from '../../../../src/sinks/delta/maintenance/archive-offsets.ts'
import { commitPath } from '../../../../src/sinks/delta/protocol/actions.ts'
import { hasArchiveFormat } from '../../../../src/sinks/delta/protocol/features.ts'
import type { DeltaStorage } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { optimize, vacuum } from '../maintenance/support.ts'
import { committerOf, encode, impatientClock, placesOf, span, type Workbench, workbench } from '../support.ts'
import { archive } from './support.ts'

/** Lands one row of ten bytes. */
async function landRow(bench: Workbench, committer: DeltaCommitter, blob: string, start: number) {
  const source = span(blob, start, start + 10)
  return committer.land([source], await encode(bench, source, [{ offset: start, seed: start }]))
}

async function opened(bench: Workbench): Promise<DeltaCommitter> {
  const committer = committerOf(bench)
  await committer.open()
  return committer
}

const generation = '20261124T084700Z'
const source = (blob: string) => ({ blob, generation })

async function residentsOf(bench: Workbench): Promise<readonly string[]> {
  const state = await loadState(bench.storage, bench.engine, { keepFiles: false })
  return Array.from(state!.transactions.landed, ({ blob, offset }) => `${blob} ${offset}`).sort()
}

test('an archived offset is not in memory after a start, is found, and a blob goes on from it', async (t) => {
  const bench = await workbench(t)
  const before = await opened(bench)
  for (const blob of ['logs/a', 'logs/b']) await landRow(bench, before, blob, 0)
  const mark = {
    ...source('logs/b'),
    createdAt: generation,
    head: '0+10:00112233',
    tail: undefined,
    closing: undefined,
  }
  assert.deepEqual(await archive(bench, { markOf: ({ blob }) => (blob === 'logs/b' ? mark : undefined) }), {
    tableVersion: 3,
    offsets: 2,
    files: 1,
  })
  assert.deepEqual(await residentsOf(bench), [])

  const after = await opened(bench)
  assert.equal(after.landed().blobCount, 0)
  assert.equal(after.landed().archivedCount, 2)
  assert.equal(after.archive.hasOwn, true)
  assert.deepEqual(await after.archive.find(['logs/b', 'logs/c']), [
    { ...source('logs/b'), offset: 10, mark },
  ])
  await after.archive.recall(['logs/a'])
  assert.equal(after.landed().get(source('logs/a')), 10)
  await landRow(bench, after, 'logs/a', 10)
  assert.deepEqual(await residentsOf(bench), ['logs/a 20'])
  await after.archive.forget(() => false)
  assert.equal(after.landed().get(source('logs/a')), 20)
})

test('a process that read a blob before its offset was archived cannot land the same bytes again', async (t) => {
  const bench = await workbench(t)
  const zombie = await opened(bench)
  const stranger = await opened(bench)
  const other = await opened(bench)
  await landRow(bench, other, 'logs/a', 0)
  await stranger.archive.forget(() => false)
  await archive(bench)
  // One knows the commits, and one is so far behind that it loads the table again.
  await assert.rejects(() => landRow(bench, zombie, 'logs/a', 0), CommitFencedError)
  assert.equal(zombie.landed().get(source('logs/a')), 10)
  const late = await opened(bench)
  await assert.rejects(() => landRow(bench, late, 'logs/a', 0), CommitFencedError)
  const units = [{ spans: [span('logs/a', 0, 10)], files: [], rows: 0 }]
  assert.deepEqual((await late.landUnits(units)).outcomes, ['landed-before'])
  assert.deepEqual(await placesOf(bench), [['logs/a', 0, 0]])
})

test('an offset stays known to a running process until it is forgotten, and an archive does not fence it', async (t) => {
  const bench = await workbench(t)
  const committer = await opened(bench)
  await landRow(bench, committer, 'logs/a', 0)
  await landRow(bench, committer, 'logs/b', 0)
  await archive(bench)
  await landRow(bench, committer, 'logs/a', 10)
  assert.equal(committer.landed().get(source('logs/b')), 10)
  await committer.archive.forget((blob) => blob === 'logs/b')
  assert.equal(committer.landed().get(source('logs/b')), 10)
  await committer.archive.forget(() => false)
  assert.equal(committer.landed().get(source('logs/b')), undefined)
  assert.equal(committer.landed().get(source('logs/a')), 20)
})

test('a process keeps the mark of an offset that another one archived without it, until it has archived the mark', async (t) => {
  const bench = await workbench(t)
  const marks = new Map(
    ['logs/a', 'logs/b'].map((blob) => [
      blob,
      { ...source(blob), createdAt: generation, head: '0+10:00112233', tail: '0+10:00112233', closing: 0 },
    ]),
  )
  const all = new Map(marks)
  const markOf = ({ blob }: { readonly blob: string }) => marks.get(blob)
  const onForgotten = ({ blob }: { readonly blob: string }) => void marks.delete(blob)
  const committer = committerOf(bench, { markOf, onForgotten })
  await committer.open()
  for (const blob of all.keys()) await landRow(bench, committer, blob, 0)
  await archive(bench, { markOf: ({ blob }) => (blob === 'logs/b' ? all.get(blob) : undefined) })
  // A landing reads the commits of others.
  await landRow(bench, committer, 'logs/new', 0)
  await committer.archive.forget(() => false)
  assert.deepEqual([...marks.keys()], ['logs/a'])
  assert.equal(committer.landed().get(source('logs/a')), 10)
  assert.equal(committer.landed().get(source('logs/b')), undefined)

  await archive(bench, { markOf, unmarked: committer.unmarkedOffsets })
  await landRow(bench, committer, 'logs/new', 10)
  await committer.archive.forget(() => false)
  assert.deepEqual([marks.size, committer.unmarkedOffsets], [0, undefined])
  assert.equal(committer.landed().get(source('logs/a')), undefined)
  const after = await opened(bench)
  const found = await after.archive.find(['logs/a', 'logs/b'])
  assert.deepEqual(
    found.map(({ blob, offset, mark }) => [blob, offset, mark]).sort(),
    Array.from(all, ([blob, mark]) => [blob, 10, mark]),
  )
})

test('a checkpoint leaves archived offsets out, and keeps those that came later whatever their clock says', async (t) => {
  const bench = await workbench(t)
  const committer = await opened(bench)
  for (let blob = 0; blob < 5; blob += 1) await landRow(bench, committer, `logs/${blob}`, 0)
  await archive(bench)
  const behind = committerOf(bench, { clock: { ...impatientClock, now: () => Date.now() - 86_400_000 } })
  await behind.open()
  await behind.archive.recall(['logs/3'])
  await landRow(bench, behind, 'logs/3', 10)
  for (let start = 0; committer.tableVersion < 20; start += 10)
    await landRow(bench, committer, 'logs/new', start)
  await committer.close()
  await readFile(join(bench.table, checkpointPath(20)))
  for (let version = 0; version < 20; version += 1)
    await rm(join(bench.table, `_delta_log/${String(version).padStart(20, '0')}.json`))
  const state = await loadState(bench.storage, bench.engine, { keepFiles: false })
  assert.equal(state!.checkpointVersion, 20)
  assert.deepEqual((await residentsOf(bench)).slice(0, 1), ['logs/3 20'])
  assert.equal((await residentsOf(bench)).length, 2)
  // The next archive takes both, and the newer offset of the two archives counts.
  await archive(bench)
  const after = await opened(bench)
  assert.deepEqual(
    (await after.archive.find(['logs/3', 'logs/4'])).map(({ blob, offset }) => `${blob} ${offset}`).sort(),
    ['logs/3 20', 'logs/4 10'],
  )
})

test('a commit with an offset of the past makes archiving begin again', async (t) => {
  const bench = await workbench(t)
  const committer = await opened(bench)
  await landRow(bench, committer, 'logs/a', 0)
  const files = new ParquetArchiveFiles({ ...bench, stagingDirectory: bench.staging })
  let raced = 0
  const report = await archiveOffsets({
    ...bench,
    files: {
      write: async (offsets) => {
        const written = await files.write(offsets)
        if (raced++ === 0) await landRow(bench, committer, 'logs/b', 0)
        return written
      },
      merge: (some) => files.merge(some),
      find: (some, blobs) => files.find(some, blobs),
      replaced: (some) => files.replaced(some),
      each: (some, take) => files.each(some, take),
      eachBlob: (file, take) => files.eachBlob(file, take),
      keepOnly: (some) => files.keepOnly(some),
    },
    clock: { ...impatientClock, now: () => Date.now() + 60_000 },
    random: Math.random,
    unchangedMs: 0,
    minOffsets: 1,
    markOf: () => undefined,
  })
  assert.equal(report?.offsets, 2)
  assert.equal(raced, 2)
  const after = await opened(bench)
  assert.equal((await after.archive.find(['logs/a', 'logs/b'])).length, 2)
})

test('archives of many days have few files, and each generation once', async (t) => {
  const bench = await workbench(t)
  const committer = await opened(bench)
  let files = 0
  for (let day = 0; day < 20; day += 1) {
    for (const blob of [`logs/${day}`, 'logs/grows'])
      await landRow(bench, committer, blob, committer.landed().get(source(blob)) ?? 0)
    const report = await archive(bench)
    assert.equal(report?.offsets, 2)
    files = report!.files
  }
  assert.ok(files <= 6, `${files} files`)
  const after = await opened(bench)
  assert.equal((await after.archive.find(['logs/grows']))[0]?.offset, 200)
  const all: string[] = []
  await after.archive.find(['logs/grows', 'logs/0']).then((some) => all.push(...some.map(({ blob }) => blob)))
  assert.deepEqual(all.sort(), ['logs/0', 'logs/grows'])
})

test('an archive that was left behind when the table was copied is named', async (t) => {
  const bench = await workbench(t)
  await landRow(bench, await opened(bench), 'logs/a', 0)
  await archive(bench)
  await rm(join(bench.table, '_tailrace'), { recursive: true })
  await assert.rejects(() => committerOf(bench).open(), {
    code: 'TABLE_CORRUPT',
    message: /Copy the folder _tailrace/,
  })
})

/** Leaves all transactions out of the log up to a version, as another engine's checkpoint leaves out old ones. */
async function loseTransactions(bench: Workbench, upTo: number): Promise<void> {
  for (let version = 0; version <= upTo; version += 1) {
    const path = join(bench.table, commitPath(version))
    const actions = (await readFile(path, 'utf8')).split('\n')
    await writeFile(path, actions.filter((action) => !action.startsWith('{"txn"')).join('\n'))
  }
}

const isLost = { code: 'TABLE_CORRUPT', message: /has lost the transaction tailrace-archive/ }

test('a log that has lost the transaction of its archive is refused, and no second archive, vacuum or merge hides the loss', async (t) => {
  const bench = await workbench(t)
  const committer = await opened(bench)
  await landRow(bench, committer, 'logs/a', 0)
  const { tableVersion } = (await archive(bench))!
  await loseTransactions(bench, tableVersion)
  await assert.rejects(() => opened(bench), isLost)
  await assert.rejects(() => archive(bench), isLost)
  await assert.rejects(() => vacuum(bench), isLost)
  await assert.rejects(() => optimize(bench), isLost)
  await assert.rejects(() => opened(bench), isLost)
})

test('a running process that loads a table again whose archive is lost lands nothing more', async (t) => {
  const bench = await workbench(t)
  await landRow(bench, await opened(bench), 'logs/a', 0)
  const { tableVersion } = (await archive(bench))!
  const running = await opened(bench)
  await landRow(bench, running, 'logs/new', 0)
  await loseTransactions(bench, tableVersion)
  const source = span('logs/new', 0, 10)
  const rows = await encode(bench, source, [{ offset: 0, seed: 0 }])
  await assert.rejects(() => running.replace(source, [rows]), isLost)
  assert.equal((await running.archive.find(['logs/a'])).length, 1)
  await assert.rejects(() => landRow(bench, running, 'logs/a', 0), CommitFencedError)
})

/** A table with the properties of one that has an archive: neither transactions nor the archive's folder are cloned. */
async function clonedTable(t: TestContext): Promise<Workbench> {
  const bench = await workbench(t)
  await landRow(bench, await opened(bench), 'logs/a', 0)
  const { tableVersion } = (await archive(bench))!
  await loseTransactions(bench, tableVersion)
  await rm(join(bench.table, '_tailrace'), { recursive: true })
  await landRow(bench, await opened(bench), 'logs/b', 0)
  return bench
}

test('a clone opens and gets an archive, at whichever step its first attempt was killed', async (t) => {
  const steps = ['_delta_log', '_tailrace/offsets', '_tailrace/offsets', '_delta_log']
  for (let left = 0; left <= steps.length; left += 1) {
    const bench = await clonedTable(t)
    const made: string[] = []
    await archive(bench, { storage: killedAfter(left, bench.storage, made) }).catch(() => {})
    assert.deepEqual(made.map(dirname), steps.slice(0, left))
    await opened(bench)
    await archive(bench, { clock: { ...impatientClock, now: () => Date.now() + 60_000 } })
    const found = await (await opened(bench)).archive.find(['logs/b'])
    assert.deepEqual(
      found.map(({ offset }) => offset),
      [10],
    )
  }
})

test('a clone that gets its first archive while another process opens it is not taken for one that has lost it', async (t) => {
  const bench = await clonedTable(t)
  let archives = 0
  const storage = withChanges(bench.storage, {
    list: async (folder, prefix) => {
      if (folder === '_tailrace/offsets' && archives++ === 0) await archive(bench)
      return bench.storage.list(folder, prefix)
    },
  })
  const committer = committerOf(bench, { storage })
  await committer.open()
  assert.equal(archives, 1)
  await assert.rejects(() => landRow(bench, committer, 'logs/b', 0), CommitFencedError)
})

/** A storage that makes some changes, notes them, and then none. */
function killedAfter(left: number, storage: DeltaStorage, made: string[]): DeltaStorage {
  const change = async <T>(path: string, make: () => Promise<T>): Promise<T> => {
    if (made.length === left) throw new Error('The process is killed.')
    made.push(path)
    return make()
  }
  return withChanges(storage, {
    putIfAbsent: (path, bytes) => change(path, () => storage.putIfAbsent(path, bytes)),
    put: (path, bytes) => change(path, () => storage.put(path, bytes)),
    putFile: (from, path) => change(path, () => storage.putFile(from, path)),
    remove: (path) => change(path, () => storage.remove(path)),
  })
}

function withChanges(storage: DeltaStorage, changes: Partial<DeltaStorage>): DeltaStorage {
  return new Proxy(storage, {
    get: (target, key) => {
      const own: unknown = Reflect.get(changes, key) ?? Reflect.get(target, key)
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
}

test('a process that knows only an archive whose files vacuum has deleted looks into the newest one', async (t) => {
  const bench = await workbench(t)
  const writer = await opened(bench)
  await landRow(bench, writer, 'logs/a', 0)
  await archive(bench)
  const former = await bench.storage.list('_tailrace/offsets')
  const idle = await opened(bench)
  await landRow(bench, writer, 'logs/b', 0)
  await archive(bench)
  for (const name of former) await bench.storage.remove(`_tailrace/offsets/${name}`)
  const found = await idle.archive.find(['logs/a', 'logs/b'])
  assert.deepEqual(found.map(({ blob }) => blob).sort(), ['logs/a', 'logs/b'])
})

test('nothing is archived below the minimum, and the table keeps its format until something is', async (t) => {
  const bench = await workbench(t)
  const committer = await opened(bench)
  await landRow(bench, committer, 'logs/a', 0)
  const formatOf = async () =>
    hasArchiveFormat((await loadState(bench.storage, bench.engine, { keepFiles: false }))!.metaData)
  assert.equal(await archive(bench, { minOffsets: 2 }), undefined)
  assert.equal(await archive(bench, { unchangedMs: 60_000 }), undefined)
  assert.equal(await formatOf(), false)
  await archive(bench)
  assert.equal(await formatOf(), true)
})
