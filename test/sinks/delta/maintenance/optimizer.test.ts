import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import test, { type TestContext } from 'node:test'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { BackgroundOptimizer } from '../../../../src/sinks/delta/maintenance/optimizer.ts'
import type { OptimizeConfig } from '../../../../src/sinks/delta/options.ts'
import {
  commitPath,
  type DeltaAction,
  encodeActions,
  type MetaDataAction,
} from '../../../../src/sinks/delta/protocol/actions.ts'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import type { UpkeepShare } from '../../../../src/sinks/sink.ts'
import { eventually } from '../../../support/eventually.ts'
import { impatientClock, type Workbench } from '../support.ts'
import { contentOf, dayMs, landBatches, pipelineBench } from './support.ts'

const pauseMs = 5 * 60_000
const hourMs = 3_600_000

interface Setup {
  readonly bench: Workbench
  readonly optimizer: BackgroundOptimizer
  /** Time and whether disk space is short, both to be set. */
  readonly state: { nowMs: number; isHeld: boolean }
  readonly warnings: string[]
  readonly staging: string
}

async function setUp(
  t: TestContext,
  optimize: OptimizeConfig | false,
  upkeepShare?: UpkeepShare,
): Promise<Setup> {
  const { bench, target, staging, logger, warnings } = await pipelineBench(t, { optimize })
  const state = { nowMs: Date.now(), isHeld: false }
  const optimizer = new BackgroundOptimizer({
    target,
    staging,
    upkeepShare,
    isHeld: () => state.isHeld,
    clock: { ...impatientClock, now: () => state.nowMs },
    logger,
  })
  t.after(() => optimizer.stop())
  return { bench, optimizer, state, warnings, staging }
}

/** It has to be at work already. */
async function finished(optimizer: BackgroundOptimizer): Promise<void> {
  assert.ok(optimizer.isWorking)
  await eventually(async () => !optimizer.isWorking, 'end of the merge')
}

async function fileCount({ storage, engine }: Workbench): Promise<number> {
  return (await readTable(storage, engine))?.files.length ?? 0
}

test('partitions with many small files are merged after a pause, when enough batches were landed', async (t) => {
  const { bench, optimizer, state, warnings, staging } = await setUp(t, { minFiles: 3 })
  await landBatches(bench, 0, 4, 2)
  const before = await contentOf(bench)
  optimizer.noteLanded()
  state.nowMs += pauseMs - 1
  optimizer.noteLanded()
  assert.ok(!optimizer.isWorking)
  state.nowMs += 1
  optimizer.noteLanded()
  await finished(optimizer)
  assert.deepEqual(await readdir(staging), [])
  assert.equal(await fileCount(bench), 2)
  assert.deepEqual(await contentOf(bench), before)

  // The next look comes after as many batches, and as long a pause.
  await landBatches(bench, 4, 7, 2)
  for (let batch = 0; batch < 3; batch += 1) optimizer.noteLanded()
  assert.ok(!optimizer.isWorking)
  state.nowMs += pauseMs
  optimizer.noteLanded()
  await finished(optimizer)
  assert.equal(await fileCount(bench), 2)
  assert.deepEqual(warnings, [])
})

test('of two shards one merges, counting the batches of both, and the other one does so after an hour', async (t) => {
  const own = await setUp(t, { minFiles: 4 }, { isOwn: true, shards: 2 })
  const other = await setUp(t, { minFiles: 4 }, { isOwn: false, shards: 2 })
  for (const { bench, optimizer, state } of [other, own]) {
    await landBatches(bench, 0, 4, 2)
    state.nowMs += pauseMs
    optimizer.noteLanded()
  }
  assert.ok(!other.optimizer.isWorking)
  await finished(own.optimizer)
  assert.equal(await fileCount(own.bench), 2)
  assert.equal(await fileCount(other.bench), 8)

  await landBatches(own.bench, 4, 8, 2)
  own.state.nowMs += pauseMs
  own.optimizer.noteLanded()
  assert.ok(!own.optimizer.isWorking)
  own.optimizer.noteLanded()
  await finished(own.optimizer)
  assert.equal(await fileCount(own.bench), 2)

  other.state.nowMs += hourMs - pauseMs
  other.optimizer.noteLanded()
  await finished(other.optimizer)
  assert.equal(await fileCount(other.bench), 2)
})

test('partitions with fewer small files stay as they are', async (t) => {
  const { bench, optimizer, state } = await setUp(t, { minFiles: 4 })
  await landBatches(bench, 0, 3, 2)
  state.nowMs += pauseMs
  optimizer.noteLanded()
  await finished(optimizer)
  assert.equal(await fileCount(bench), 6)
})

test('nothing begins while disk space is short, or when it is turned off, or after a stop', async (t) => {
  for (const what of ['held', 'off', 'stopped'] as const) {
    const { bench, optimizer, state } = await setUp(t, what === 'off' ? false : { minFiles: 2 })
    await landBatches(bench, 0, 3, 2)
    state.nowMs += pauseMs
    state.isHeld = what === 'held'
    if (what === 'stopped') await optimizer.stop()
    optimizer.noteLanded()
    assert.ok(!optimizer.isWorking)
    assert.equal(await fileCount(bench), 6)
  }
})

test('a stop while files are merged loses nothing and leaves nothing behind', async (t) => {
  const { bench, optimizer, state, warnings, staging } = await setUp(t, { minFiles: 2 })
  await landBatches(bench, 0, 3)
  const before = await contentOf(bench)
  state.nowMs += pauseMs
  optimizer.noteLanded()
  await eventually(
    async () => (await readdir(staging, { recursive: true })).length > 1 || (await fileCount(bench)) < 12,
    'it has begun',
  )
  await optimizer.stop()
  assert.deepEqual(await readdir(staging), [])
  assert.deepEqual(await contentOf(bench), before)
  assert.deepEqual(warnings, [])
})

for (const { title, change } of [
  {
    title: 'whose property names another optimizer',
    change: (metaData: MetaDataAction): DeltaAction[] => [
      {
        metaData: {
          ...metaData,
          configuration: { ...metaData.configuration, 'tailrace.optimizer': 'spark' },
        },
      },
    ],
  },
  {
    title: 'that another engine clusters',
    change: (): DeltaAction[] => [
      {
        protocol: {
          minReaderVersion: 1,
          minWriterVersion: 7,
          writerFeatures: ['appendOnly', 'invariants', 'domainMetadata', 'clustering'],
        },
      },
      {
        domainMetadata: {
          domain: 'delta.clustering',
          configuration: '{"clusteringColumns":[["event_time"]]}',
          removed: false,
        },
      },
    ],
  },
]) {
  test(`a table ${title} is left unchanged, and checked again after a day`, async (t) => {
    const { bench, optimizer, state, warnings } = await setUp(t, { minFiles: 2 })
    await landBatches(bench, 0, 3, 2)
    const { version, metaData } = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
    await bench.storage.putIfAbsent(commitPath(version + 1), encodeActions(change(metaData)))
    state.nowMs += pauseMs
    optimizer.noteLanded()
    await finished(optimizer)
    assert.equal(await fileCount(bench), 6)
    state.nowMs += pauseMs
    for (let batch = 0; batch < 3; batch += 1) optimizer.noteLanded()
    assert.ok(!optimizer.isWorking)

    await bench.storage.putIfAbsent(
      commitPath(version + 2),
      encodeActions([
        { metaData },
        {
          domainMetadata: {
            domain: 'delta.clustering',
            configuration: '{"clusteringColumns":[]}',
            removed: false,
          },
        },
      ]),
    )
    state.nowMs += dayMs
    optimizer.noteLanded()
    await finished(optimizer)
    assert.equal(await fileCount(bench), 2)
    assert.deepEqual(warnings, [])
  })
}

test('a table whose properties forbid merging is reported once and then left unchanged', async (t) => {
  const { bench, optimizer, state, warnings } = await setUp(t, { minFiles: 2 })
  await landBatches(bench, 0, 3, 2)
  const { version, metaData } = (await loadState(bench.storage, bench.engine, { keepFiles: false }))!
  const configuration = { ...metaData.configuration, 'delta.constraints.positive': 'pid > 0' }
  const bytes = encodeActions([{ metaData: { ...metaData, configuration } }])
  await bench.storage.putIfAbsent(commitPath(version + 1), bytes)
  state.nowMs += pauseMs
  optimizer.noteLanded()
  await finished(optimizer)
  state.nowMs += pauseMs
  for (let batch = 0; batch < 3; batch += 1) optimizer.noteLanded()
  assert.ok(!optimizer.isWorking)
  assert.deepEqual(warnings, ['small files of this table cannot be merged'])
  assert.equal(await fileCount(bench), 6)
})
