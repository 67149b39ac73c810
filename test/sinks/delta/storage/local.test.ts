import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { systemError, watchFileCalls } from '../../../support/faults/file-calls.ts'
import { workbench } from '../support.ts'

async function prepared(t: test.TestContext) {
  const bench = await workbench(t)
  const storage = new LocalDeltaStorage(bench.table)
  await storage.prepare()
  return { ...bench, storage }
}

test('a temporary file of a crashed writer is ignored, and deleted when it is old', async (t) => {
  const { storage, table } = await prepared(t)
  const [fresh, old] = ['.1.json.a.tmp', '.2.json.b.tmp'].map((name) => join(table, '_delta_log', name))
  await writeFile(fresh!, '')
  await writeFile(old!, '')
  await utimes(old!, 0, 0)
  assert.deepEqual(await storage.list('_delta_log'), [])
  await storage.prepare()
  assert.deepEqual(await readdir(join(table, '_delta_log')), ['.1.json.a.tmp'])
})

test('a folder that may not be written is named as denied', {
  skip: process.getuid?.() === 0 && 'root may write anywhere',
}, async (t) => {
  const { directory } = await workbench(t)
  const locked = join(directory, 'locked')
  await mkdir(locked)
  await chmod(locked, 0o500)
  await assert.rejects(new LocalDeltaStorage(join(locked, 'table')).prepare(), (error) =>
    isTailraceError(error, 'TABLE_DENIED'),
  )
})

test('a permanent refusal of the file system is not retried, and its code is named', async (t) => {
  const { storage, table, staging } = await prepared(t)
  await writeFile(join(table, 'plain'), '')
  const local = join(staging, 'a.parquet')
  await writeFile(local, 'rows')
  const refusals: [string, () => Promise<unknown>][] = [
    ['EISDIR', () => storage.read('_delta_log')],
    ['ENOTDIR', () => storage.read('plain/x')],
    ['ENAMETOOLONG', () => storage.read('x'.repeat(300))],
  ]
  for (const [code, operation] of refusals) {
    await assert.rejects(
      operation,
      (error) =>
        isTailraceError(error, 'TABLE_UNSUPPORTED') &&
        error.disposition === 'halt' &&
        error.message.includes(code),
    )
  }
})

test('an I/O error may pass, so it is to be retried', {
  skip: process.platform !== 'linux' && 'needs a file whose reading fails',
}, async () => {
  // The first page of a process is never mapped, and reading it is EIO.
  await assert.rejects(new LocalDeltaStorage('/proc/self').read('mem'), (error) =>
    isTailraceError(error, 'TABLE_UNAVAILABLE'),
  )
})

test('a partition folder that a vacuum removed is made again', async (t) => {
  const { storage, table, staging } = await prepared(t)
  const folder = join(table, 'event_date=2026-01-01')
  for (const name of ['a', 'b']) {
    const local = join(staging, name)
    await writeFile(local, name)
    await rm(folder, { recursive: true, force: true })
    await storage.putFile(local, `event_date=2026-01-01/${name}`)
    assert.equal(await readFile(join(folder, name), 'utf8'), name)
  }
})

/** A folder on another volume than that of the tests, where this machine has one. */
const otherVolume = '/dev/shm'
const volumeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.dev

test('a file moves into a partition folder that is on another volume than the log', {
  skip:
    [undefined, volumeOf(tmpdir())].includes(volumeOf(otherVolume)) &&
    'needs a second volume that is writable',
}, async (t) => {
  const { storage, table, staging } = await prepared(t)
  const elsewhere = await mkdtemp(join(otherVolume, 'tailrace-'))
  t.after(() => rm(elsewhere, { recursive: true, force: true }))
  await symlink(elsewhere, join(table, 'event_date=2026-01-01'))
  const local = join(staging, 'a.parquet')
  await writeFile(local, 'rows')
  const path = 'event_date=2026-01-01/a.parquet'
  await storage.putFile(local, path)
  assert.equal(String(await storage.read(path)), 'rows')
  await assert.rejects(readFile(local), { code: 'ENOENT' })
  await storage.withdrawFile(path, local)
  assert.equal(await readFile(local, 'utf8'), 'rows')
  assert.deepEqual([await readdir(elsewhere), await readdir(join(table, '_delta_log'))], [[], []])
})

/** The order in which an operation writes, names and syncs, by the last part of each path. */
async function stepsOf(t: test.TestContext, operation: () => Promise<unknown>): Promise<string[]> {
  const steps: string[] = []
  const shown = ['file.writeFile', 'file.sync', 'rename', 'link', 'mkdir']
  const stop = await watchFileCalls(t, {
    after: ({ name, path }) => {
      if (!shown.includes(name)) return
      steps.push(`${name} ${basename(path).replace(/^\..*\.tmp$/, 'temporary')}`)
    },
  })
  await operation()
  stop()
  return steps
}

test('a commit is on disk before it has its name, and its name before the commit counts', async (t) => {
  const { storage } = await prepared(t)
  assert.deepEqual(await stepsOf(t, () => storage.putIfAbsent('_delta_log/1.json', Buffer.from('x'))), [
    'file.writeFile temporary',
    'file.sync temporary',
    'link 1.json',
    'file.sync _delta_log',
  ])
  assert.deepEqual(await stepsOf(t, () => storage.put('_delta_log/_last_checkpoint', Buffer.from('x'))), [
    'file.writeFile temporary',
    'file.sync temporary',
    'rename _last_checkpoint',
    'file.sync _delta_log',
  ])
})

test('a data file is on disk before it has its name, and so is every folder made for it', async (t) => {
  const { storage, staging, table } = await prepared(t)
  const local = join(staging, 'a.parquet')
  await writeFile(local, 'rows')
  assert.deepEqual(await stepsOf(t, () => storage.putFile(local, 'day=1/hour=2/a.parquet')), [
    'file.sync a.parquet',
    'mkdir day=1',
    'mkdir hour=2',
    'file.sync day=1',
    `file.sync ${basename(table)}`,
    'rename a.parquet',
    'file.sync hour=2',
  ])
})

test('a commit whose name may not be on disk is in doubt, not created', async (t) => {
  const { storage, table } = await prepared(t)
  await watchFileCalls(t, {
    before: (call) => {
      if (call.name === 'file.sync' && call.path === join(table, '_delta_log')) throw systemError('EIO', call)
      return undefined
    },
  })
  assert.equal(await storage.putIfAbsent('_delta_log/1.json', Buffer.from('x')), 'unknown')
})

test('a file that could not be placed durably is where it was, so that the same batch is placed again', async (t) => {
  const { storage, table, staging } = await prepared(t)
  const local = join(staging, 'a.parquet')
  await writeFile(local, 'rows')
  let failures = 1
  const stop = await watchFileCalls(t, {
    before: (call) => {
      if (call.name === 'file.sync' && call.path === join(table, 'day=1') && failures-- > 0)
        throw systemError('EMFILE', call)
      return undefined
    },
  })
  await assert.rejects(storage.putFile(local, 'day=1/a.parquet'), { code: 'TABLE_UNAVAILABLE' })
  await storage.putFile(local, 'day=1/a.parquet')
  stop()
  assert.equal(await readFile(join(table, 'day=1/a.parquet'), 'utf8'), 'rows')
})
