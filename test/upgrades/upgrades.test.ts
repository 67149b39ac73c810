import assert from 'node:assert/strict'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OffsetFile } from '../../src/offsets/offset-file.ts'
import { ageOffsets } from '../support/aged-offsets.ts'
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
  const config = join(import.meta.dirname, 'upgrade.config.mjs')
  const env = { ROOT: root, STORAGE: storage.connectionString }
  return {
    root,
    storage,
    log: join(root, 'lakehouse/lake/logs/primary/_delta_log'),
    offsetFile: join(root, 'state/primary.offset.json'),
    run: (...args: string[]) => runTailrace(t, [...args, '--config', config], { env }),
  }
}

const formats = (await readdir(import.meta.dirname)).filter((name) => /^format-\d+$/.test(name))

for (const format of formats) {
  test(`this release goes on with what a release with ${format} left`, async (t) => {
    const { run, offsetFile, log } = await leftBy(t, format)
    const before = JSON.parse(await readFile(offsetFile, 'utf8')).blobs
    const started = await run('start', '--once')
    assert.equal(started.code, 0, started.stderr)
    assert.equal(JSON.parse(started.stdout).pipelines.primary.rows, 1)
    const { blobs } = JSON.parse(await readFile(offsetFile, 'utf8'))
    assert.deepEqual(blobs, { ...before, 'logs/primary/b.ndjson': blobs['logs/primary/b.ndjson'] })
    assert.deepEqual(Object.keys(blobs).length, Object.keys(before).length + 1)

    const hasAll = async () => {
      const verified = await run('verify', '--json')
      assert.equal(verified.code, 0, verified.stderr)
      assert.equal(JSON.parse(verified.stdout).complete, true)
      const sql = 'SELECT count(*)::INTEGER AS n, count(parse_error)::INTEGER AS rejected FROM logs'
      const queried = await run('query', '--json', sql)
      assert.deepEqual(JSON.parse(queried.stdout), { n: 5, rejected: 1 }, queried.stderr)
    }
    await hasAll()
    // Columns that the table did not have are NULL in the rows of the older release, and the views work for both.
    const kinds = 'SELECT count(record_kind)::INTEGER AS kinds FROM logs'
    const isOlder = format === 'format-1'
    assert.deepEqual(JSON.parse((await run('query', '--json', kinds)).stdout), { kinds: isOlder ? 1 : 4 })
    const events = "SELECT count(*)::INTEGER AS n FROM log_events WHERE record_kind = 'server_log'"
    assert.deepEqual(JSON.parse((await run('query', '--json', events)).stdout), { n: 4 })

    // All offsets of the log move into an archive, or into one more.
    await ageOffsets(log)
    const [{ archivedOffsets }] = JSON.parse((await run('optimize', '--json')).stdout)
    assert.equal(archivedOffsets, Object.keys(blobs).length)
    const again = await run('start', '--once')
    assert.equal(JSON.parse(again.stdout).pipelines.primary.rows, 0, again.stderr)
    await hasAll()
  })
}

test('of a blob whose offset a release with format 2 has archived only the lines behind it land, though the blob was copied', async (t) => {
  const { root, storage, run } = await leftBy(t, 'format-2')
  const blob = 'primary/a.ndjson'
  await storage.append(blob, await readFile(join(root, 'blobs', blob)))
  await storage.append(blob, linesAsBytes([jsonlogLine(4)]))
  const started = await run('start', '--once')
  assert.equal(started.code, 0, started.stderr)
  assert.equal(JSON.parse(started.stdout).pipelines.primary.rows, 2)
  assert.equal(JSON.parse((await run('verify', '--json')).stdout).complete, true)
})

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
  const raised = metaData!.replace('"tailrace.formatVersion":"1"', '"tailrace.formatVersion":"3"')
  assert.notEqual(raised, metaData)
  await writeFile(join(log, '00000000000000000003.json'), `${raised}\n`)
  const offsets = await readFile(offsetFile, 'utf8')
  for (const command of [['start', '--once'], ['verify'], ['query', 'SELECT 1 FROM logs'], ['optimize']]) {
    const { code, stderr } = await run(...command)
    assert.equal(code, 1, command.join(' '))
    assert.match(stderr, /FORMAT_TOO_NEW.*tailrace\.formatVersion\) has format 3/, command.join(' '))
  }
  assert.equal((await readdir(log)).length, 4)
  assert.equal(await readFile(offsetFile, 'utf8'), offsets)
})

for (const format of formats) {
  test(`the offset file of ${format} gives its offsets, the load that had begun, and those that are unclear`, async () => {
    const stateDirectory = join(import.meta.dirname, format, 'state')
    const staged = await new OffsetFile({
      stateDirectory,
      pipeline: 'staged',
      table: 'lake.logs.staged',
    }).read()
    assert.deepEqual(
      [...(staged?.offsets ?? [])],
      [{ blob: 'logs/primary/a.ndjson', generation: '20261124T084700Z', offset: 100 }],
    )
    const loadOf = (id: string, blob: string) => ({
      id,
      mode: 'copy-into',
      spans: [{ blob, generation: '20261124T084700Z', start: 100, end: 200 }],
      files: [{ name: `${id}-0.parquet`, bytes: 1_000, rows: 2 }],
    })
    const first = loadOf('batch-1', 'logs/primary/a.ndjson')
    const [begun, unclear] =
      format === 'format-1' ? [first, []] : [loadOf('batch-2', 'logs/primary/b.ndjson'), [first]]
    assert.deepEqual(staged?.intent, begun)
    assert.deepEqual(staged?.unsettled ?? [], unclear)
  })
}
