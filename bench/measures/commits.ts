import { join } from 'node:path'
import { logFile } from '../../src/sinks/delta/log/listing.ts'
import type { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { median, percentile } from '../reports/statistics.ts'
import { OneRowCommits } from './one-row-commits.ts'
import { prepareTable } from './prepare-table.ts'

/** Times of the commits around one version of a table. */
export interface CommitTimes {
  readonly version: number
  readonly commits: number
  readonly medianMs: number
  readonly p90Ms: number
  readonly slowestMs: number
  /** The medians and the 90th percentiles by those of the first version. */
  readonly medianToFirst: number
  readonly p90ToFirst: number
  /** Time of the checkpoint that the last of these commits makes due, in the background. */
  readonly checkpointMs: number
  /** Commits while it was written, as far as there were any. */
  readonly beside: number
  readonly besideMedianMs?: number
}

/** From one checkpoint that a table of ours gets to the next: the commits of a round. */
const interval = 20
/** The first commits of a round are not counted: disk and garbage collector still work on the table before. */
const uncounted = 5
/** More would make another checkpoint due. */
const mostBeside = 10

interface Measured {
  readonly version: number
  readonly baseVersion: number
  readonly storage: LocalDeltaStorage
  readonly tookMs: number[]
  readonly besideMs: number[]
  readonly checkpointMs: number[]
}

/**
 * Lands one-row batches around each of the versions, each in a table of its own, and the tables in turns.
 *
 * A round of a table is the twenty commits with its version in the middle, of which the last fifteen count, with no
 * checkpoint under way, as it is when batches come every few seconds; then some while the checkpoint that is due now is
 * written. After that the log is cut back, so that the next round finds the same table. One more round, the first, does
 * not count.
 */
export async function measureCommits(
  versions: readonly number[],
  { rounds, scratch }: { readonly rounds: number; readonly scratch: string },
  say: (text: string) => void,
): Promise<readonly CommitTimes[]> {
  const commits = await OneRowCommits.open(join(scratch, 'commits'))
  try {
    const tables: Measured[] = []
    for (const version of versions) {
      const baseVersion = version - interval / 2
      const storage = commits.tableAt(`at-${version}`)
      await prepareTable(commits, storage, { version: baseVersion, checkpointVersion: baseVersion })
      tables.push({ version, baseVersion, storage, tookMs: [], besideMs: [], checkpointMs: [] })
    }
    for (let round = 0; round <= rounds; round += 1) {
      say(`commits: round ${round} of ${rounds}`)
      for (const table of tables) {
        await landRound(
          commits,
          round === 0 ? { ...table, tookMs: [], besideMs: [], checkpointMs: [] } : table,
        )
      }
    }
    return tables.map((table) => timesOf(table, tables[0]!))
  } finally {
    await commits.close()
  }
}

async function landRound(commits: OneRowCommits, table: Measured): Promise<void> {
  const committer = commits.committerOf(table.storage)
  await committer.open()
  for (let landed = 0; landed < interval; landed += 1) {
    const tookMs = await commits.land(committer)
    if (landed >= uncounted) table.tookMs.push(tookMs)
  }
  const startedAt = performance.now()
  const state = { isWriting: true }
  // All that closing waits for is the checkpoint.
  const written = committer.close().then(() => {
    table.checkpointMs.push(performance.now() - startedAt)
    state.isWriting = false
  })
  for (let beside = 0; beside < mostBeside; beside += 1) {
    const tookMs = await commits.land(committer)
    if (!state.isWriting) break
    table.besideMs.push(tookMs)
  }
  await written
  await committer.close()
  await cutBack(table)
}

async function cutBack({ storage, baseVersion }: Measured): Promise<void> {
  for (const name of await storage.list('_delta_log')) {
    if ((logFile(name)?.version ?? -1) > baseVersion) await storage.remove(`_delta_log/${name}`)
  }
}

function timesOf({ version, tookMs, besideMs, checkpointMs }: Measured, first: Measured): CommitTimes {
  return {
    version,
    commits: tookMs.length,
    medianMs: median(tookMs),
    p90Ms: percentile(tookMs, 0.9),
    slowestMs: percentile(tookMs, 1),
    medianToFirst: median(tookMs) / median(first.tookMs),
    p90ToFirst: percentile(tookMs, 0.9) / percentile(first.tookMs, 0.9),
    checkpointMs: median(checkpointMs),
    beside: besideMs.length,
    ...(besideMs.length === 0 ? {} : { besideMedianMs: median(besideMs) }),
  }
}
