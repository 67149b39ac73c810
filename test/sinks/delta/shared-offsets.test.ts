import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { CommitFencedError } from '../../../src/sinks/commit-fence.ts'
import { loadState } from '../../../src/sinks/delta/log/load.ts'
import type { DoubledRange } from '../../../src/sinks/delta/log/offsets.ts'
import { commitPath, encodeActions, type MetaDataAction } from '../../../src/sinks/delta/protocol/actions.ts'
import { schemaString } from '../../../src/sinks/delta/protocol/schema.ts'
import { FaultyStorage } from './faulty-storage.ts'
import { onEachStorage } from './on-each-storage.ts'
import {
  type CommitterOverrides,
  columns,
  committerOf,
  encode,
  offsetsOf,
  span,
  type Workbench,
  workbench,
} from './support.ts'

const generation = '20261124T084700Z'

async function opened(bench: Workbench, blobs: readonly string[] | undefined, more: CommitterOverrides = {}) {
  const committer = committerOf(bench, {
    ...(blobs === undefined ? {} : { landsBlob: (blob: string) => blobs.includes(blob) }),
    ...more,
  })
  await committer.open()
  const land = async (blob: string, start: number, end: number) => {
    const rows = Array.from({ length: (end - start) / 10 }, (_, index) => start + index * 10)
    const source = span(blob, start, end)
    await committer.land(
      [source],
      await encode(
        bench,
        source,
        rows.map((offset) => ({ offset, seed: 1 })),
      ),
    )
  }
  const landed = () =>
    Object.fromEntries(Array.from(committer.landed(), ({ blob, offset }) => [blob, offset]))
  return { committer, land, landed }
}

/**
 * A table as release 0.1.0 left it, with offsets by pipeline: `pg-0` landed s0 to 60 and s1 to 40, `pg-1` landed
 * `s2@x` to 30 and, again, s1 to 20.
 */
async function formerTable(t: TestContext): Promise<Workbench> {
  const bench = await workbench(t)
  await cp(join(import.meta.dirname, 'former-offsets'), bench.table, { recursive: true })
  return bench
}

onEachStorage('pipelines that share out their blobs anew go on where the others were', async (bench) => {
  const before = [await opened(bench, ['s0', 's1']), await opened(bench, ['s2', 's3'])] as const
  for (const blob of ['s0', 's1']) await before[0].land(blob, 0, 20)
  for (const blob of ['s2', 's3']) await before[1].land(blob, 0, 20)
  assert.deepEqual(before[0].landed(), { s0: 20, s1: 20 })

  const after = [await opened(bench, ['s0']), await opened(bench, ['s1', 's2']), await opened(bench, ['s3'])]
  assert.deepEqual(
    after.map(({ landed }) => landed()),
    [{ s0: 20 }, { s1: 20, s2: 20 }, { s3: 20 }],
  )
  await Promise.all((['s0', 's1', 's3'] as const).map((blob, index) => after[index]!.land(blob, 20, 40)))
  // A pipeline that still runs with the former share is fenced off the blobs that another one has landed since.
  await assert.rejects(before[0].land('s1', 20, 30), CommitFencedError)
  assert.deepEqual(before[0].landed(), { s0: 40, s1: 40 })
  for (const blob of ['s0', 's1', 's3']) assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30])
  assert.deepEqual(await offsetsOf(bench, 's2'), [0, 10])
})

onEachStorage('two pipelines that land one blob at the same time land each row once', async (bench) => {
  const both = [await opened(bench, ['s0', 'a']), await opened(bench, ['s0', 'b'])]
  const results = await Promise.allSettled(both.map(({ land }) => land('s0', 0, 40)))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  assert.equal(failures.length, 1)
  assert.ok(failures[0] instanceof CommitFencedError)
  assert.deepEqual(await offsetsOf(bench, 's0'), [0, 10, 20, 30])
  for (const { landed } of both) assert.deepEqual(landed(), { s0: 40 })
})

onEachStorage(
  'a process that was fenced off a blob knows after a refresh how far the other one has landed it since, and takes over',
  async (bench) => {
    const [lost, other] = [await opened(bench, undefined), await opened(bench, undefined)]
    await other.land('s0', 0, 20)
    await assert.rejects(lost.land('s0', 0, 20), CommitFencedError)
    await other.land('s0', 20, 40)
    await lost.committer.refresh()
    assert.deepEqual(lost.landed(), { s0: 40 })
    await lost.land('s0', 40, 50)
    assert.deepEqual(await offsetsOf(bench, 's0'), [0, 10, 20, 30, 40])
  },
)

onEachStorage('a pipeline knows its own blobs alone, also when others land beside it', async (bench) => {
  const [mine, other] = [await opened(bench, ['s0']), await opened(bench, ['s1'])]
  await other.land('s1', 0, 20)
  await mine.land('s0', 0, 20)
  await other.land('s1', 20, 40)
  await mine.land('s0', 20, 30)
  assert.deepEqual([mine.landed(), other.landed()], [{ s0: 30 }, { s1: 40 }])
  // A first run, to which `latest` applies, is one whose own blobs have no offset, whatever else the table has.
  assert.equal((await opened(bench, ['s9'])).committer.landed().blobCount, 0)
})

test('a table of a former release keeps its offsets, whoever landed them', async (t) => {
  const bench = await formerTable(t)
  const doubled: DoubledRange[] = []
  const one = await opened(bench, undefined, { onDoubled: (ranges) => doubled.push(...ranges) })
  assert.deepEqual(one.landed(), { 'logs/s0': 60, 'logs/s1': 40, 'logs/s2@x': 30 })
  assert.deepEqual(doubled, [{ blob: 'logs/s1', generation, pipelines: ['pg-0', 'pg-1'], end: 20 }])
  assert.equal(one.committer.tableVersion, 6, 'one commit keeps the former release away')

  const again = await opened(bench, undefined, { onDoubled: () => assert.fail('reported twice') })
  assert.equal(again.committer.tableVersion, 6)
  await again.land('logs/s1', 40, 60)
  await again.land('logs/s2@x', 30, 40)
  assert.deepEqual((await opened(bench, ['logs/s1'])).landed(), { 'logs/s1': 60 })
  // What was doubled stays, and is not trebled.
  assert.deepEqual(await offsetsOf(bench, 'logs/s1'), [0, 0, 10, 10, 20, 30, 40, 50])
})

test('a checkpoint of a table of a former release says the same as its commits', async (t) => {
  const bench = await formerTable(t)
  const { landed, land } = await opened(bench, undefined)
  for (let start = 60; start < 200; start += 10) await land('logs/s0', start, start + 10)
  await Promise.all(bench.committers.map((committer) => committer.close()))
  assert.ok((await bench.storage.list('_delta_log')).includes('_last_checkpoint'))
  const state = await loadState(bench.storage, bench.engine, { keepFiles: false })
  assert.deepEqual(
    Object.fromEntries(Array.from(state!.transactions.landed, ({ blob, offset }) => [blob, offset])),
    landed(),
  )
  assert.equal(state!.transactions.size, 5)
})

test('a commit that a process of a former release makes at the last moment counts', async (t) => {
  const bench = await formerTable(t)
  const storage = new FaultyStorage(bench.storage)
  storage.beforePut.push(async () => {
    const txn = { appId: `tailrace/pg-1/logs/s3@${generation}`, version: 70 }
    await bench.storage.putIfAbsent(commitPath(6), encodeActions([{ txn }]))
  })
  const { landed } = await opened(bench, undefined, { storage })
  assert.equal(landed()['logs/s3'], 70)
})

test('a former release refuses the table by the name of a property, a new table from its beginning', async (t) => {
  // As release 0.1.0 wrote it: it refused every property of this form that was true.
  const refused = /^delta\.enableIcebergCompatV\d+$/
  for (const bench of [await formerTable(t), await workbench(t)]) {
    await opened(bench, undefined)
    const state = await loadState(bench.storage, bench.engine, { keepFiles: false })
    const configuration = Object.entries(state!.metaData.configuration ?? {})
    assert.ok(configuration.some(([name, value]) => refused.test(name) && value === 'true'))
  }
})

test('changes of another writer to a table stay when former releases are kept from writing it', async (t) => {
  const bench = await workbench(t)
  const metaData: MetaDataAction = {
    id: 'a-table',
    name: 'theirs',
    description: 'Not ours.',
    format: { provider: 'parquet', options: {} },
    schemaString: schemaString(columns),
    partitionColumns: ['event_date'],
    configuration: { 'delta.logRetentionDuration': 'interval 90 days', other: 'kept' },
    createdTime: 1,
  }
  const protocol = { minReaderVersion: 1, minWriterVersion: 2 }
  await bench.storage.prepare()
  await bench.storage.putIfAbsent(commitPath(0), encodeActions([{ protocol }, { metaData }]))
  const storage = new FaultyStorage(bench.storage)
  const changed = { ...metaData, configuration: { ...metaData.configuration, more: 'kept too' } }
  storage.beforePut.push(async () => {
    await bench.storage.putIfAbsent(commitPath(1), encodeActions([{ metaData: changed }]))
  })
  assert.equal((await opened(bench, undefined, { storage })).committer.tableVersion, 2)
  assert.equal((await opened(bench, undefined)).committer.tableVersion, 2)
  const state = await loadState(bench.storage, bench.engine, { keepFiles: false })
  const configuration = { ...changed.configuration, 'delta.enableIcebergCompatV0': 'true' }
  assert.deepEqual(state?.metaData, { ...changed, configuration })
})
