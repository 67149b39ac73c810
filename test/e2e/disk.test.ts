import assert from 'node:assert/strict'
import { access, mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { assertLandedOnce, mirroredOffset } from '../support/landed-once.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { runTailrace, startTailrace } from '../support/run-tailrace.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { smallDisk, smallDiskMissing } from '../support/small-disk.ts'
import { startStorage } from '../support/storage.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type TestConfig, writeProject } from '../support/test-project.ts'

const skip = skipUnless(smallDiskMissing())
const blob = 'primary.json'
const KiB = 1024
const MiB = 1024 * KiB
const checkMs = 100

function lines(from: number, count: number): Buffer {
  return linesAsBytes(Array.from({ length: count }, (_, index) => jsonlogLine(from + index)))
}

/** A running `tailrace start` with its state and its table on a file system of 64 MiB. */
async function startOnSmallDisk(t: TestContext, config: Partial<TestConfig>) {
  const disk = await smallDisk(t, 64)
  const storage = await startStorage(t)
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: blob } },
    root: disk.directory,
    ...config,
  })
  await storage.append(blob, lines(0, 10))
  const args = ['start', '--config', project.configPath]
  const running = startTailrace(t, args, { env: { LOG_LEVEL: 'debug' } })
  await running.until(() => running.logged('landed'), 'the first batch')
  const rows = async () => readTable(project.tableDirectory('primary'))
  return { disk, storage, project, running, args, rows }
}

const spaces = { minFreeBytes: 32 * MiB, resumeFreeBytes: 40 * MiB, checkMs, expireMs: 60_000 }

test('a volume short of space holds the stream, loses own leftovers only, and goes on above the upper limit', {
  skip,
}, async (t) => {
  const { disk, storage, project, running, rows } = await startOnSmallDisk(t, { disk: spaces })
  await disk.leaveFree(24 * MiB)
  // An answer about free space may be `checkMs` old when the first lines after it come, so they come until they are held.
  let next = 10
  await eventually(async () => {
    await storage.append(blob, lines(next++, 1))
    return running.logged('the stream is held')
  }, 'hold')
  const before = await rows()
  await storage.append(blob, lines(next, 1_000))

  const staging = project.stagingDirectory('primary')
  const own = ['0b0e9b0e-0000-4000-8000-000000000000.spool', 'encode-0b0e9b0e-0000-4000-8000-000000000000']
  const foreign = ['notes.txt', 'young.spool']
  await mkdir(join(staging, own[1]!))
  await writeFile(join(staging, own[0]!), Buffer.alloc(MiB))
  for (const name of foreign) await writeFile(join(staging, name), 'kept')
  const longAgo = new Date(Date.now() - 3_600_000)
  for (const name of [...own, foreign[0]!]) await utimes(join(staging, name), longAgo, longAgo)
  await eventually(async () => !(await readdir(staging)).some((name) => own.includes(name)), 'expiry')
  for (const name of foreign) await access(join(staging, name))

  await disk.leaveFree(36 * MiB)
  const between = () => running.log.some(({ freeBytes }) => Number(freeBytes) > 35 * MiB)
  await running.until(between, 'a look at the space between the limits')
  assert.ok(!running.logged('disk space is available again'))
  assert.deepEqual(await rows(), before)

  await disk.leaveFree(48 * MiB)
  await running.until(() => running.logged('disk space is available again'), 'room')
  const content = await storage.content(blob)
  await eventually(
    async () => (await mirroredOffset(project.offsetPath('primary'), blob)) === content.length,
    'landing of the rest',
  )
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143)
  assertLandedOnce(blob, content, await rows())
})

test('a stop while the volume is short of space ends at once, and the next start lands what was held', {
  skip,
}, async (t) => {
  const { disk, storage, running, args, rows } = await startOnSmallDisk(t, { disk: spaces })
  await disk.leaveFree(24 * MiB)
  let next = 10
  await eventually(async () => {
    await storage.append(blob, lines(next++, 1))
    return running.logged('the stream is held')
  }, 'hold')
  running.kill('SIGTERM')
  assert.deepEqual(await running.exited, { code: 143, signal: null }, running.stderr.slice(-4_000))
  const content = await storage.content(blob)
  assert.ok((await rows()).length < next)

  await disk.leaveFree(48 * MiB)
  const rest = await runTailrace(t, [...args, '--once'])
  assert.equal(rest.code, 0, rest.stderr)
  assertLandedOnce(blob, content, await rows())
})

test('a volume that is full in the middle of writes, and freed bit by bit, takes every row once', {
  skip,
}, async (t) => {
  const { disk, storage, project, running, rows } = await startOnSmallDisk(t, {
    disk: { minFreeBytes: 0, checkMs },
    batch: { maxBytes: 2 * MiB, maxAgeMs: 500 },
  })
  await disk.leaveFree(64 * KiB)
  await storage.append(blob, lines(10, 20_000))
  const content = await storage.content(blob)
  const fulls = () => running.log.filter(({ msg }) => msg === 'a write failed because the volume is full')
  const done = async () => (await mirroredOffset(project.offsetPath('primary'), blob)) === content.length

  await running.until(() => fulls().length >= 3, 'three writes that failed')
  const [first, , third] = fulls().map(({ time }) => Date.parse(String(time)))
  assert.ok(third! - first! >= 2 * checkMs - 10, 'a write was repeated without a pause')

  // Room comes in pieces smaller than a batch, one for each write that failed: so the volume is full while a spool
  // grows, while it is encoded, and while it is committed.
  let seen = 0
  await eventually(async () => {
    if (fulls().length > seen) {
      seen = fulls().length
      await disk.leaveFree((await disk.freeBytes()) + 192 * KiB)
    }
    return done()
  }, 'landing')
  assert.ok(seen >= 8, `only ${seen} writes found the volume full`)
  running.kill('SIGTERM')
  assert.equal((await running.exited).code, 143)
  assertLandedOnce(blob, content, await rows())
})
