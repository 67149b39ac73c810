import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StatusFile } from '../../src/offsets/status-file.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

interface Lag {
  readonly lag: number
}

function lagOf(json: unknown): Lag {
  const { lag } = json as Lag
  if (typeof lag !== 'number') throw new TypeError('not a lag')
  return { lag }
}

async function statusFile(t: TestContext) {
  const directory = await temporaryDirectory(t)
  return { directory, file: new StatusFile(join(directory, 'a', 'b', 'primary.status.json'), lagOf) }
}

test('a status is read as it was written, from indented text in a directory made for it, with no file beside it', async (t) => {
  const { file } = await statusFile(t)
  await file.write({ lag: 1 })
  await file.write({ lag: 2 })
  assert.deepEqual(await file.read(), { lag: 2 })
  assert.equal(await readFile(file.path, 'utf8'), '{\n  "lag": 2\n}\n')
  assert.deepEqual(await readdir(dirname(file.path)), ['primary.status.json'])
})

test('writing no status removes the file, also one that is not there', async (t) => {
  const { file, directory } = await statusFile(t)
  await file.write(undefined)
  assert.deepEqual(await readdir(directory), [])
  await file.write({ lag: 1 })
  await file.write(undefined)
  assert.deepEqual(await readdir(dirname(file.path)), [])
})

test('a file that is missing, damaged or of another shape is no status', async (t) => {
  const { file } = await statusFile(t)
  assert.equal(await file.read(), undefined)
  await file.write({ lag: 1 })
  for (const text of ['', '{"lag":', '{"lag":"1"}', 'null']) {
    await writeFile(file.path, text)
    assert.equal(await file.read(), undefined, text)
  }
})

test('writes that are requested together take effect in their order, and are over when the file is settled', async (t) => {
  const { file } = await statusFile(t)
  const writes = Array.from({ length: 20 }, (_, lag) => file.write(lag % 3 === 2 ? undefined : { lag }))
  await file.settled()
  assert.deepEqual(await file.read(), { lag: 19 })
  await Promise.all(writes)
})

test('a write that fails rejects with a code, and the file settles all the same', async (t) => {
  const { directory } = await statusFile(t)
  await writeFile(join(directory, 'plain'), '')
  const file = new StatusFile(join(directory, 'plain', 'status.json'), lagOf)
  const written = assert.rejects(file.write({ lag: 1 }), { code: 'DIRECTORY_UNUSABLE' })
  await file.settled()
  await written
})
