import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { commitPath } from '../../../src/sinks/delta/protocol/actions.ts'
import { LocalDeltaStorage } from '../../../src/sinks/delta/storage/local.ts'
import { builtScript } from '../../support/built-script.ts'
import { onEachStorage, sharedStorage } from './on-each-storage.ts'
import { committerOf, encode, offsetsOf, span, type Workbench } from './support.ts'

const script = join(import.meta.dirname, 'committing-process.ts')

/** The emulator is no measure of Azure's speed, so there is less to do on it. */
function isLocal({ storage }: Workbench): boolean {
  return storage instanceof LocalDeltaStorage
}

async function start(t: TestContext, bench: Workbench, blob: string, count: number, ...step: string[]) {
  const { connectionString } = isLocal(bench) ? { connectionString: undefined } : await sharedStorage()
  const child = spawn(
    process.execPath,
    [...builtScript(script), bench.table, bench.staging, blob, String(count), ...step],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TEST_CONNECTION_STRING: connectionString },
    },
  )
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** Every version's file is there, none twice, and nothing else that counts. */
async function versionsOf(bench: Workbench): Promise<number> {
  const names = (await bench.storage.list('_delta_log')).filter((name) => name.endsWith('.json')).sort()
  assert.deepEqual(
    names.map((name) => `_delta_log/${name}`),
    names.map((_, version) => commitPath(version)),
  )
  return names.length
}

onEachStorage(
  'eight writers in one process land all their batches, each in a version of its own',
  async (bench) => {
    const end = isLocal(bench) ? 60 : 30
    const blobs = Array.from({ length: 8 }, (_, index) => `logs/${index}`)
    await Promise.all(
      blobs.map(async (blob) => {
        const committer = committerOf(bench)
        await committer.open()
        for (let offset = 0; offset < end; offset += 10) {
          const source = span(blob, offset, offset + 10)
          await committer.land([source], await encode(bench, source, [{ offset, seed: offset }]))
        }
      }),
    )
    assert.equal(await versionsOf(bench), 1 + (8 * end) / 10)
    for (const blob of blobs)
      assert.deepEqual(await offsetsOf(bench, blob), [0, 10, 20, 30, 40, 50].slice(0, end / 10))
  },
)

onEachStorage('calls on one committer that overlap are done one after the other', async (bench) => {
  const committer = committerOf(bench)
  await committer.open()
  const blobs = Array.from({ length: 6 }, (_, index) => `logs/${index}`)
  const batches = await Promise.all(
    blobs.map((blob) => encode(bench, span(blob, 0, 10), [{ offset: 0, seed: 1 }])),
  )
  const receipts = await Promise.all(
    blobs.map((blob, index) => committer.land([span(blob, 0, 10)], batches[index]!)),
  )
  assert.deepEqual(
    receipts.map(({ tableVersion }) => tableVersion),
    [1, 2, 3, 4, 5, 6],
  )
})

onEachStorage('three processes land into one table and none loses a batch', async (bench, t) => {
  const blobs = ['logs/a', 'logs/b', 'logs/c']
  const ends = blobs.map(async (blob) => {
    const child = await start(t, bench, blob, 25)
    child.stdout.resume()
    return once(child, 'exit')
  })
  for (const [code] of await Promise.all(ends)) assert.equal(code, 0)
  assert.equal(await versionsOf(bench), 1 + 3 * 25)
  const expected = Array.from({ length: 25 }, (_, index) => index * 10)
  for (const blob of blobs) assert.deepEqual(await offsetsOf(bench, blob), expected)
})

onEachStorage(
  'a process that is killed again and again while it commits loses nothing and repeats nothing',
  async (bench, t) => {
    const blob = 'logs/killed'
    let reported = 0
    for (let round = 0; round < (isLocal(bench) ? 6 : 2); round += 1) {
      const child = await start(t, bench, blob, 1_000)
      const ended = once(child, 'exit')
      let lines = 0
      for await (const line of createInterface({ input: child.stdout })) {
        reported = Math.max(reported, Number(line))
        lines += 1
        // The kill meets the child somewhere in its next commits: which instruction is up to the machine.
        if (lines === 1 + round * 3) child.kill('SIGKILL')
      }
      await ended

      const versions = await versionsOf(bench)
      assert.ok(versions > reported, 'a version that was reported is there')
      const committer = committerOf(bench)
      await committer.open()
      const end = (versions - 1) * 10
      assert.equal(committer.landed().get({ blob, generation: '20261124T084700Z' }), end)
      assert.deepEqual(
        await offsetsOf(bench, blob),
        Array.from({ length: versions - 1 }, (_, index) => index * 10),
      )
    }
  },
)

for (const [step, landed, files] of [
  ['before-commit', [0], 2],
  ['after-commit', [0, 10], 2],
] as const) {
  onEachStorage(
    `a process killed ${step.replace('-', ' its ')} is taken over without loss`,
    async (bench, t) => {
      const blob = 'logs/killed'
      const child = await start(t, bench, blob, 1_000, step)
      child.stdout.resume()
      const [, signal] = await once(child, 'exit')
      assert.equal(signal, 'SIGKILL')
      assert.deepEqual(await offsetsOf(bench, blob), landed)
      // The upload is there either way; without its commit nobody sees it.
      assert.equal((await bench.dataFiles()).length, files)

      const next = await start(t, bench, blob, 2)
      next.stdout.resume()
      const [code] = await once(next, 'exit')
      assert.equal(code, 0)
      const expected = Array.from({ length: landed.length + 2 }, (_, index) => index * 10)
      assert.deepEqual(await offsetsOf(bench, blob), expected)
    },
  )
}
