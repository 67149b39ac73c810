import { isTailraceError, TailraceError } from '../../../errors.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { commitPath, type DeltaCommit, decodeCommit } from '../protocol/actions.ts'
import { checkReadable, hasInCommitTimestamps } from '../protocol/features.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { listFromCheckpoint } from './blocks.ts'
import { readCheckpoint } from './checkpoint-reader.ts'
import { type LogListing, logListing } from './listing.ts'
import { type KeptOptions, TableState } from './state.ts'

/** Commits read ahead while a log is replayed. */
const readAheadCommits = 16

/** How often a log is read again because another writer cleaned it meanwhile. */
const maxReadings = 3

/**
 * Reads a table's newest version: the newest checkpoint that can be read, and every commit after it.
 *
 * Listings alone say what is there. `_last_checkpoint` is no more than where to begin: the whole log is listed when
 * that leads to no version, or to one that does not fit together.
 *
 * @returns undefined when there is no table
 * @throws TABLE_CORRUPT naming the file that is missing or cannot be read, TABLE_UNSUPPORTED naming the feature
 * that a reader of this table must know
 */
export async function loadState(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  options: KeptOptions,
): Promise<TableState | undefined> {
  const near = await listFromCheckpoint(storage)
  if (near !== undefined) {
    try {
      return await loadListed(storage, engine, near, options)
    } catch (error) {
      if (!isTailraceError(error, 'TABLE_CORRUPT')) throw error
    }
  }
  for (let reading = 1; ; reading += 1) {
    const names = await storage.list('_delta_log')
    try {
      return await loadListed(storage, engine, logListing(names), options)
    } catch (error) {
      if (!isTailraceError(error, 'TABLE_CORRUPT') || reading === maxReadings) throw error
      const now = new Set(await storage.list('_delta_log'))
      if (names.every((name) => now.has(name))) throw error
    }
  }
}

/**
 * Moves a state to the newest version.
 *
 * The first commit is read alone, because mostly there is none; after that, more and more of them at a time.
 *
 * @param onCommit sees each commit after it is applied
 */
export async function readNewCommits(
  storage: DeltaStorage,
  state: TableState,
  onCommit: (commit: DeltaCommit) => void = () => {},
): Promise<void> {
  for (let count = 1; ; count = Math.min(2 * count, readAheadCommits)) {
    for (const commit of await readCommits(storage, state.version + 1, count)) {
      if (commit === undefined) return
      state.apply(commit)
      onCommit(commit)
    }
  }
}

function readCommits(
  storage: DeltaStorage,
  first: number,
  count: number,
): Promise<(DeltaCommit | undefined)[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => readCommit(storage, first + index)))
}

/** @returns a version's commit, or undefined when there is none (yet). */
export async function readCommit(storage: DeltaStorage, version: number): Promise<DeltaCommit | undefined> {
  const bytes = await storage.read(commitPath(version))
  return bytes && decodeCommit(version, bytes)
}

async function loadListed(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  listing: LogListing,
  options: KeptOptions,
): Promise<TableState | undefined> {
  const last = Math.max(listing.commits.at(-1) ?? -1, listing.checkpoints[0]?.version ?? -1)
  if (last === -1) return undefined
  const state = await startState(storage, engine, listing, options)
  await replay(storage, state, last)
  await readNewCommits(storage, state)
  await completeTimestamp(storage, state)
  checkReadable(state.protocol, state.metaData)
  return state
}

/**
 * Reads the newest of the listed checkpoints.
 *
 * An older one, or none, does as well as one that cannot be read, as long as the commits are there.
 */
export async function startState(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  { commits, checkpoints }: LogListing,
  options: KeptOptions,
): Promise<TableState> {
  let failure: unknown
  for (const checkpoint of checkpoints) {
    const state = new TableState(options)
    try {
      state.load(await readCheckpoint(storage, engine, checkpoint, options))
      return state
    } catch (error) {
      if (!isTailraceError(error, 'TABLE_CORRUPT')) throw error
      failure ??= error
    }
  }
  if (failure !== undefined && commits[0] !== 0) throw failure
  return new TableState(options)
}

/** The next commit's timestamp must be later than that of a commit which may be older than the checkpoint. */
async function completeTimestamp(storage: DeltaStorage, state: TableState): Promise<void> {
  if (state.inCommitTimestamp !== undefined || !hasInCommitTimestamps(state.protocol, state.metaData)) return
  const commit = await readCommit(storage, state.version)
  if (commit?.inCommitTimestamp === undefined) throw missing(state.version)
  state.noteInCommitTimestamp(commit.inCommitTimestamp)
}

/**
 * Moves a state to a version.
 *
 * @throws TABLE_CORRUPT naming the commit that is missing
 */
export async function replay(storage: DeltaStorage, state: TableState, last: number): Promise<void> {
  while (state.version < last) {
    const first = state.version + 1
    const count = Math.min(readAheadCommits, last - first + 1)
    for (const commit of await readCommits(storage, first, count)) {
      if (commit === undefined) throw missing(state.version + 1)
      state.apply(commit)
    }
  }
}

function missing(version: number): TailraceError {
  return new TailraceError('TABLE_CORRUPT', `${commitPath(version)} is missing.`, { context: { version } })
}
