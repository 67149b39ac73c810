import assert from 'node:assert/strict'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import type { DeltaCommitter } from '../../../../src/sinks/delta/committer.ts'
import { writeCheckpoint } from '../../../../src/sinks/delta/log/checkpoint-writer.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { appIdOf } from '../../../../src/sinks/delta/log/offsets.ts'
import type { TableState } from '../../../../src/sinks/delta/log/state.ts'
import { commitPath, encodeActions } from '../../../../src/sinks/delta/protocol/actions.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { EmbeddedEngine, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { committerOf, encode, placesOf, span, type Workbench, workbench } from '../support.ts'

const dayMs = 24 * 3_600_000

/** Lands one row per commit, up to a version. */
async function landUntil(bench: Workbench, committer: DeltaCommitter, version: number): Promise<void> {
  while (committer.tableVersion < version) {
    const blob = `logs/${committer.tableVersion % 3}`
    const start = committer.landed().get({ blob, generation: '20261124T084700Z' }) ?? 0
    const source = span(blob, start, start + 10)
    await committer.land(
      [source],
      await encode(bench, source, [{ offset: start, seed: committer.tableVersion }]),
    )
  }
  await committer.close()
}

async function logNames(bench: Workbench, pattern: RegExp): Promise<string[]> {
  return (await readdir(join(bench.table, '_delta_log'))).filter((name) => pattern.test(name)).sort()
}

async function metaDataOf(bench: Workbench) {
  const state = await loadState(new LocalDeltaStorage(bench.table), bench.engine, { keepFiles: false })
  return state!.metaData
}

async function stateOf(bench: Workbench) {
  const state = await loadState(new LocalDeltaStorage(bench.table), bench.engine, { keepFiles: true })
  const { version, protocol, metaData, transactions, files } = state!
  const { schemaString, partitionColumns, configuration, id, name, createdTime } = metaData
  // The keys are written out, because an absent one and an undefined one mean the same.
  const { readerFeatures, writerFeatures } = protocol
  const live = Array.from(files!.values(), (file) => {
    const { stats, deletionVector } = file
    return { ...file, stats, deletionVector, dataChange: false }
  })
  return {
    version,
    protocol: { ...protocol, readerFeatures, writerFeatures },
    metaData: { schemaString, partitionColumns, configuration, id, name, createdTime },
    transactions: new Map(Array.from(transactions).sort()),
    files: new Map(live.map((file) => [file.path, file] as const).sort()),
  }
}

test('checkpoints say what the commits before them say, one built on the other', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench)
  await committer.open()
  await landUntil(bench, committer, 18)
  await committer.replace(span('logs/0', 0, 25), [
    await encode(bench, span('logs/0', 0, 25), [{ offset: 3, seed: 99 }]),
  ])
  await landUntil(bench, committer, 20)
  assert.deepEqual(await logNames(bench, /checkpoint/), [
    '00000000000000000020.checkpoint.parquet',
    '_last_checkpoint',
  ])
  await committer.replace(span('logs/1', 10, 25), [])
  await landUntil(bench, committer, 43)
  const checkpoint = '00000000000000000040.checkpoint.parquet'
  assert.deepEqual(await logNames(bench, /checkpoint\.parquet/), [
    '00000000000000000020.checkpoint.parquet',
    checkpoint,
  ])

  // Without the checkpoints every commit counts; without the older commits the checkpoint does.
  const hint = JSON.parse(await readFile(join(bench.table, '_delta_log/_last_checkpoint'), 'utf8'))
  const rows = await placesOf(bench)
  const fromCheckpoint = await stateOf(bench)
  const saved = await readFile(join(bench.table, '_delta_log', checkpoint))
  for (const name of await logNames(bench, /checkpoint\.parquet/))
    await rm(join(bench.table, '_delta_log', name))
  assert.deepEqual(await stateOf(bench), fromCheckpoint)
  await writeFile(join(bench.table, '_delta_log', checkpoint), saved)
  for (let version = 0; version < 40; version += 1) await rm(join(bench.table, commitPath(version)))
  assert.deepEqual(await stateOf(bench), fromCheckpoint)
  assert.deepEqual(await placesOf(bench), rows)

  const [counts] = await bench.engine.rows(
    `SELECT count(*)::INTEGER AS size, count(add.path)::INTEGER AS files, count(remove.path)::INTEGER AS removed
    FROM read_parquet(${sqlString(join(bench.table, '_delta_log', checkpoint))})`,
  )
  assert.deepEqual(hint, {
    version: 40,
    size: counts?.size,
    sizeInBytes: saved.length,
    numOfAddFiles: counts?.files,
  })
  assert.ok(Number(counts?.removed) > 0)
})

test('a checkpoint forgets a removed file after a week', async (t) => {
  const bench = await workbench(t)
  let nowMs = 1_767_225_600_000
  const clock = { now: () => nowMs, sleep: async () => {}, after: () => () => {} }
  const committer = committerOf(bench, { clock })
  await committer.open()
  await landUntil(bench, committer, 10)
  await committer.replace(span('logs/0', 0, 5), [])
  nowMs += 8 * dayMs
  await committer.replace(span('logs/1', 0, 5), [])
  await landUntil(bench, committer, 20)
  const path = join(bench.table, '_delta_log', '00000000000000000020.checkpoint.parquet')
  const removed = await bench.engine.rows(
    `SELECT remove.deletionTimestamp AS at FROM read_parquet(${sqlString(path)}) WHERE remove.path IS NOT NULL`,
  )
  assert.deepEqual(removed, [{ at: String(nowMs) }])
})

test('a checkpoint that fails is reported, does not stop landings, and is tried again an interval later', async (t) => {
  const bench = await workbench(t)
  const failures: unknown[] = []
  const committer = committerOf(bench, {
    stagingDirectory: join(bench.directory, 'no such folder'),
    onCheckpointFailed: (error) => failures.push(error),
  })
  await committer.open()
  await landUntil(bench, committer, 41)
  assert.equal(failures.length, 2)
  assert.deepEqual(await logNames(bench, /checkpoint/), [])
})

test('a table with features keeps its domains and its layout in a checkpoint', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench)
  await committer.open()
  const protocol = {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: ['v2Checkpoint', 'deletionVectors'],
    writerFeatures: ['v2Checkpoint', 'deletionVectors', 'domainMetadata'],
  }
  const domain = (name: string, configuration: string, removed: boolean) => ({
    domainMetadata: { domain: name, configuration, removed },
  })
  const actions = [{ protocol }, domain('app.kept', '{"a":1}', false), domain('app.ended', '{}', false)]
  await writeFile(join(bench.table, commitPath(1)), encodeActions(actions))
  await writeFile(join(bench.table, commitPath(2)), encodeActions([domain('app.ended', '{}', true)]))
  await landUntil(bench, committer, 22)
  const checkpoint = '00000000000000000020.checkpoint.parquet'
  assert.deepEqual(await logNames(bench, /checkpoint\.parquet/), [checkpoint])
  const before = await stateOf(bench)
  for (let version = 0; version < 20; version += 1) await rm(join(bench.table, commitPath(version)))
  assert.deepEqual(await stateOf(bench), before)
  const state = await loadState(new LocalDeltaStorage(bench.table), bench.engine, { keepFiles: false })
  assert.deepEqual(Array.from(state!.domains.values()), [domain('app.kept', '{"a":1}', false).domainMetadata])
  const metadata = await bench.engine.rows(
    `SELECT checkpointMetadata.version AS version FROM read_parquet(${sqlString(join(bench.table, '_delta_log', checkpoint))})
      WHERE checkpointMetadata IS NOT NULL`,
  )
  assert.deepEqual(metadata, [{ version: '20' }])
})

test('a table that names no interval is checkpointed every ten commits, and one of other statistics never', async (t) => {
  for (const [configuration, expected] of [
    [{}, ['00000000000000000010.checkpoint.parquet', '00000000000000000020.checkpoint.parquet']],
    [{ 'delta.checkpoint.writeStatsAsJson': 'false' }, []],
  ] as const) {
    const bench = await workbench(t)
    const committer = committerOf(bench)
    await committer.open()
    const metaData = { ...(await metaDataOf(bench)), configuration }
    await writeFile(join(bench.table, commitPath(1)), encodeActions([{ metaData }]))
    while (committer.tableVersion < 23) {
      const next = committer.tableVersion === 0 ? 2 : committer.tableVersion + 1
      await landUntil(bench, committer, next)
    }
    assert.deepEqual(await logNames(bench, /checkpoint\.parquet/), expected)
  }
})

test('a checkpoint starts from another writer’s when its own was cleaned away', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench)
  await committer.open()
  await landUntil(bench, committer, 20)
  await landUntil(bench, committer, 30)
  const other = committerOf(bench)
  await other.open()
  // The other one saw the checkpoint of 20; now a younger one takes its place, with all before it.
  const log = join(bench.table, '_delta_log')
  const state = await loadState(new LocalDeltaStorage(bench.table), bench.engine, { keepFiles: false })
  const { version, protocol, metaData, transactions, domains, checkpointVersion } = state!
  await writeCheckpoint(
    {
      version,
      protocol,
      metaData,
      previous: checkpointVersion,
      transactions: transactions.size,
      domains: domains.size,
    },
    { storage: new LocalDeltaStorage(bench.table), engine: bench.engine, stagingDirectory: bench.staging },
    Date.now(),
  )
  await rm(join(log, '00000000000000000020.checkpoint.parquet'))
  for (let old = 0; old < 30; old += 1) await rm(join(bench.table, commitPath(old)))
  await landUntil(bench, other, 40)
  assert.deepEqual(await logNames(bench, /checkpoint\.parquet/), [
    '00000000000000000030.checkpoint.parquet',
    '00000000000000000040.checkpoint.parquet',
  ])
})

test('a torn checkpoint beside a whole one of the same version does not end the checkpoints', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench)
  await committer.open()
  await landUntil(bench, committer, 20)
  const log = join(bench.table, '_delta_log')
  const classic = join(log, '00000000000000000020.checkpoint.parquet')
  await rename(classic, join(log, '00000000000000000020.checkpoint.0000000001.0000000001.parquet'))
  await writeFile(classic, 'PAR1')
  const again = committerOf(bench)
  await again.open()
  await landUntil(bench, again, 40)
  assert.ok((await logNames(bench, /checkpoint/)).includes('00000000000000000040.checkpoint.parquet'))
})

/** What a checkpoint is made of, by a state. */
function planOf({ version, protocol, metaData, checkpointVersion, transactions, domains }: TableState) {
  const counts = { transactions: transactions.size, domains: domains.size }
  return { version, previous: checkpointVersion, protocol, metaData, ...counts }
}

test('a checkpoint that holds another number of offsets than the table is not published', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench)
  await committer.open()
  await landUntil(bench, committer, 5)
  const plan = planOf((await loadState(bench.storage, bench.engine, { keepFiles: false }))!)
  const context = { storage: bench.storage, engine: bench.engine, stagingDirectory: bench.staging }
  for (const wrong of [
    { transactions: plan.transactions + 1 },
    { transactions: plan.transactions - 1 },
    { domains: 1 },
  ]) {
    await assert.rejects(writeCheckpoint({ ...plan, ...wrong }, context, Date.now()), (error) =>
      isTailraceError(error, 'TABLE_CORRUPT'),
    )
    assert.deepEqual(await logNames(bench, /checkpoint/), [])
  }
  await writeCheckpoint(plan, context, Date.now())
  const [written] = await logNames(bench, /checkpoint.parquet/)
  const path = join(bench.table, '_delta_log', written!)
  assert.deepEqual(
    await bench.engine.rows(`SELECT count(txn.appId)::INTEGER AS offsets, count(txn.lastUpdated)::INTEGER AS times
      FROM read_parquet(${sqlString(path)})`),
    [{ offsets: 3, times: 3 }],
  )
})

/** How many offsets the next test writes, and with how much memory: 300000 and 200 are what a run has at most. */
const manyOffsets = Number(process.env.TAILRACE_TEST_OFFSETS ?? 100_000)
const manyOffsetsMiB = Number(process.env.TAILRACE_TEST_OFFSETS_MIB ?? 100)

test('the offsets of any number of blobs are written and read within the memory of the engine', async (t) => {
  const bench = await workbench(t)
  await committerOf(bench).open()
  const name = `insights-logs-postgresqllogs/resourceId=${'/SUBSCRIPTIONS'.repeat(8)}`
  const path = join(bench.table, '_delta_log', '00000000000000000000.checkpoint.parquet')
  const state = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
  await writeCheckpoint(
    planOf(state),
    { storage: bench.storage, engine: bench.engine, stagingDirectory: bench.staging },
    Date.now(),
  )
  await rename(path, `${path}.bare`)
  await bench.engine.run(`COPY (FROM read_parquet(${sqlString(`${path}.bare`)}) UNION ALL BY NAME
      SELECT {appId: '${appIdOf({ blob: name, generation: '' }).replace('@', '')}/' || i || '.json@20261124T084700Z',
        version: i, lastUpdated: 1} AS txn FROM range(${manyOffsets}) AS blobs(i))
    TO ${sqlString(path)} (FORMAT parquet, COMPRESSION snappy)`)
  await rm(`${path}.bare`)

  const engine = await EmbeddedEngine.open({
    temporaryDirectory: join(bench.directory, 'little'),
    memoryMiB: manyOffsetsMiB,
  })
  t.after(() => engine.close())
  const committer = committerOf(bench, { engine })
  await committer.open()
  await landUntil(bench, committer, 20)
  await committer.close()
  assert.deepEqual(await logNames(bench, /checkpoint\.parquet/), [
    '00000000000000000000.checkpoint.parquet',
    '00000000000000000020.checkpoint.parquet',
  ])
  const after = (await loadState(bench.storage, engine, { keepFiles: false }))!
  assert.equal(after.checkpointVersion, 20)
  assert.equal(after.transactions.size, manyOffsets + 3)
})
