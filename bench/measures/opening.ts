import { link, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { logFile } from '../../src/sinks/delta/log/listing.ts'
import type { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { median } from '../reports/statistics.ts'
import { OneRowCommits, offsetAfter } from './one-row-commits.ts'
import { prepareTable } from './prepare-table.ts'

/** Times of opening a table at one version, as a start does before it reads the first byte. */
export interface OpeningTimes {
  readonly version: number
  /** With its newest checkpoint ten commits back, which is the middle between two of them. */
  readonly withMs: number
  /** From the commits alone. */
  readonly withoutMs: number
  /** The medians by that of the first version. */
  readonly withToFirst: number
  readonly withoutToFirst: number
}

const commitsAfterCheckpoint = 10

interface Opened {
  readonly version: number
  readonly kinds: readonly { readonly storage: LocalDeltaStorage; readonly tookMs: number[] }[]
}

/**
 * Opens tables of these versions, with a checkpoint and without, in turns, each twice: the first time, which meets what
 * the table before left the collector to do, does not count.
 *
 * Opening also reads the blob's offset, and the bench fails when it is wrong.
 */
export async function measureOpening(
  versions: readonly number[],
  { rounds, scratch }: { readonly rounds: number; readonly scratch: string },
  say: (text: string) => void,
): Promise<readonly OpeningTimes[]> {
  const commits = await OneRowCommits.open(join(scratch, 'opening'))
  try {
    const tables: Opened[] = []
    for (const version of versions) {
      const storage = commits.tableAt(`with-${version}`)
      const bare = commits.tableAt(`without-${version}`)
      await prepareTable(commits, storage, { version, checkpointVersion: version - commitsAfterCheckpoint })
      await linkCommits(storage, bare)
      tables.push({ version, kinds: [storage, bare].map((one) => ({ storage: one, tookMs: [] })) })
    }
    for (let round = 1; round <= rounds; round += 1) {
      say(`opening: round ${round} of ${rounds}`)
      for (const { version, kinds } of tables) {
        for (const { storage, tookMs } of kinds) {
          await openOnce(commits, storage, version)
          tookMs.push(await openOnce(commits, storage, version))
        }
      }
    }
    const medians = tables.map(({ version, kinds }) => ({
      version,
      medianMs: kinds.map(({ tookMs }) => median(tookMs)),
    }))
    const [firstWithMs, firstWithoutMs] = medians[0]!.medianMs as [number, number]
    return medians.map(({ version, medianMs }) => {
      const [withMs, withoutMs] = medianMs as [number, number]
      const withToFirst = withMs / firstWithMs
      return { version, withMs, withoutMs, withToFirst, withoutToFirst: withoutMs / firstWithoutMs }
    })
  } finally {
    await commits.close()
  }
}

/** The same log without checkpoints and without the hint at one. */
async function linkCommits(from: LocalDeltaStorage, to: LocalDeltaStorage): Promise<void> {
  await mkdir(join(to.location, '_delta_log'), { recursive: true })
  for (const name of await from.list('_delta_log')) {
    if (logFile(name)?.kind !== 'commit') continue
    const path = join('_delta_log', name)
    await link(join(from.location, path), join(to.location, path))
  }
}

async function openOnce(
  commits: OneRowCommits,
  storage: LocalDeltaStorage,
  version: number,
): Promise<number> {
  const committer = commits.committerOf(storage)
  const startedAt = performance.now()
  await committer.open()
  const [source] = committer.landed()
  const tookMs = performance.now() - startedAt
  await committer.close()
  if (source?.offset !== offsetAfter(version)) {
    throw new Error(
      `A table at version ${version} was opened at ${committer.tableVersion}, ${source?.offset}.`,
    )
  }
  return tookMs
}
