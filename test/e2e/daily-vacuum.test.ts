import assert from 'node:assert/strict'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const eightDaysMs = 8 * 86_400_000

test('a running process deletes unneeded files once a day, lands on, and verify finds every line', async (t) => {
  const storage = await startStorage(t)
  const directory = await temporaryDirectory(t)
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'p/', discoverMs: 100, maxPollMs: 100 } },
  })
  const configPath = join(directory, 'daily.config.mjs')
  await writeFile(
    configPath,
    `import base from './pipeline.config.mjs'
    const { primary } = base.pipelines
    export default { ...base, pipelines: { primary: { ...primary, sink: { ...primary.sink, vacuum: true } } } }`,
  )
  const config = ['--config', configPath]
  const blob = 'p/a.json'
  let line = 0
  const append = () =>
    storage.append(blob, linesAsBytes(Array.from({ length: 10 }, () => jsonlogLine(line++))))
  const table = project.tableDirectory('primary')
  const filesOf = async (): Promise<string[]> =>
    (await readdir(table, { recursive: true })).filter(
      (name) => name.endsWith('.parquet') && !name.startsWith('_delta_log'),
    )
  for (let batch = 0; batch < 3; batch += 1) {
    await append()
    assert.equal((await runTailrace(t, ['start', '--once', ...config])).code, 0)
  }
  const small = await filesOf()
  assert.equal((await runTailrace(t, ['optimize', ...config])).code, 0)
  const merged = (await filesOf()).filter((name) => !small.includes(name))
  assert.equal(merged.length, 1)
  // Eight days go by since the merge.
  const then = new Date(Date.now() - eightDaysMs)
  for (const name of await filesOf()) await utimes(join(table, name), then, then)
  const log = join(table, '_delta_log')
  for (const name of await readdir(log)) {
    const text = await readFile(join(log, name), 'utf8')
    await writeFile(
      join(log, name),
      text.replace(
        /"deletionTimestamp":(\d+)/g,
        (_, ms) => `"deletionTimestamp":${Number(ms) - eightDaysMs}`,
      ),
    )
  }

  const running = startTailrace(t, ['start', ...config], {
    script: join(import.meta.dirname, 'hurried-start.ts'),
  })
  await eventually(
    async () => (await filesOf()).every((name) => !small.includes(name)),
    'the small files are gone',
  )
  assert.ok((await filesOf()).includes(merged[0]!))
  await running.until(() => running.logged('deleted files that no version needs'), 'a word about them')
  await append()
  await eventually(async () => (await readTable(table)).length === line, 'what was appended has landed')
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143, running.stderr.slice(-4_000))
  assertLandedOnce(blob, await storage.content(blob), await readTable(table))
  const { code, stdout } = await runTailrace(t, ['verify', ...config])
  assert.equal(code, 0, stdout)
})
