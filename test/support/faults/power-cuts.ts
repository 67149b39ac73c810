import { mkdir } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import { seededRandom } from '../../../doubles/seeded-random.ts'
import { createLogger, type Logger } from '../../../src/reporting/logger.ts'
import { watchFileCalls } from './file-calls.ts'
import { inDirectory, type LandingWorld, landWorld } from './landing-world.ts'
import { UnsyncedFiles } from './unsynced-files.ts'

/** The chance of a cut after a call, so that a run of about a hundred calls meets some. */
const cutChance = 0.06

/** What a power cut left, and what the process had reported as landed when it came. */
export interface Survivor {
  readonly world: LandingWorld
  readonly after: string
  readonly reportedRows: number
}

/** Lands a world and makes copies of what power cuts at some instants would have left. */
export async function cutRun(
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
