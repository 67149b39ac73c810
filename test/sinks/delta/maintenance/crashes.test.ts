import assert from 'node:assert/strict'
import { readTable } from '../../../../src/sinks/delta/live-files.ts'
import { LocalDeltaStorage } from '../../../../src/sinks/delta/local-delta-storage.ts'
import { onEachStorage } from '../on-each-storage.ts'
import type { Workbench } from '../support.ts'
import { DyingStorage, ProcessGone } from './dying-storage.ts'
import { contentOf, daysLater, landBatches, optimize, vacuum } from './support.ts'

const moments = ['before', 'after'] as const

async function livePathsOf(bench: Workbench): Promise<string[]> {
  return ((await readTable(bench.storage, bench.engine))?.files ?? []).map(({ path }) => path).sort()
}

/** Runs `work` on a storage that dies at each of its calls in turn, until it comes to its end. */
async function atEachCall(
  anew: () => Promise<Workbench>,
  prepare: (bench: Workbench) => Promise<void>,
  work: (bench: Workbench, storage: DyingStorage) => Promise<unknown>,
  check: (bench: Workbench) => Promise<void>,
): Promise<void> {
  for (const when of moments) {
    for (let call = 1; ; call += 1) {
      const bench = await anew()
      await prepare(bench)
      // The emulator is slow, and what only reads leaves nothing behind.
      const counted = bench.storage instanceof LocalDeltaStorage ? 'all' : 'changes'
      const storage = new DyingStorage(bench.storage, call, when, counted)
      const ended = await work(bench, storage).then(
        () => true,
        (error: Error) => {
          // A doubt about a commit has the death as its cause.
          assert.ok(error instanceof ProcessGone || error.cause instanceof ProcessGone, error.stack)
          return false
        },
      )
      await check(bench)
      if (ended) {
        assert.ok(call > 3, 'it died at some calls')
        break
      }
    }
  }
}

onEachStorage(
  'an optimize that dies at any of its steps loses and doubles no row, and the next one finishes',
  async (_, t, anew) => {
    let dead = 0
    await atEachCall(
      anew,
      (bench) => landBatches(bench, 0, 2, 2),
      (bench, storage) => optimize(bench, { storage }),
      async (bench) => {
        dead += 1
        assert.equal((await contentOf(bench)).rows, 24)
        const before = await contentOf(bench)
        await optimize(bench)
        assert.deepEqual(await contentOf(bench), before)
        assert.equal((await livePathsOf(bench)).length, 2)
        // Landing goes on.
        await landBatches(bench, 2, 3, 2)
        assert.equal((await contentOf(bench)).rows, 36)
        // What the dead one left goes with what was merged.
        await vacuum(bench)
        assert.deepEqual(await bench.dataFiles(), await livePathsOf(bench))
        assert.equal((await contentOf(bench)).rows, 36)
      },
    )
    t.diagnostic(`${dead} deaths`)
  },
)

onEachStorage(
  'a vacuum that dies at any of its steps leaves every live file, and the next one finishes',
  async (_, t, anew) => {
    let dead = 0
    await atEachCall(
      anew,
      async (bench) => {
        await landBatches(bench, 0, 2, 2)
        await optimize(bench)
      },
      (bench, storage) => vacuum(bench, { storage }),
      async (bench) => {
        dead += 1
        assert.equal((await contentOf(bench)).rows, 24)
        await vacuum(bench, { clock: daysLater(9) })
        assert.deepEqual(await bench.dataFiles(), await livePathsOf(bench))
        assert.equal((await contentOf(bench)).rows, 24)
      },
    )
    t.diagnostic(`${dead} deaths`)
  },
)
