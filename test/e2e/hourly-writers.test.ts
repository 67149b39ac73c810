import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { TailraceProcess } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const script = fileURLToPath(new URL('../support/hourly-writers.ts', import.meta.url))

test('fifty servers that write at once over the turn of hours, with blobs deleted and replaced, have every line landed once', {
  timeout: 120_000,
}, async (t) => {
  const storage = await startStorage(t)
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: {
      primary: { blobs: 'servers/**/server-*.json', discoverMs: 500, maxPollMs: 500, maxLanes: 8 },
    },
    batch: { maxAgeMs: 300 },
  })
  const args = ['start', '--config', project.configPath]
  const first = startTailrace(t, args)
  const seed = 11
  const writers = new TailraceProcess(
    [storage.connectionString, project.offsetPath('primary'), String(seed)],
    {
      script,
    },
  )
  t.after(() => writers.kill('SIGKILL'))
  await first.until(() => first.log.filter(({ msg }) => msg === 'landed').length > 5, 'some batches')
  first.kill('SIGKILL')
  await first.exited

  const second = startTailrace(t, args)
  const ended = await writers.exited
  assert.equal(ended.code, 0, `seed ${seed}: ${writers.stderr.slice(-2_000)}`)
  const written = (JSON.parse(writers.stdout) as string[]).sort()
  const landed = (): number =>
    second.log.reduce((sum, { msg, rows }) => sum + (msg === 'landed' ? Number(rows) : 0), 0)
  const before = first.log.reduce((sum, { msg, rows }) => sum + (msg === 'landed' ? Number(rows) : 0), 0)
  // The first process may have landed a batch that it could not tell of any more.
  await second.until(() => landed() + before >= written.length - 1_000, 'most rows')
  let rows: string[] = []
  for (let look = 0; look < 60 && rows.length < written.length; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    rows = (await readTable(project.tableDirectory('primary'))).map(({ raw }) => raw)
  }
  second.kill('SIGTERM')
  await second.exited
  rows = (await readTable(project.tableDirectory('primary'))).map(({ raw }) => raw).sort()
  assert.equal(rows.length, written.length, `seed ${seed}`)
  assert.deepEqual(rows, written, `seed ${seed}`)
})
