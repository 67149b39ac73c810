import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { startStorage, type TestStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type TestConfig, type TestProject, writeProject } from '../support/test-project.ts'

const blobs = Array.from({ length: 24 }, (_, index) => `p/${String(index).padStart(2, '0')}.json`)

let line = 0
async function append(storage: TestStorage, names: readonly string[], count: number): Promise<void> {
  for (const name of names)
    await storage.append(name, linesAsBytes(Array.from({ length: count }, () => jsonlogLine(line++))))
}

async function projectOf(
  t: test.TestContext,
  storage: TestStorage,
  config: Partial<TestConfig> = {},
): Promise<TestProject> {
  return writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'p/', discoverMs: 100, maxPollMs: 100 } },
    ...config,
  })
}

async function landedBytes(project: TestProject): Promise<number> {
  const rows = await readTable(project.tableDirectory('primary'))
  return rows.reduce((sum, { length }) => sum + length, 0)
}

async function contentBytes(storage: TestStorage, names: readonly string[]): Promise<number> {
  const contents = await Promise.all(names.map((name) => storage.content(name)))
  return contents.reduce((sum, { length }) => sum + length, 0)
}

test('four shards land every line once, while one is killed and three take over its part', async (t) => {
  const storage = await startStorage(t)
  const project = await projectOf(t, storage)
  const start = (index: number, count: number) =>
    startTailrace(t, ['start', '--config', project.configPath, '--shard', `${index}/${count}`])
  await append(storage, blobs, 20)
  const four = [0, 1, 2, 3].map((index) => start(index, 4))
  const caughtUp = async () => (await landedBytes(project)) === (await contentBytes(storage, blobs))
  await eventually(caughtUp, 'all blobs landed by four shards')
  // Each has a part, and none did work that another one did.
  for (const one of four) {
    await one.until(() => one.logged('landed'), 'a batch of its own')
    assert.ok(!one.stderr.includes('another process lands'), one.stderr.slice(-2_000))
  }

  four[3]!.kill('SIGKILL')
  await append(storage, blobs, 20)
  // Rolled out one after the other, as by a StatefulSet: for a while 0/3, 1/4 and 2/4 run at once.
  const three: typeof four = []
  for (const index of [0, 1, 2]) {
    four[index]!.kill('SIGTERM')
    assert.equal((await four[index]!.exited).code, 143, four[index]!.stderr.slice(-2_000))
    three.push(start(index, 3))
    await append(storage, blobs, 5)
  }
  await eventually(caughtUp, 'all blobs landed by three shards')
  for (const one of three) {
    one.kill('SIGTERM')
    assert.equal((await one.exited).code, 143, one.stderr.slice(-2_000))
  }
  const rows = await readTable(project.tableDirectory('primary'))
  for (const name of blobs) assertLandedOnce(name, await storage.content(name), rows)
})

test('drains of all shards together are complete, and a shard without a blob is none of a wrong source', async (t) => {
  const storage = await startStorage(t)
  const project = await projectOf(t, storage)
  const names = blobs.slice(0, 2)
  await append(storage, names, 10)
  const drain = (index: number) =>
    runTailrace(t, ['start', '--once', '--config', project.configPath], {
      env: { TAILRACE_SHARD: `${index}/5` },
    })
  for (const index of [0, 1, 2, 3, 4]) {
    const { code, stderr } = await drain(index)
    assert.equal(code, 0, stderr)
  }
  const rows = await readTable(project.tableDirectory('primary'))
  for (const name of names) assertLandedOnce(name, await storage.content(name), rows)
  const { code, stdout } = await runTailrace(t, ['verify', '--config', project.configPath])
  assert.equal(code, 0, stdout)
})

test('a single blob is read by one shard, and the others wait for the stop', async (t) => {
  const storage = await startStorage(t)
  const project = await projectOf(t, storage, {
    pipelines: { primary: { blobs: 'p/00.json', maxPollMs: 100 } },
  })
  await append(storage, blobs.slice(0, 1), 10)
  const both = [0, 1].map((index) =>
    startTailrace(t, ['start', '--config', project.configPath, '--shard', `${index}/2`]),
  )
  await eventually(
    async () => (await landedBytes(project)) === (await contentBytes(storage, blobs.slice(0, 1))),
    'the blob has landed',
  )
  const waits = (one: (typeof both)[0]) => one.logged('another shard reads the blob')
  for (const one of both) {
    await one.until(() => waits(one) || one.logged('landed'), 'its part')
    one.kill('SIGTERM')
    assert.equal((await one.exited).code, 143, one.stderr.slice(-2_000))
  }
  assert.deepEqual(both.map((one) => one.logged('landed')).sort(), [false, true])
})

test('with coldStart latest, a shard that starts later skips nothing that was appended after the first one started', async (t) => {
  const storage = await startStorage(t)
  const project = await projectOf(t, storage, {
    pipelines: { primary: { blobs: 'p/', coldStart: 'latest', discoverMs: 100, maxPollMs: 100 } },
  })
  await append(storage, blobs, 3)
  const before = new Map<string, number>()
  for (const name of blobs) before.set(name, (await storage.content(name)).length)
  const drain = async (index: number) => {
    const { code, stderr } = await runTailrace(t, [
      'start',
      '--once',
      '--config',
      project.configPath,
      '--shard',
      `${index}/3`,
    ])
    assert.equal(code, 0, stderr)
  }
  await drain(0)
  await append(storage, blobs, 4)
  for (const index of [0, 1, 2]) await drain(index)
  const rows = await readTable(project.tableDirectory('primary'))
  assert.equal(rows.length, 4 * blobs.length)
  for (const { blob, offset } of rows) assert.ok(offset >= before.get(blob.slice('logs/'.length))!, blob)
})

test('a shard is refused where other shards cannot read the offsets, and a wrong one with what was expected', async (t) => {
  const storage = await startStorage(t)
  const project = await projectOf(t, storage)
  const wrong = await runTailrace(t, ['start', '--config', project.configPath, '--shard', '4/4'])
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /shard: found "4\/4", expected i\/n, such as 0\/4/)
  const held = await projectOf(t, storage, {
    sink: {
      kind: 'databricks',
      host: 'adb-1.2.azuredatabricks.net',
      httpPath: '/sql/1.0/warehouses/0123456789abcdef',
      auth: { kind: 'token', token: 'none' },
      volume: '/Volumes/a/b/c',
    },
  })
  const refused = await runTailrace(t, ['start', '--config', held.configPath, '--shard', '0/4'])
  assert.equal(refused.code, 2)
  assert.match(
    refused.stderr,
    /shard: found the pipeline primary, which lands by mode auto, whose offsets other shards cannot read/,
  )
})
