import assert from 'node:assert/strict'
import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Staging } from '../../../../src/streams/staging/staging.ts'
import { landBatches } from '../maintenance/support.ts'
import { placeInAzure, sharedStorage, stopSharedStorage } from '../on-each-storage.ts'
import { committerOf, workbench } from '../support.ts'
import { archive } from './support.ts'

const hourMs = 3_600_000

stopSharedStorage()

/** A process that has read the archive of a table in Azure, so that it has a copy. */
async function archiveReader(t: TestContext) {
  const bench = await workbench(t, placeInAzure((await sharedStorage()).container))
  await landBatches(bench, 0, 1)
  await archive(bench)
  const committer = committerOf(bench)
  await committer.open()
  const find = async () => (await committer.archive.find(['logs/pg'])).map(({ offset }) => offset)
  const downloads = join(bench.directory, 'downloads')
  assert.deepEqual(await find(), [120])
  return { committer, find, downloads }
}

test('a process that ends leaves no copies of the archive in its staging directory', async (t) => {
  const { committer, downloads } = await archiveReader(t)
  assert.equal((await readdir(downloads)).length, 1)
  await committer.close()
  assert.deepEqual(await readdir(downloads), [])
})

test('a copy of the archive that another process took for a leftover is made again', async (t) => {
  const { find, downloads } = await archiveReader(t)
  assert.ok((await new Staging(downloads, hourMs).removeExpired(Date.now() + 2 * hourMs)) > 0)
  assert.deepEqual(await readdir(downloads), [])
  assert.deepEqual(await find(), [120])
})

test('a copy of the archive that is still read is no leftover, however old it is', async (t) => {
  const { find, downloads } = await archiveReader(t)
  const copies = await readdir(downloads)
  const longAgo = new Date(Date.now() - 2 * hourMs)
  for (const copy of copies) await utimes(join(downloads, copy), longAgo, longAgo)
  await find()
  await new Staging(downloads, hourMs).removeExpired(Date.now() + 1)
  assert.deepEqual(await readdir(downloads), copies)
})
