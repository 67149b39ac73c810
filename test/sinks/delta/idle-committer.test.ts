import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { isTailraceError } from '../../../src/errors.ts'
import { commitPath } from '../../../src/sinks/delta/protocol/actions.ts'
import { CountingStorage } from './long-table.ts'
import { committerOf, encode, impatientClock, offsetsOf, span, type Workbench, workbench } from './support.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** A committer that landed one row at version 1, and how its time passes. */
async function idleCommitter(t: TestContext) {
  const bench = await workbench(t)
  const storage = new CountingStorage(bench.table)
  let nowMs = Date.now()
  const idle = committerOf(bench, { storage, clock: { ...impatientClock, now: () => nowMs } })
  await idle.open()
  await land(bench, idle, 'idle', 0)
  const pass = (ms: number): void => {
    nowMs += ms
  }
  return { bench, storage, idle, pass }
}

async function land(
  bench: Workbench,
  committer: ReturnType<typeof committerOf>,
  blob: string,
  index: number,
): Promise<number | undefined> {
  const source = span(blob, index * 10, index * 10 + 10)
  const encoded = await encode(bench, source, [{ offset: index * 10, seed: index }])
  return (await committer.land([source], encoded)).tableVersion
}

/** Another pipeline lands rows until there is a checkpoint, of which the version is returned. */
async function overtake(bench: Workbench): Promise<number> {
  const busy = committerOf(bench)
  await busy.open()
  for (let index = 0; index < 22; index += 1) await land(bench, busy, 'busy', index)
  await busy.close()
  const hint = JSON.parse(String(await bench.storage.read('_delta_log/_last_checkpoint')))
  return hint.version
}

async function removeCommits(bench: Workbench, from: number, to: number): Promise<void> {
  for (let version = from; version < to; version += 1) await bench.storage.remove(commitPath(version))
}

test('a committer that was idle while the log was cleaned lands at its end, and not in the hole', async (t) => {
  const { bench, idle, pass } = await idleCommitter(t)
  await removeCommits(bench, 0, await overtake(bench))
  pass(40 * dayMs)
  assert.equal(await land(bench, idle, 'idle', 1), 24)
  assert.deepEqual(await offsetsOf(bench, 'idle'), [0, 10])
  assert.equal(await bench.storage.read(commitPath(2)), undefined)
})

test('the hole is known without a hint, and while the commit before it is not removed yet', async (t) => {
  for (const left of ['the commit', 'no hint'] as const) {
    const { bench, idle, pass } = await idleCommitter(t)
    const checkpoint = await overtake(bench)
    if (left === 'the commit') await removeCommits(bench, 2, checkpoint)
    else {
      await removeCommits(bench, 0, checkpoint)
      await bench.storage.remove('_delta_log/_last_checkpoint')
    }
    pass(40 * dayMs)
    assert.equal(await land(bench, idle, 'idle', 1), 24, left)
    assert.deepEqual(await offsetsOf(bench, 'idle'), [0, 10])
  }
})

test('a replacement after a clean-up replaces the rows that are there now', async (t) => {
  const { bench, idle, pass } = await idleCommitter(t)
  const source = span('idle', 0, 10)
  await idle.replace(source, [await encode(bench, source, [{ offset: 1, seed: 1 }])])
  await removeCommits(bench, 0, await overtake(bench))
  pass(40 * dayMs)
  const range = span('busy', 50, 70)
  const receipt = await idle.replace(range, [await encode(bench, range, [{ offset: 55, seed: 1 }])])
  assert.deepEqual([receipt.removedRows, receipt.tableVersion], [2, 25])
  assert.deepEqual((await offsetsOf(bench, 'busy')).slice(4, 8), [40, 55, 70, 80])
})

test('offsets that another process landed behind the hole fence a committer off', async (t) => {
  const { bench, idle, pass } = await idleCommitter(t)
  const again = committerOf(bench)
  await again.open()
  await land(bench, again, 'idle', 1)
  await removeCommits(bench, 0, await overtake(bench))
  pass(40 * dayMs)
  await assert.rejects(land(bench, idle, 'idle', 1), (error) => isTailraceError(error, 'COMMIT_FENCED'))
})

test('nothing is committed to a table whose log is gone', async (t) => {
  const { bench, idle, pass } = await idleCommitter(t)
  await removeCommits(bench, 0, 2)
  pass(2 * hourMs)
  await assert.rejects(land(bench, idle, 'idle', 1), (error) => isTailraceError(error, 'TABLE_CORRUPT'))
  assert.deepEqual(await bench.storage.list('_delta_log'), [])
})

test('the log is read at most once an hour, and not while commits continue', async (t) => {
  const { bench, storage, idle, pass } = await idleCommitter(t)
  const looked: string[][] = []
  for (const ms of [0, hourMs - 1, hourMs - 1, hourMs, hourMs - 1]) {
    pass(ms)
    storage.takeListed()
    await land(bench, idle, 'idle', looked.length + 1)
    looked.push([...storage.listed, ...storage.readPaths])
  }
  assert.deepEqual(looked, [[], [], [], ['_delta_log/_last_checkpoint', commitPath(4), commitPath(5)], []])
})
