import assert from 'node:assert/strict'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OffsetFile } from '../../src/offsets/offset-file.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** Copies what a release with the format left, beside a storage that has one more blob. */
async function leftBy(t: TestContext, format: string) {
  const root = await temporaryDirectory(t)
  await cp(join(import.meta.dirname, format), root, { recursive: true })
  const storage = await startStorage(t)
  await storage.append('primary/b.ndjson', linesAsBytes([jsonlogLine(9)]))
  const config = join(import.meta.dirname, 'upgrade.config.ts')
  const env = { ROOT: root, STORAGE: storage.connectionString }
  return {
    root,
    log: join(root, 'lakehouse/lake/logs/primary/_delta_log'),
    offsetFile: join(root, 'state/primary.offset.json'),
    run: (...args: string[]) => runTailrace(t, [...args, '--config', config], { env, asShipped: true }),
  }
}

const formats = (await readdir(import.meta.dirname)).filter((name) => /^format-\d+$/.test(name))

for (const format of formats) {
  test(`this release goes on with what a release with ${format} left`, async (t) => {
    const { run, offsetFile } = await leftBy(t, format)
    const before = JSON.parse(await readFile(offsetFile, 'utf8')).blobs
    const started = await run('start', '--once')
    assert.equal(started.code, 0, started.stderr)
    assert.equal(JSON.parse(started.stdout).pipelines.primary.rows, 1)
    const { blobs } = JSON.parse(await readFile(offsetFile, 'utf8'))
    assert.deepEqual(Object.keys(blobs), ['logs/primary/a.ndjson', 'logs/primary/b.ndjson'])
    assert.deepEqual(blobs['logs/primary/a.ndjson'], before['logs/primary/a.ndjson'])

    const verified = await run('verify', '--json')
    assert.equal(verified.code, 0, verified.stderr)
    assert.equal(JSON.parse(verified.stdout).complete, true)
    const sql = 'SELECT count(*)::INTEGER AS n, count(parse_error)::INTEGER AS rejected FROM logs'
    const queried = await run('query', '--json', sql)
    assert.deepEqual(JSON.parse(queried.stdout), { n: 5, rejected: 1 }, queried.stderr)
    // Columns that the table did not have are NULL in the rows of the older release, and the views work for both.
    const kinds = 'SELECT count(record_kind)::INTEGER AS kinds FROM logs'
    assert.deepEqual(JSON.parse((await run('query', '--json', kinds)).stdout), { kinds: 1 })
    const events = "SELECT count(*)::INTEGER AS n FROM log_events WHERE record_kind = 'server_log'"
    assert.deepEqual(JSON.parse((await run('query', '--json', events)).stdout), { n: 4 })
  })
}

test('an offset file of a newer format is refused by its name and format, and stays as it is', async (t) => {
  const { run, offsetFile, log } = await leftBy(t, 'format-1')
  const newer = (await readFile(offsetFile, 'utf8')).replace('"formatVersion": 1', '"formatVersion": 3')
  await writeFile(offsetFile, newer)
  const versions = await readdir(log)
  const { code, stderr } = await run('start', '--once')
  assert.equal(code, 1)
  assert.match(stderr, /FORMAT_TOO_NEW.*primary\.offset\.json has format 3, of a newer release/)
  assert.match(stderr, /Run the newer release again/)
  assert.equal(await readFile(offsetFile, 'utf8'), newer)
  assert.deepEqual(await readdir(log), versions)
})

test('a table of a newer format is refused by every command, and stays as it is', async (t) => {
  const { run, offsetFile, log } = await leftBy(t, 'format-1')
  const first = await readFile(join(log, '00000000000000000000.json'), 'utf8')
  const metaData = first.split('\n').find((line) => line.startsWith('{"metaData"'))
  const raised = metaData!.replace('"tailrace.formatVersion":"1"', '"tailrace.formatVersion":"2"')
  assert.notEqual(raised, metaData)
  await writeFile(join(log, '00000000000000000003.json'), `${raised}\n`)
  const offsets = await readFile(offsetFile, 'utf8')
  for (const command of [['start', '--once'], ['verify'], ['query', 'SELECT 1 FROM logs'], ['optimize']]) {
    const { code, stderr } = await run(...command)
    assert.equal(code, 1, command.join(' '))
    assert.match(stderr, /FORMAT_TOO_NEW.*tailrace\.formatVersion\) has format 2/, command.join(' '))
  }
  assert.equal((await readdir(log)).length, 4)
  assert.equal(await readFile(offsetFile, 'utf8'), offsets)
})

test('the offset file of format 1 gives its offsets, and the load that had begun', async () => {
  const stateDirectory = join(import.meta.dirname, 'format-1/state')
  const staged = await new OffsetFile({
    stateDirectory,
    pipeline: 'staged',
    table: 'lake.logs.staged',
  }).read()
  assert.deepEqual(
    [...(staged?.offsets ?? [])],
    [{ blob: 'logs/primary/a.ndjson', generation: '20261124T084700Z', offset: 100 }],
  )
  assert.deepEqual(staged?.intent, {
    id: 'batch-1',
    mode: 'copy-into',
    spans: [{ blob: 'logs/primary/a.ndjson', generation: '20261124T084700Z', start: 100, end: 200 }],
    files: [{ name: 'batch-1-0.parquet', bytes: 1_000, rows: 2 }],
  })
})
