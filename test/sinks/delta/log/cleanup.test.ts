import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { writeCheckpoint } from '../../../../src/sinks/delta/log/checkpoint-writer.ts'
import { cleanLog, cleanupRules } from '../../../../src/sinks/delta/log/cleanup.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { commitPath } from '../../../../src/sinks/delta/protocol/actions.ts'
import type { DeltaStorage, StoredObject } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { CountingStorage, firstMs, LongTable } from '../long-table.ts'
import { committerOf, encode, impatientClock, placesOf, span, type Workbench, workbench } from '../support.ts'

const dayMs = 24 * 3_600_000
/** The first commit is of this noon, every other one of a day later. */
const startMs = Date.UTC(2026, 0, 1, 12)

const at = (version: number) => String(version).padStart(20, '0')

/** A table of eleven versions, one a day, with checkpoints at 3 and 7; each commit has a checksum beside it. */
async function aged(bench: Workbench): Promise<void> {
  const committer = committerOf(bench)
  await committer.open()
  const log = join(bench.table, '_delta_log')
  const storage = new LocalDeltaStorage(bench.table)
  for (let version = 0; version <= 10; version += 1) {
    if (version > 0) {
      const source = span('logs/pg', version * 10, version * 10 + 10)
      await committer.land([source], await encode(bench, source, [{ offset: version * 10, seed: version }]))
    }
    await writeFile(join(log, `${at(version)}.crc`), '{}')
    if (version === 3 || version === 7) {
      const state = (await loadState(storage, bench.engine, { keepFiles: false }))!
      const { protocol, metaData, transactions, domains, checkpointVersion } = state
      await writeCheckpoint(
        {
          version,
          protocol,
          metaData,
          previous: checkpointVersion,
          transactions: transactions.size,
          domains: domains.size,
        },
        { storage, engine: bench.engine, stagingDirectory: bench.staging },
        startMs,
      )
    }
  }
  await writeFile(join(log, `${at(1)}.${at(2)}.compacted.json`), '{}')
  await writeFile(join(log, `${at(8)}.${at(9)}.compacted.json`), '{}')
  for (const name of await readdir(log)) {
    const version = /^\d{20}/.exec(name)?.[0]
    if (version === undefined) continue
    const seconds = (startMs + Number(version) * dayMs) / 1000
    await utimes(join(log, name), seconds, seconds)
  }
}

async function logNames(bench: Workbench): Promise<string[]> {
  return (await readdir(join(bench.table, '_delta_log'))).filter((name) => !name.startsWith('_')).sort()
}

/** Cleans as on a day, by the table's rules with some changed. */
async function cleanOn(
  bench: Workbench,
  day: number,
  changes: Readonly<Record<string, string>>,
  storage: DeltaStorage = new LocalDeltaStorage(bench.table),
): Promise<boolean | undefined> {
  const { protocol, metaData } = (await loadState(storage, bench.engine, { keepFiles: false }))!
  const configuration = { ...metaData.configuration, ...changes }
  const nowMs = startMs + day * dayMs
  const rules = cleanupRules(protocol, { ...metaData, configuration }, nowMs)
  return rules && cleanLog({ storage, engine: bench.engine }, rules, nowMs)
}

test('files before the newest checkpoint that is old enough are removed, and every later version can be read', async (t) => {
  const bench = await workbench(t)
  await aged(bench)
  const before = await placesOf(bench)
  const all = await logNames(bench)
  // Five days back from the 11th noon, the 6th began: version 4 of the 5th is the newest that is not younger.
  assert.equal(await cleanOn(bench, 10, { 'delta.logRetentionDuration': 'interval 5 days' }), true)
  assert.deepEqual(
    all.filter((name) => Number(name.slice(0, 20)) >= 3),
    await logNames(bench),
  )
  assert.deepEqual(await placesOf(bench), before)
  await cleanOn(bench, 10, { 'delta.logRetentionDuration': 'interval 1 day' })
  const left = await logNames(bench)
  assert.deepEqual(
    all.filter((name) => Number(name.slice(0, 20)) >= 7),
    left,
  )
  assert.ok(left.includes(`${at(7)}.json`) && left.includes(`${at(8)}.${at(9)}.compacted.json`))
  assert.deepEqual(await placesOf(bench), before)
})

test('a log stays unchanged when the properties of the table say so, or when nothing in it is old enough', async (t) => {
  const bench = await workbench(t)
  await aged(bench)
  const all = await logNames(bench)
  const cases: [number, Record<string, string>, boolean | undefined][] = [
    [10, {}, true],
    [33, {}, true],
    [40, { 'delta.enableExpiredLogCleanup': 'false' }, undefined],
    [40, { 'delta.logRetentionDuration': 'interval 1 month' }, undefined],
    [10, { 'delta.logRetentionDuration': 'interval 1 week 12 hours' }, true],
  ]
  for (const [day, changes, expected] of cases) {
    // Thirty days back from day 33 is the midnight before version 3, the first with a checkpoint.
    assert.equal(await cleanOn(bench, day, changes), expected)
    assert.deepEqual(await logNames(bench), all, `${day} ${JSON.stringify(changes)}`)
  }
  await cleanOn(bench, 34, {})
  assert.ok((await logNames(bench)).length < all.length)
})

test('a checkpoint stays for as long as the table keeps checkpoints, also when its commit is gone', async (t) => {
  const bench = await workbench(t)
  await aged(bench)
  const third = `${at(3)}.checkpoint.parquet`
  // Version 3 is of day 3: 37 days old by then, and before the checkpoint of 7, which is kept.
  await cleanOn(bench, 40, { 'delta.checkpointRetentionDuration': 'interval 38 days' })
  assert.ok(!(await logNames(bench)).includes(`${at(3)}.json`))
  assert.ok((await logNames(bench)).includes(third))
  await cleanOn(bench, 40, { 'delta.checkpointRetentionDuration': 'interval 36 days' })
  assert.ok(!(await logNames(bench)).includes(third))
})

test('without a checkpoint nothing is removed', async (t) => {
  const bench = await workbench(t)
  await aged(bench)
  const log = join(bench.table, '_delta_log')
  for (const version of [3, 7]) await writeFile(join(log, `${at(version)}.checkpoint.parquet`), 'PAR1')
  const all = await logNames(bench)
  await assert.rejects(cleanOn(bench, 100, {}))
  assert.deepEqual(await logNames(bench), all)
})

test('a commit that seems older than the one before it is as young as that', async (t) => {
  const bench = await workbench(t)
  await aged(bench)
  const log = join(bench.table, '_delta_log')
  const young = (startMs + 9 * dayMs) / 1000
  await utimes(join(log, `${at(2)}.json`), young, young)
  const all = await logNames(bench)
  await cleanOn(bench, 10, { 'delta.logRetentionDuration': 'interval 2 days' })
  assert.deepEqual(await logNames(bench), all)
})

/** Fails for good after a number of removals. */
class DyingStorage extends LocalDeltaStorage {
  left: number

  constructor(root: string, removals: number) {
    super(root)
    this.left = removals
  }

  override async remove(path: string): Promise<void> {
    if (this.left === 0) throw new Error('The process is gone.')
    this.left -= 1
    await super.remove(path)
  }
}

test('a cleanup that dies after any of its removals leaves a table that opens, and the next one finishes', async (t) => {
  const changes = { 'delta.logRetentionDuration': 'interval 1 day' }
  for (let removals = 0; removals < 16; removals += 5) {
    const bench = await workbench(t)
    await aged(bench)
    const before = await placesOf(bench)
    await assert.rejects(cleanOn(bench, 10, changes, new DyingStorage(bench.table, removals)), /is gone/)
    assert.deepEqual(await placesOf(bench), before)
    const committer = committerOf(bench)
    await committer.open()
    const source = span('logs/pg', 110, 120)
    await committer.land([source], await encode(bench, source, [{ offset: 110, seed: 11 }]))
    assert.equal(await cleanOn(bench, 10, changes), true)
    assert.equal((await logNames(bench))[0], `${at(7)}.checkpoint.parquet`)
    assert.equal((await placesOf(bench)).length, before.length + 1)
  }
})

test('sidecars that no checkpoint names go, unless their checkpoint may be under way', async (t) => {
  const bench = await workbench(t)
  await aged(bench)
  const log = join(bench.table, '_delta_log')
  await mkdir(join(log, '_sidecars'))
  const top = [
    { checkpointMetadata: { version: 8 } },
    ...(await readFile(join(bench.table, commitPath(0)), 'utf8'))
      .split('\n')
      .filter((line) => line.includes('"protocol"') || line.includes('"metaData"'))
      .map((line) => JSON.parse(line) as object),
    { sidecar: { path: 'used.parquet', sizeInBytes: 1, modificationTime: 1 } },
  ]
  const uuid = '80a083e8-7026-4e79-81be-64bd76c43a11'
  await writeFile(
    join(log, `${at(8)}.checkpoint.${uuid}.json`),
    top.map((action) => JSON.stringify(action)).join('\n'),
  )
  for (const [name, day] of [
    ['used.parquet', 1],
    ['unused.parquet', 1],
    ['of-yesterday.parquet', 9.6],
    ['young.parquet', 9.9],
  ] as const) {
    await writeFile(join(log, '_sidecars', name), '')
    const seconds = (startMs + day * dayMs) / 1000
    await utimes(join(log, '_sidecars', name), seconds, seconds)
  }
  // Late on a day: what was written since the midnight before the last one stays.
  await cleanOn(bench, 10.9, { 'delta.logRetentionDuration': 'interval 5 days' })
  assert.deepEqual((await readdir(join(log, '_sidecars'))).sort(), [
    'of-yesterday.parquet',
    'used.parquet',
    'young.parquet',
  ])
})

test('only the beginning of a long log is read, and its expired files are removed in portions', async (t) => {
  const bench = await workbench(t)
  const checkpoints = [100, 2_300, 2_600, 4_000]
  const { storage } = await LongTable.of(bench, { to: 5_200, checkpoints })
  const clean = async (cutoffVersion: number) => {
    storage.pageCount = 0
    const rules = { cutoffMs: firstMs + cutoffVersion * 1000, checkpointCutoffMs: Number.POSITIVE_INFINITY }
    const isDone = await cleanLog({ storage, engine: bench.engine }, rules, firstMs)
    const names = await logNames(bench)
    return { isDone, pages: storage.pageCount, first: Number(names[0]!.slice(0, 20)), left: names.length }
  }
  const all = 5_201 + checkpoints.length
  // A page has 1,000 names.
  assert.deepEqual(await clean(99), { isDone: true, pages: 1, first: 0, left: all })
  assert.deepEqual(await clean(100), { isDone: true, pages: 1, first: 100, left: all - 100 })
  // There is more than one cleanup removes, and the next one goes on where it ended.
  assert.deepEqual(await clean(4_500), { isDone: false, pages: 3, first: 2_099, left: all - 2_100 })
  assert.deepEqual(await clean(4_500), { isDone: true, pages: 3, first: 4_000, left: all - 4_003 })
  assert.deepEqual(await clean(4_500), { isDone: true, pages: 1, first: 4_000, left: all - 4_003 })
  assert.equal((await loadState(storage, bench.engine, { keepFiles: false }))?.version, 5_200)
})

/** Lists the log in small pages, and counts how often an object's name is read. */
class WatchedStorage extends LocalDeltaStorage {
  readonly reads = new Map<string, number>()

  override async *pages(folder: string): AsyncGenerator<readonly StoredObject[]> {
    const { reads } = this
    const objects: StoredObject[] = []
    for await (const page of super.pages(folder)) objects.push(...page)
    for (let from = 0; from < objects.length; from += 10) {
      yield objects.slice(from, from + 10).map(({ name, ...rest }) => ({
        ...rest,
        get name() {
          reads.set(name, (reads.get(name) ?? 0) + 1)
          return name
        },
      }))
    }
  }
}

test('each page of a log is sorted out once, with a checkpoint and without', async (t) => {
  for (const checkpoints of [[], [50, 55, 290]]) {
    const bench = await workbench(t)
    await LongTable.of(bench, { to: 300, checkpoints })
    const storage = new WatchedStorage(bench.table)
    const rules = { cutoffMs: firstMs + 299_000, checkpointCutoffMs: Number.POSITIVE_INFINITY }
    await cleanLog({ storage, engine: bench.engine }, rules, firstMs)
    assert.ok(storage.reads.size > 300)
    assert.ok(Math.max(...storage.reads.values()) <= 4, `${Math.max(...storage.reads.values())} readings`)
    const first = Number((await logNames(bench))[0]!.slice(0, 20))
    assert.equal(first, checkpoints.at(-1) ?? 0)
  }
})

test('a log is cleaned once a day, after the first checkpoint of a process and of each day', async (t) => {
  const bench = await workbench(t)
  const storage = new FailingStorage(bench.table)
  let nowMs = startMs
  const failures: string[] = []
  const open = async () => {
    const committer = committerOf(bench, {
      storage,
      clock: { ...impatientClock, now: () => nowMs },
      onCheckpointFailed: (error) => failures.push(String(error)),
    })
    await committer.open()
    return committer
  }
  let committer = await open()
  let offset = 0
  /** How many times the log was looked through while so many checkpoints were written. */
  const cleanups = async (checkpoints: number): Promise<number> => {
    storage.pagedCount = 0
    for (let commit = 1; commit <= checkpoints * 20; commit += 1) {
      const source = span('logs/pg', offset, offset + 10)
      await committer.land([source], await encode(bench, source, [{ offset, seed: offset }]))
      offset += 10
      if (commit % 20 === 0) await committer.close()
    }
    return storage.pagedCount
  }
  assert.equal(await cleanups(2), 1)
  nowMs += dayMs / 4
  assert.equal(await cleanups(1), 0)
  nowMs += dayMs / 4
  assert.equal(await cleanups(2), 1, 'it is past midnight')
  committer = await open()
  assert.equal(await cleanups(1), 1, 'it is another process')

  nowMs += dayMs
  storage.fault = new Error('It is not allowed.')
  assert.deepEqual([await cleanups(2), failures], [1, ['Error: It is not allowed.']])
  storage.fault = undefined

  // Everything is expired, and it is more than one cleanup removes.
  nowMs = Date.now() + 40 * dayMs
  for (let index = 0; index < 2_100; index += 1)
    await writeFile(join(bench.table, '_delta_log', `${at(0)}.${at(index)}.compacted.json`), '')
  assert.equal(await cleanups(3), 2)
  assert.equal((await logNames(bench)).filter((name) => name.includes('compacted')).length, 0)
  assert.equal(failures.length, 1)
})

/** Fails for good where a cleanup looks through the log. */
class FailingStorage extends CountingStorage {
  fault: Error | undefined

  override async *pages(folder: string, prefix?: string): AsyncGenerator<readonly StoredObject[]> {
    const pages = super.pages(folder, prefix)
    if (folder === '_delta_log' && this.fault !== undefined) {
      this.pagedCount += 1
      throw this.fault
    }
    yield* pages
  }
}
