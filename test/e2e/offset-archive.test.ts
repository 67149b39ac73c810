import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ageOffsets } from '../support/aged-offsets.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { startStorage } from '../support/storage.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** A storage, a directory with table and state, and the command line over both. */
async function archiveFixture(t: TestContext) {
  const root = await temporaryDirectory(t)
  const storage = await startStorage(t)
  const config = join(import.meta.dirname, 'offset-archive.config.mjs')
  const env = { ROOT: root, STORAGE: storage.connectionString }
  const run = (...args: string[]) => runTailrace(t, [...args, '--config', config], { env })
  return { root, storage, run }
}

test('every command knows archived offsets: nothing lands twice, growth lands, and all of it is verified', {
  timeout: 300_000,
}, async (t) => {
  const { root, storage, run: runAny } = await archiveFixture(t)
  const table = join(root, 'lakehouse/lake/logs/primary')
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runAny(...args)
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const json = async (...args: string[]) => JSON.parse(await run(...args, '--json'))
  const start = async () => JSON.parse(await run('start', '--once')).pipelines.primary
  const offsetFile = async () =>
    JSON.parse(await readFile(join(root, 'state/primary.offset.json'), 'utf8')) as {
      archived?: number
      blobs: Record<string, unknown>
    }

  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(1), jsonlogLine(2)]))
  await storage.append('primary/b.ndjson', linesAsBytes([jsonlogLine(3)]))
  assert.equal((await start()).rows, 3)
  await ageOffsets(join(table, '_delta_log'))
  assert.equal((await json('optimize'))[0].archivedOffsets, 2)

  const status = await json('status')
  assert.deepEqual([status.blobs, status.pipelines[0].archivedOffsets], [[], 2])
  assert.equal(status.pipelines[0].notBegun.blobs, 0)
  assert.match(await run('status'), /primary: 2 rows of offsets .* are in the table's archive/)
  const verified = await json('verify')
  assert.deepEqual(verified, { complete: true, blobs: [], archived: { generations: 2, rows: 3 } })
  assert.deepEqual((await json('plan')).units, [])

  // The offset file of before has the archived offsets, and a lost one nothing.
  assert.equal((await start()).rows, 0)
  assert.deepEqual(await offsetFile(), { ...(await offsetFile()), archived: 2, blobs: {} })
  await rm(join(root, 'state'), { recursive: true })
  assert.equal((await start()).rows, 0)

  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(4)]))
  const grown = (await json('status')).blobs
  assert.deepEqual(
    grown.map(({ blob, lagBytes, rows }: { blob: string; lagBytes: number; rows: number }) => [
      blob,
      lagBytes > 0,
      rows,
    ]),
    [['logs/primary/a.ndjson', true, 2]],
  )
  const { units } = await json('plan')
  assert.equal(units.length, 1)
  assert.ok(units[0].spans[0].start > 0)
  assert.equal((await start()).rows, 1)
  assert.deepEqual(Object.keys((await offsetFile()).blobs), ['logs/primary/a.ndjson'])
  const { complete, blobs, archived } = await json('verify')
  assert.deepEqual([complete, blobs.length, archived], [true, 1, { generations: 1, rows: 1 }])
  assert.equal((await json('status')).pipelines[0].replacedBlobs, 0, 'one that grew was not replaced')

  const replayed = await run('replay', '--pipeline', 'primary', '--blob', 'primary/b.ndjson', '--from', '0')
  assert.deepEqual([JSON.parse(replayed).rows, JSON.parse(replayed).removedRows], [1, 1])
  assert.equal((await json('verify')).complete, true)

  // Content that was copied is recognized by the archived fingerprints, so no unit has it.
  await storage.container.deleteBlob('primary/b.ndjson')
  await storage.container.getAppendBlobClient('primary/b.ndjson').create()
  await storage.append('primary/b.ndjson', linesAsBytes([jsonlogLine(3)]))
  assert.deepEqual(await json('plan'), { units: [], leftOut: [] })
})

test('a blob with one generation in the archive agrees with the offset file and counts as replaced, wherever the other one is', {
  timeout: 300_000,
}, async (t) => {
  const { root, storage, run } = await archiveFixture(t)
  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(1), jsonlogLine(2)]))
  assert.equal((await run('start', '--once')).code, 0)
  await ageOffsets(join(root, 'lakehouse/lake/logs/primary/_delta_log'))
  await storage.container.deleteBlob('primary/a.ndjson')
  await storage.container.getAppendBlobClient('primary/a.ndjson').create()
  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(3)]))
  assert.equal((await run('start', '--once')).code, 0)
  assert.equal(JSON.parse((await run('optimize', '--json')).stdout)[0].archivedOffsets, 1)
  const { code, stdout, stderr } = await run('start', '--once')
  assert.deepEqual([code, JSON.parse(stdout).pipelines.primary.rows], [0, 0], stderr)
  assert.doesNotMatch(stderr, /claims more/)
  const replacedBlobs = async () =>
    JSON.parse((await run('status', '--json')).stdout).pipelines[0].replacedBlobs
  assert.equal(await replacedBlobs(), 1)
  // An offset of a commit before the archive's would count as archived when it is made older.
  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(4)]))
  assert.equal((await run('start', '--once')).code, 0)
  await ageOffsets(join(root, 'lakehouse/lake/logs/primary/_delta_log'))
  assert.equal(JSON.parse((await run('optimize', '--json')).stdout)[0].archivedOffsets, 1)
  assert.equal(await replacedBlobs(), 1)
})

test('optimize on a machine without the offset file archives nothing, because it has no fingerprints', {
  timeout: 300_000,
}, async (t) => {
  const { root, storage, run } = await archiveFixture(t)
  await storage.append('primary/a.ndjson', linesAsBytes([jsonlogLine(1)]))
  assert.equal((await run('start', '--once')).code, 0)
  await ageOffsets(join(root, 'lakehouse/lake/logs/primary/_delta_log'))
  await rm(join(root, 'state'), { recursive: true })
  assert.equal(JSON.parse((await run('optimize', '--json')).stdout)[0].archivedOffsets, 0)
})

test('the lag of an archived blob that was copied and then grew is known', {
  timeout: 300_000,
}, async (t) => {
  const { root, storage, run } = await archiveFixture(t)
  const name = 'primary/a.ndjson'
  await storage.append(name, linesAsBytes([jsonlogLine(1), jsonlogLine(2)]))
  assert.equal((await run('start', '--once')).code, 0)
  await storage.container.deleteBlob(name)
  await storage.container.getAppendBlobClient(name).create()
  await storage.append(name, linesAsBytes([jsonlogLine(1), jsonlogLine(2), jsonlogLine(3)]))
  const copied = await run('start', '--once')
  assert.equal(JSON.parse(copied.stdout).pipelines.primary.rows, 1, copied.stderr)
  await ageOffsets(join(root, 'lakehouse/lake/logs/primary/_delta_log'))
  assert.equal(JSON.parse((await run('optimize', '--json')).stdout)[0].archivedOffsets, 1)
  // The offset file leaves its mark to the archive.
  assert.equal((await run('start', '--once')).code, 0)
  const line = linesAsBytes([jsonlogLine(4)])
  await storage.append(name, line)
  const { blobs } = JSON.parse((await run('status', '--json')).stdout)
  assert.deepEqual(
    blobs.map(({ lagBytes }: { lagBytes: number }) => lagBytes),
    [line.length],
  )
})
