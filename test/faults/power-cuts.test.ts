import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { seededRandom } from '../../doubles/seeded-random.ts'
import { createLogger, type Logger, silentLogger } from '../../src/reporting/logger.ts'
import { watchFileCalls } from '../support/faults/file-calls.ts'
import {
  assertWorldLanded,
  inDirectory,
  type LandingWorld,
  landingWorld,
  landWorld,
  tableDirectoryOf,
} from '../support/faults/landing-world.ts'
import { UnsyncedFiles } from '../support/faults/unsynced-files.ts'
import { readTable } from '../support/table-rows.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

// TAILRACE_SEED is the first seed, TAILRACE_CUTS how many cuts are made; each seed makes a few.
const firstSeed = Number(process.env.TAILRACE_SEED ?? 1)
const cutsWanted = Number(process.env.TAILRACE_CUTS ?? 150)

/** The chance of a cut after a call, so that a run of about a hundred calls meets some. */
const cutChance = 0.06

/** What a power cut left, and what the process had reported as landed when it came. */
interface Survivor {
  readonly world: LandingWorld
  readonly after: string
  readonly reportedRows: number
}

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

/** Lands a world and makes copies of what power cuts at some instants would have left. */
async function cutRun(
  t: TestContext,
  world: LandingWorld,
  seed: number,
  maxCuts = Number.POSITIVE_INFINITY,
): Promise<readonly Survivor[]> {
  const random = seededRandom(seed)
  const survivors: Survivor[] = []
  const landed = { rows: 0 }
  await mkdir(world.directory, { recursive: true })
  const files = new UnsyncedFiles(world.directory, ({ name, path }) => {
    if (survivors.length >= maxCuts || random.next() >= cutChance) return
    const copy = inDirectory(world, `${world.directory}-cut-${survivors.length}`)
    files.writeSurvivors(copy.directory, random)
    const after = `${name} ${path.slice(world.directory.length + 1)}`
    survivors.push({ world: copy, after, reportedRows: landed.rows })
  })
  const stop = await watchFileCalls(t, files)
  try {
    await landWorld(world, { logger: countingLogger(landed) })
  } finally {
    stop()
  }
  return survivors
}

/** A logger that adds up the rows that are reported as landed. */
function countingLogger(landed: { rows: number }): Logger {
  const write = (line: string): void => {
    const entry = JSON.parse(line) as { msg: string; rows?: number }
    if (entry.msg === 'landed') landed.rows += entry.rows ?? 0
  }
  return createLogger({ level: 'info', pretty: false, output: { write } })
}

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
