import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { StoredObject } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { CountingStorage } from '../long-table.ts'
import { committerOf, encode, impatientClock, span, workbench } from '../support.ts'

const dayMs = 24 * 3_600_000
const startMs = Date.UTC(2026, 0, 1, 12)

const at = (version: number) => String(version).padStart(20, '0')

test('a log is cleaned once a day, after the first checkpoint of a process and of each day', async (t) => {
  const bench = await workbench(t)
  const storage = new FailingStorage(bench.table)
  let nowMs = startMs
  const failures: string[] = []
  const open = async () => {
    const committer = committerOf(bench, {
      storage,
      clock: { ...impatientClock, now: () => nowMs },
      onCheckpointFailed: (error) => failures.push(String(error)),
    })
    await committer.open()
    return committer
  }
  let committer = await open()
  let offset = 0
  /** How many times the log was looked through while so many checkpoints were written. */
  const cleanups = async (checkpoints: number): Promise<number> => {
    storage.pagedCount = 0
    for (let commit = 1; commit <= checkpoints * 20; commit += 1) {
      const source = span('logs/pg', offset, offset + 10)
      await committer.land([source], await encode(bench, source, [{ offset, seed: offset }]))
      offset += 10
      if (commit % 20 === 0) await committer.close()
    }
    return storage.pagedCount
  }
  assert.equal(await cleanups(2), 1)
  nowMs += dayMs / 4
  assert.equal(await cleanups(1), 0)
  nowMs += dayMs / 4
  assert.equal(await cleanups(2), 1, 'it is past midnight')
  committer = await open()
  assert.equal(await cleanups(1), 1, 'it is another process')

  nowMs += dayMs
  storage.fault = new Error('It is not allowed.')
  assert.deepEqual([await cleanups(2), failures], [1, ['Error: It is not allowed.']])
  storage.fault = undefined

  // Everything is expired, and it is more than one cleanup removes.
  nowMs = Date.now() + 40 * dayMs
  for (let index = 0; index < 2_100; index += 1)
    await writeFile(join(bench.table, '_delta_log', `${at(0)}.${at(index)}.compacted.json`), '')
  assert.equal(await cleanups(3), 2)
  const names = await readdir(join(bench.table, '_delta_log'))
  assert.equal(names.filter((name) => name.includes('compacted')).length, 0)
  assert.equal(failures.length, 1)
})

/** Fails for good where a cleanup looks through the log. */
class FailingStorage extends CountingStorage {
  fault: Error | undefined

  override async *pages(folder: string, prefix?: string): AsyncGenerator<readonly StoredObject[]> {
    const pages = super.pages(folder, prefix)
    if (folder === '_delta_log' && this.fault !== undefined) {
      this.pagedCount += 1
      throw this.fault
    }
    yield* pages
  }
}
