import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import test from 'node:test'
import { runTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'

const line = (index: number): string =>
  `${JSON.stringify({ timestamp: '2026-11-24 08:47:00.123 UTC', pid: index, error_severity: 'LOG', message: `m${index}` })}\n`

test('a table in Azure is landed, looked at, proven and queried as one in a directory is', async (t) => {
  const storage = await startStorage(t)
  const lines = Array.from({ length: 50 }, (_, index) => line(index)).join('')
  await storage.append('pg.json', lines)
  const directory = await temporaryDirectory(t)
  const { configPath, stagingDirectory } = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'pg.json' } },
    lakehouse: `${storage.container.url}/lake`,
  })
  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runTailrace(t, [...args, '--config', configPath], {
      cwd: directory,
    })
    assert.equal(code, 0, stderr)
    return stdout
  }
  const table = `${storage.container.url}/lake/test/logs/primary`
  assert.match(await run('check'), new RegExp(`no table yet: a run creates it at ${table}`))
  await run('start', '--once')
  await storage.append('pg.json', line(50))
  await run('start', '--once')
  assert.match(await run('check'), new RegExp(`table ${table} is at version 2`))

  const rows = JSON.parse(
    await run('query', 'SELECT count(*) AS n, max(pid) AS pid FROM "primary"', '--json'),
  )
  assert.deepEqual({ n: Number(rows.n), pid: Number(rows.pid) }, { n: 51, pid: 50 })
  assert.equal(JSON.parse(await run('verify', '--json')).complete, true)
  const [blob] = JSON.parse(await run('status', '--json')).blobs
  assert.equal(Number(blob.rows), 51)
  await run('rejects', '--json')
  // Copies do not outlive what needed them, and nothing lies where a directory of that name would be.
  assert.deepEqual(
    (await readdir(stagingDirectory('primary'))).filter((name) => name !== 'spill'),
    [],
  )
  assert.deepEqual((await readdir(directory)).sort(), ['pipeline.config.mjs', 'state'])
})
