import { randomUUID } from 'node:crypto'
import { link, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { dueCheckpoint, writeCheckpoint } from '../../src/sinks/delta/log/checkpoint-writer.ts'
import { loadState } from '../../src/sinks/delta/log/load.ts'
import { commitPath } from '../../src/sinks/delta/protocol/actions.ts'
import type { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { type OneRowCommits, offsetAfter } from './one-row-commits.ts'

export interface PreparedVersion {
  readonly version: number
  /** The version of its only checkpoint, which is left out where a run would not have written one yet. */
  readonly checkpointVersion: number
}

/** A line of a commit that lands a batch. */
interface LandedAction {
  readonly commitInfo?: object
  readonly txn?: object
  readonly add?: { readonly path: string }
}

/** Files written at a time. */
const writesAtOnce = 64

/**
 * Creates a table as a run that lands one row per version would, but in less time.
 *
 * The committer makes the table and lands version 1. Every later version is the text of that commit with the offset,
 * the version read, the transaction and the file's name that version n has, written without an fsync; its file is a
 * link to the first one. The checkpoint is the one that the committer would write, of every file and the offset.
 */
export async function prepareTable(
  commits: OneRowCommits,
  storage: LocalDeltaStorage,
  { version, checkpointVersion }: PreparedVersion,
): Promise<void> {
  const committer = commits.committerOf(storage)
  await committer.open()
  if (version > 0) await commits.land(committer)
  await committer.close()
  await repeatCommit(storage, 2, Math.min(version, checkpointVersion))
  const state = await loadState(storage, commits.engine, { keepFiles: false })
  const plan = state && dueCheckpoint(state, -1)
  if (plan !== undefined) {
    const context = { storage, engine: commits.engine, stagingDirectory: commits.staging }
    await writeCheckpoint(plan, context, Date.now())
  }
  await repeatCommit(storage, Math.max(2, checkpointVersion + 1), version)
}

async function repeatCommit(storage: LocalDeltaStorage, first: number, last: number): Promise<void> {
  if (last < first) return
  const text = (await storage.read(commitPath(1)))?.toString() ?? ''
  const actions = text.split('\n').flatMap((line) => (line === '' ? [] : (JSON.parse(line) as LandedAction)))
  for (let from = first; from <= last; from += writesAtOnce) {
    const count = Math.min(writesAtOnce, last - from + 1)
    await Promise.all(
      Array.from({ length: count }, (_, index) => writeVersion(storage, actions, from + index)),
    )
  }
}

async function writeVersion(
  { location }: LocalDeltaStorage,
  actions: readonly LandedAction[],
  version: number,
): Promise<void> {
  const lines = await Promise.all(
    actions.map(async ({ commitInfo, txn, add }) => {
      if (commitInfo) return { commitInfo: { ...commitInfo, readVersion: version - 1, txnId: randomUUID() } }
      if (txn) return { txn: { ...txn, version: offsetAfter(version) } }
      if (add === undefined) throw new Error('A batch was landed with more than rows and an offset.')
      const path = posix.join(posix.dirname(add.path), `${randomUUID()}.parquet`)
      await link(join(location, decodeURIComponent(add.path)), join(location, decodeURIComponent(path)))
      return { add: { ...add, path } }
    }),
  )
  await writeFile(
    join(location, commitPath(version)),
    lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
  )
}
