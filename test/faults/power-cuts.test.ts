import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '../../src/reporting/logger.ts'
import {
  assertWorldLanded,
  landingWorld,
  landWorld,
  tableDirectoryOf,
} from '../support/faults/landing-world.ts'
import { cutRun, type Survivor } from '../support/faults/power-cuts.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

// TAILRACE_SEED is the first seed, TAILRACE_CUTS how many cuts are made; each seed makes a few.
const firstSeed = Number(process.env.TAILRACE_SEED ?? 1)
const cutsWanted = Number(process.env.TAILRACE_CUTS ?? 24)

test('after a power cut at any call, what was reported is in the table, and the next start lands each line once', async (t) => {
  const directory = await temporaryDirectory(t)
  let cuts = 0
  for (let seed = firstSeed; cuts < cutsWanted; seed += 1) {
    const survivors = await cutRun(t, landingWorld(join(directory, `${seed}`), seed), seed)
    for (const [index, survivor] of survivors.entries()) {
      await checked(`TAILRACE_SEED=${seed}, cut ${index} after ${survivor.after}`, async () => {
        await assertReported(survivor)
        // The start after the cut is cut as well, and then left alone.
        const again = await cutRun(t, survivor.world, seed + index, 1)
        for (const { world } of again) {
          await landWorld(world, { logger: silentLogger })
          await assertWorldLanded(world)
        }
        await assertWorldLanded(survivor.world)
      })
    }
    cuts += survivors.length
    await rm(directory, { recursive: true })
  }
  t.diagnostic(`${cuts} power cuts, seeds from ${firstSeed}`)
})

async function assertReported({ world, reportedRows }: Survivor): Promise<void> {
  const rows = await readTable(tableDirectoryOf(world))
  assert.ok(rows.length >= reportedRows, `${rows.length} rows of ${reportedRows} that were reported`)
}

async function checked(what: string, check: () => Promise<void>): Promise<void> {
  try {
    await check()
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}
