import assert from 'node:assert/strict'
import { readdir, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { CountsStore } from '../../../src/page/logs/counts/counts-store.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const counts = {
  fields: [{ severity: 'FEHLER', level: 'ERROR', server: null, role: 'primary', event: null }],
  slots: Float64Array.of(29_882_880, 29_882_881),
  kinds: Uint32Array.of(0, 0),
  counts: Float64Array.of(3, 4_000_000_000),
}

test('counts are read as they were written, and those of files that no table has go after two weeks', async (t) => {
  const directory = await temporaryDirectory(t)
  const store = new CountsStore(directory)
  for (const key of ['live', 'gone', 'new']) await store.write(key, counts)
  assert.deepEqual(await store.read('live'), counts)
  assert.equal(await store.read('nothing'), undefined)
  await store.write('new', 'none')
  assert.equal(await store.read('new'), 'none')
  const nowMs = Date.now()
  const old = new Date(nowMs - 15 * 24 * 3_600_000)
  for (const key of ['live', 'gone']) await utimes(join(directory, `${key}.json.gz`), old, old)
  await store.clean(new Set(['live']), nowMs)
  assert.deepEqual((await readdir(directory)).sort(), ['live.json.gz', 'new.json.gz'])
})
