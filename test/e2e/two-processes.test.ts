import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce, mirroredOffset } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const lines = (from: number, count: number): Buffer =>
  linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index)))

for (const [what, blobs, names] of [
  ['a blob', 'p/a.json', ['p/a.json']],
  ['several blobs', 'p/', ['p/a.json', 'p/b.json', 'p/c.json']],
] as const) {
  test(`of two processes that land ${what} both stay, one takes over from the other, and rows are single`, async (t) => {
    const storage = await startStorage(t)
    const directory = await temporaryDirectory(t)
    const project = await writeProject(directory, {
      storage: { kind: 'connection-string', connectionString: storage.connectionString },
      pipelines: { primary: { blobs, discoverMs: 100, maxPollMs: 100 } },
    })
    let next = 0
    const append = async (count: number): Promise<void> => {
      for (const name of names) await storage.append(name, lines(next, count))
      next += count
    }
    await append(20)
    const processes = [0, 1].map(() => startTailrace(t, ['start', '--config', project.configPath]))
    const isFenced = (one: (typeof processes)[0]) => one.logged('another process lands')
    await eventually(async () => {
      await append(20)
      return processes.some(isFenced)
    }, 'a process whose blob the other one lands')

    const isLanded = async (): Promise<boolean> => {
      for (const name of names) {
        const { length } = await storage.content(name)
        if ((await mirroredOffset(project.offsetPath('primary'), name)) !== length) return false
      }
      return true
    }
    await append(20)
    await eventually(isLanded, 'everything is landed by both')
    // Each may have lost a blob to the other by now, so one of them ends, and the other takes all.
    const [first, second] = processes
    first!.kill('SIGTERM')
    assert.equal((await first!.exited).code, 143, first!.stderr.slice(-4_000))
    await append(20)
    await eventually(isLanded, 'the other process has taken over')
    second!.kill('SIGTERM')
    assert.equal((await second!.exited).code, 143, second!.stderr.slice(-4_000))
    const rows = await readTable(project.tableDirectory('primary'))
    for (const name of names) assertLandedOnce(name, await storage.content(name), rows)
  })
}

test('with whenFenced exit, a process of which another one lands every blob ends, and rows are single', async (t) => {
  const storage = await startStorage(t)
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'p/a.json', maxPollMs: 100 } },
    whenFenced: 'exit',
  })
  await storage.append('p/a.json', lines(0, 20))
  const processes = [0, 1].map(() => startTailrace(t, ['start', '--config', project.configPath]))
  let ended: (typeof processes)[0] | undefined
  for (const one of processes) one.exited.then(() => (ended ??= one))
  let next = 20
  await eventually(async () => {
    await storage.append('p/a.json', lines(next, 20))
    next += 20
    return ended !== undefined
  }, 'end of one of them')
  assert.deepEqual(await ended!.exited, { code: 1, signal: null }, ended!.stderr.slice(-4_000))
  assert.match(ended!.stderr, /tailrace: COMMIT_FENCED: Another process lands/)
  const other = processes.find((one) => one !== ended)!
  const { length } = await storage.content('p/a.json')
  await eventually(
    async () => (await mirroredOffset(project.offsetPath('primary'), 'p/a.json')) === length,
    'the rest by the other one',
  )
  other.kill('SIGTERM')
  assert.equal((await other.exited).code, 143)
  assertLandedOnce(
    'p/a.json',
    await storage.content('p/a.json'),
    await readTable(project.tableDirectory('primary')),
  )
})
