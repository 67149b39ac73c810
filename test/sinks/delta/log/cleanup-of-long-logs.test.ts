import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { cleanLog } from '../../../../src/sinks/delta/log/cleanup.ts'
import { loadState } from '../../../../src/sinks/delta/log/load.ts'
import type { StoredObject } from '../../../../src/sinks/delta/storage/delta-storage.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/storage/local.ts'
import { firstMs, LongTable } from '../long-table.ts'
import { type Workbench, workbench } from '../support.ts'

async function logNames(bench: Workbench): Promise<string[]> {
  return (await readdir(join(bench.table, '_delta_log'))).filter((name) => !name.startsWith('_')).sort()
}

test('only the beginning of a long log is read, and its expired files are removed in portions', async (t) => {
  const bench = await workbench(t)
  const checkpoints = [100, 2_300, 2_600, 4_000]
  const { storage } = await LongTable.of(bench, { to: 5_200, checkpoints })
  const clean = async (cutoffVersion: number) => {
    storage.pageCount = 0
    const rules = { cutoffMs: firstMs + cutoffVersion * 1000, checkpointCutoffMs: Number.POSITIVE_INFINITY }
    const isDone = await cleanLog({ storage, engine: bench.engine }, rules, firstMs)
    const names = await logNames(bench)
    return { isDone, pages: storage.pageCount, first: Number(names[0]!.slice(0, 20)), left: names.length }
  }
  const all = 5_201 + checkpoints.length
  // A page has 1,000 names.
  assert.deepEqual(await clean(99), { isDone: true, pages: 1, first: 0, left: all })
  assert.deepEqual(await clean(100), { isDone: true, pages: 1, first: 100, left: all - 100 })
  // There is more than one cleanup removes, and the next one goes on where it ended.
  assert.deepEqual(await clean(4_500), { isDone: false, pages: 3, first: 2_099, left: all - 2_100 })
  assert.deepEqual(await clean(4_500), { isDone: true, pages: 3, first: 4_000, left: all - 4_003 })
  assert.deepEqual(await clean(4_500), { isDone: true, pages: 1, first: 4_000, left: all - 4_003 })
  assert.equal((await loadState(storage, bench.engine, { keepFiles: false }))?.version, 5_200)
})

/** Lists the log in small pages, and counts how often an object's name is read. */
class WatchedStorage extends LocalDeltaStorage {
  readonly reads = new Map<string, number>()

  override async *pages(folder: string): AsyncGenerator<readonly StoredObject[]> {
    const { reads } = this
    const objects: StoredObject[] = []
    for await (const page of super.pages(folder)) objects.push(...page)
    for (let from = 0; from < objects.length; from += 10) {
      yield objects.slice(from, from + 10).map(({ name, ...rest }) => ({
        ...rest,
        get name() {
          reads.set(name, (reads.get(name) ?? 0) + 1)
          return name
        },
      }))
    }
  }
}

test('each page of a log is sorted out once, with a checkpoint and without', async (t) => {
  for (const checkpoints of [[], [50, 55, 290]]) {
    const bench = await workbench(t)
    await LongTable.of(bench, { to: 300, checkpoints })
    const storage = new WatchedStorage(bench.table)
    const rules = { cutoffMs: firstMs + 299_000, checkpointCutoffMs: Number.POSITIVE_INFINITY }
    await cleanLog({ storage, engine: bench.engine }, rules, firstMs)
    assert.ok(storage.reads.size > 300)
    assert.ok(Math.max(...storage.reads.values()) <= 4, `${Math.max(...storage.reads.values())} readings`)
    const first = Number((await logNames(bench))[0]!.slice(0, 20))
    assert.equal(first, checkpoints.at(-1) ?? 0)
  }
})
