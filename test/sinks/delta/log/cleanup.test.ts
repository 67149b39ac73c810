import assert from 'node:assert/strict'
import { cp, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { writeCheckpoint } from '../../../../src/sinks/delta/log/checkpoint-writer.ts'
import { cleanLog, cleanupRules } from '../../../../src/sinks/delta/log/cleanup.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { commitPath } from '../../../../src/sinks/delta/protocol/actions.ts'
import type { DeltaStorage } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { sharedHooks } from '../../../support/shared-hooks.ts'
import { committerOf, encode, placesOf, span, type Workbench, workbench } from '../support.ts'

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

/** Made once, because it takes longer than a test. */
const agedBefore = await workbench(sharedHooks())
await aged(agedBefore)
const agedTable = agedBefore.table

/** A copy of the aged table. */
async function agedBench(t: TestContext): Promise<Workbench> {
  const bench = await workbench(t)
  await cp(agedTable, bench.table, { recursive: true, preserveTimestamps: true })
  return bench
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
  const bench = await agedBench(t)
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
  const bench = await agedBench(t)
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
  const bench = await agedBench(t)
  const third = `${at(3)}.checkpoint.parquet`
  // Version 3 is of day 3: 37 days old by then, and before the checkpoint of 7, which is kept.
  await cleanOn(bench, 40, { 'delta.checkpointRetentionDuration': 'interval 38 days' })
  assert.ok(!(await logNames(bench)).includes(`${at(3)}.json`))
  assert.ok((await logNames(bench)).includes(third))
  await cleanOn(bench, 40, { 'delta.checkpointRetentionDuration': 'interval 36 days' })
  assert.ok(!(await logNames(bench)).includes(third))
})

test('without a checkpoint nothing is removed', async (t) => {
  const bench = await agedBench(t)
  const log = join(bench.table, '_delta_log')
  for (const version of [3, 7]) await writeFile(join(log, `${at(version)}.checkpoint.parquet`), 'PAR1')
  const all = await logNames(bench)
  await assert.rejects(cleanOn(bench, 100, {}))
  assert.deepEqual(await logNames(bench), all)
})

test('a commit that seems older than the one before it is as young as that', async (t) => {
  const bench = await agedBench(t)
  const log = join(bench.table, '_delta_log')
  const young = (startMs + 9 * dayMs) / 1000
  await utimes(join(log, `${at(2)}.json`), young, young)
  const all = await logNames(bench)
  await cleanOn(bench, 10, { 'delta.logRetentionDuration': 'interval 2 days' })
  assert.deepEqual(await logNames(bench), all)
})

test('a table that forbids it, or whose interval cannot be used, has no rules', () => {
  const protocol = { minReaderVersion: 1, minWriterVersion: 2 }
  const metaDataOf = (configuration: Record<string, string>) => ({
    id: 'x',
    format: { provider: 'parquet' },
    schemaString: '{}',
    partitionColumns: [],
    configuration,
  })
  const rulesOf = (configuration: Record<string, string>, given = protocol) =>
    cleanupRules(given, metaDataOf(configuration), startMs)
  const midnightMs = startMs - dayMs / 2
  assert.deepEqual(rulesOf({}), {
    cutoffMs: midnightMs - 30 * dayMs,
    checkpointCutoffMs: startMs - 2 * dayMs,
  })
  const [log, checkpoint] = ['delta.logRetentionDuration', 'delta.checkpointRetentionDuration'] as const
  assert.deepEqual(rulesOf({ [log]: 'interval 0 days', [checkpoint]: 'interval 0 days' }), {
    cutoffMs: midnightMs,
    checkpointCutoffMs: startMs,
  })
  for (const name of [log, checkpoint])
    for (const interval of ['interval 1 month', 'interval -1 days'])
      assert.equal(rulesOf({ [name]: interval }), undefined, `${name} ${interval}`)
  const protecting = {
    minReaderVersion: 1,
    minWriterVersion: 7,
    readerFeatures: [],
    writerFeatures: ['checkpointProtection'],
  }
  assert.equal(rulesOf({}, protecting), undefined)
})

test('a compaction that begins at the checkpoint that is kept goes with the commits that it covers', async (t) => {
  const bench = await agedBench(t)
  const path = join(bench.table, '_delta_log', `${at(7)}.${at(8)}.compacted.json`)
  await writeFile(path, '{}')
  await cleanOn(bench, 10, { 'delta.logRetentionDuration': 'interval 1 day' })
  const left = await logNames(bench)
  assert.ok(left.includes(`${at(7)}.json`))
  assert.ok(!left.includes(`${at(7)}.${at(8)}.compacted.json`))
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
    const bench = await agedBench(t)
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
  const bench = await agedBench(t)
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
