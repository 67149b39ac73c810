import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import { dueCheckpoint, writeCheckpoint } from '../../../../src/sinks/delta/log/checkpoint-writer.ts'
import { readHistory } from '../../../../src/sinks/delta/log/history.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import { loadVersion, versionAt } from '../../../../src/sinks/delta/log/time-travel.ts'
import { commitPath } from '../../../../src/sinks/delta/protocol/actions.ts'
import { checkpointOf, firstMs, LongTable } from '../long-table.ts'
import { type Workbench, workbench } from '../support.ts'

const kept = { keepFiles: false }

/** Loads the newest version, and checks that the state is that version's. */
async function newest(bench: Workbench, { storage }: LongTable): Promise<number | undefined> {
  storage.takeListed()
  const state = await loadState(storage, bench.engine, kept)
  if (state !== undefined) assert.deepEqual([...state.transactions], [['a', state.version]])
  return state?.version
}

async function longTable(t: TestContext, options: Parameters<typeof LongTable.of>[1]) {
  const bench = await workbench(t)
  return { bench, table: await LongTable.of(bench, options) }
}

const isMissing = (version: number) => (error: unknown) =>
  isTailraceError(error, 'TABLE_CORRUPT') && error.message.includes(`${commitPath(version)} is missing`)

test('opening a long table lists and reads from its checkpoint on', async (t) => {
  const { bench, table } = await longTable(t, { to: 2_345, checkpoints: [990, 2_330, 2_340] })
  assert.equal(await newest(bench, table), 2_345)
  const { listed, readPaths } = table.storage
  assert.deepEqual(listed, ['2', '3'])
  assert.deepEqual(
    readPaths.sort(),
    [
      ...[2_341, 2_342, 2_343, 2_344, 2_345, 2_346].map(commitPath),
      checkpointOf(2_340),
      '_delta_log/_last_checkpoint',
    ].sort(),
  )
})

test('a checkpoint some thousand versions ago leads to the newest version', async (t) => {
  const { bench, table } = await longTable(t, { from: 1_900, to: 3_004, checkpoints: [1_995] })
  assert.equal(await newest(bench, table), 3_004)
  assert.deepEqual(table.storage.listed, ['1', '2', '3', '4'])
})

test('the whole log is listed when the hint names no readable checkpoint', async (t) => {
  const { bench, table } = await longTable(t, { from: 1_900, to: 3_100, checkpoints: [1_900, 2_900] })
  const hints: [hint: string, listed: string[]][] = [
    ['{"vers', ['']],
    ['', ['']],
    ['[]', ['']],
    ['{"version":"3090"}', ['']],
    ['{"version":-1}', ['']],
    ['{"version":1e300}', ['']],
    // Older than the log, which was cleaned up since, and newer than it.
    ['{"version":500}', ['0', '']],
    ['{"version":7000}', ['7', '']],
    // Its block has no checkpoint.
    ['{"version":3090}', ['3', '4', '']],
    // Its block has another one.
    ['{"version":2100}', ['2', '3', '4']],
    ['{"version":1900}', ['1', '2', '3', '4']],
  ]
  for (const [hint, listed] of hints) {
    await table.hint(hint)
    assert.equal(await newest(bench, table), 3_100, hint)
    assert.deepEqual(table.storage.listed, listed, hint)
  }
  await table.remove('_delta_log/_last_checkpoint')
  assert.equal(await newest(bench, table), 3_100)
  assert.deepEqual(table.storage.listed, [''])
})

test('a checkpoint that a clean-up left behind is not taken for the end of the log', async (t) => {
  const { bench, table } = await longTable(t, { from: 2_500, to: 2_520, checkpoints: [2_500, 500] })
  assert.equal(await newest(bench, table), 2_520)
  assert.deepEqual(table.storage.listed, ['0', '1', ''])
})

test('a gap behind the checkpoint is named, wherever the blocks end', async (t) => {
  for (const version of [2_991, 2_999, 3_000]) {
    const { bench, table } = await longTable(t, { from: 2_980, to: 3_002, checkpoints: [2_990] })
    await table.remove(commitPath(version))
    await assert.rejects(newest(bench, table), isMissing(version))
  }
})

test('a checkpoint that another process removes while a table opens is replaced by what is left', async (t) => {
  for (const when of ['beforeList', 'afterList'] as const) {
    const { bench, table } = await longTable(t, { from: 980, to: 1_030, checkpoints: [980, 990] })
    const cleanUp = async (): Promise<void> => {
      await table.checkpoint(1_020)
      for (let version = 980; version < 1_020; version += 1) await table.remove(commitPath(version))
      await table.remove(checkpointOf(980), checkpointOf(990))
    }
    // Between the hint and the listing, or between the listing and the checkpoint.
    table.storage[when].push(...(when === 'beforeList' ? [] : [async () => {}]), cleanUp)
    assert.equal(await newest(bench, table), 1_030, when)
  }
})

test('a table that opens includes the commits of other writers during the opening, also across a block', async (t) => {
  const { bench, table } = await longTable(t, { from: 980, to: 997, checkpoints: [990] })
  let version = 997
  const write = async (): Promise<void> => {
    for (let more = 0; more < 3; more += 1) {
      version += 1
      await table.commit(version)
    }
  }
  // Behind the listing of the first block, and behind that of the second one, which found nothing.
  table.storage.afterList.push(async () => {}, write, write)
  assert.equal(await newest(bench, table), 1_000)
  assert.equal(await newest(bench, table), 1_003)
})

test('a version is read with its own block, or those down to a checkpoint', async (t) => {
  const { bench, table } = await longTable(t, {
    from: 990,
    to: 4_010,
    checkpoints: [990, 1_480, 1_995, 4_005],
  })
  const read = async (version: number): Promise<string[]> => {
    table.storage.takeListed()
    const state = await loadVersion(table.storage, bench.engine, version, kept)
    assert.deepEqual([state?.version, [...state!.transactions]], [version, [['a', version]]])
    return table.storage.listed
  }
  assert.deepEqual(await read(1_500), ['1'])
  assert.deepEqual(await read(1_480), ['1'])
  assert.deepEqual(await read(1_005), ['1', '0'])
  assert.deepEqual(await read(990), ['0'])
  assert.deepEqual(
    await read(4_001),
    ['4', '3', '2', ''],
    'so far from a checkpoint the whole log is as good',
  )
  for (const version of [989, 4_011, 9_000]) {
    await assert.rejects(
      loadVersion(table.storage, bench.engine, version, kept),
      (error) =>
        isTailraceError(error, 'TABLE_VERSION_UNAVAILABLE') && /has 990 to 4010\./.test(error.message),
    )
  }
  await table.remove(commitPath(1_490))
  await assert.rejects(loadVersion(table.storage, bench.engine, 1_500, kept))
})

test("a long table's history is read from its ends, and a listed time leads to its version", async (t) => {
  const { bench, table } = await longTable(t, { from: 300, to: 2_120, checkpoints: [310, 2_110] })
  const { storage } = table
  const history = await readHistory(storage, 3)
  assert.deepEqual(storage.takeListed(), ['2', '3', '1', ''])
  assert.ok(storage.pageCount <= 6, `${storage.pageCount} pages`)
  assert.deepEqual([history?.firstVersion, history?.lastVersion], [310, 2_120])
  assert.deepEqual(
    history?.commits.map(({ version, timeMs }) => [version, timeMs]),
    [2_120, 2_119, 2_118].map((version) => [version, firstMs + version * 1000]),
  )
  for (const { version, timeMs } of history?.commits ?? []) {
    assert.equal(await versionAt(storage, timeMs), version)
  }
  storage.takeListed()
  // What was listed for so few has one checkpoint, and only what follows that can be told to be readable.
  assert.equal((await readHistory(storage, 20))?.commits.length, 20)
  assert.deepEqual(storage.takeListed(), ['2', '3', '1', '', ''])
  assert.equal((await readHistory(storage, 3_001))?.commits.length, 2_120 - 310 + 1)
  assert.deepEqual(storage.takeListed(), [''])
  await table.hint('{"vers')
  assert.deepEqual(await readHistory(storage, 3), history)
  assert.deepEqual(storage.listed, [''])
  assert.equal((await loadState(storage, bench.engine, kept))?.version, 2_120)
})

test('a checkpoint lists no more of the log than the version of the one before', async (t) => {
  const bench = await workbench(t)
  const table = await LongTable.of(bench, { from: 1_900, to: 3_100, checkpoints: [3_090] })
  const { storage } = table
  const state = (await loadState(storage, bench.engine, kept))!
  const plan = dueCheckpoint(state, -1)!
  storage.takeListed()
  await writeCheckpoint(plan, { storage, engine: bench.engine, stagingDirectory: bench.staging }, firstMs)
  assert.deepEqual(storage.takeListed(), ['3090'])
  // Another writer has cleaned it away.
  await table.remove(checkpointOf(3_090))
  await writeCheckpoint(plan, { storage, engine: bench.engine, stagingDirectory: bench.staging }, firstMs)
  assert.deepEqual(storage.takeListed(), ['3090', ''])
  assert.equal(await newest(bench, table), 3_100)
})
