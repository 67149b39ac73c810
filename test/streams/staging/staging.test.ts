import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Staging } from '../../../src/streams/staging/staging.ts'
import { type FileCall, systemError, watchFileCalls } from '../../support/faults/file-calls.ts'

const hourMs = 3_600_000
const nowMs = 1_795_510_020_000

async function openStaging(t: TestContext): Promise<Staging> {
  const parent = await mkdtemp(join(tmpdir(), 'tailrace-staging-'))
  t.after(() => rm(parent, { recursive: true, force: true }))
  const staging = new Staging(join(parent, 'deep', 'primary'), hourMs)
  await staging.open()
  return staging
}

async function put(staging: Staging, name: string, ageMs: number): Promise<void> {
  const path = join(staging.directory, name)
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, 'x'.repeat(10))
  await utimes(path, (nowMs - ageMs) / 1000, (nowMs - ageMs) / 1000)
}

test('only files that Tailrace named itself and that are old enough are removed', async (t) => {
  const staging = await openStaging(t)
  const id = '0e8dd2a4-9d5b-4c7e-8d6e-3f5b6f7a8b9c'
  const removed = [`${id}.spool`, `${id}.unit`, `rewrite-${id}.parquet`, `checkpoint-${id}.parquet`]
  const kept = ['notes.txt', 'server.ndjson', '.hidden', 'a b.spool', 'spool']
  for (const name of [...removed, ...kept]) await put(staging, name, 2 * hourMs)
  await put(staging, `young-${id}.spool`, hourMs - 1)
  await put(staging, `encode-${id}/part-00000-${id}.zstd.parquet`, 2 * hourMs)
  await utimes(
    join(staging.directory, `encode-${id}`),
    (nowMs - 2 * hourMs) / 1000,
    (nowMs - 2 * hourMs) / 1000,
  )

  assert.ok((await staging.removeExpired(nowMs)) >= 30)
  assert.deepEqual(await readdir(staging.directory), [...kept, `young-${id}.spool`].sort())
})

test('a file written after the first scan is in use, at any age', async (t) => {
  const staging = await openStaging(t)
  await staging.removeExpired(nowMs)
  await put(staging, 'batch.spool', 0)
  assert.equal(await staging.removeExpired(nowMs + 24 * hourMs), 0)
  assert.deepEqual(await readdir(staging.directory), ['batch.spool'])
})

test('a file that was young at the first look expires later', async (t) => {
  const staging = await openStaging(t)
  await put(staging, 'left.spool', hourMs / 2)
  assert.equal(await staging.removeExpired(nowMs), 0)
  assert.equal(await staging.removeExpired(nowMs + hourMs), 10)
})

test("a batch's spool and a unit's file lie in the directory and have their name", async (t) => {
  const staging = await openStaging(t)
  assert.equal(staging.spoolPath('batch-7'), join(staging.directory, 'batch-7.spool'))
  assert.equal(staging.unitPath('unit-7'), join(staging.directory, 'unit-7.unit'))
})

test('a leftover that cannot be removed, or looked for, keeps no other one and no start from going on', async (t) => {
  const staging = await openStaging(t)
  for (const name of ['a.spool', 'b.spool', 'c.spool']) await put(staging, name, 2 * hourMs)
  const failing = async (fails: (call: FileCall) => boolean): Promise<void> => {
    const before = (call: FileCall): undefined => {
      if (fails(call)) throw systemError('EIO', call)
    }
    const stop = await watchFileCalls(t, { before })
    await staging.removeExpired(nowMs)
    stop()
  }
  await failing(({ name }) => name === 'readdir')
  assert.deepEqual(await readdir(staging.directory), ['a.spool', 'b.spool', 'c.spool'])
  await failing(({ name, path }) => name === 'rm' && path.endsWith('b.spool'))
  assert.deepEqual(await readdir(staging.directory), ['b.spool'])
})
