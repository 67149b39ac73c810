import { isTailraceError } from '../../../errors.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { commitPath, type DeltaCommit, decodeCommit, missingCommitError } from '../protocol/actions.ts'
import { checkReadable, hasInCommitTimestamps } from '../protocol/features.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { listFromCheckpoint } from './blocks.ts'
import { readCheckpoint } from './checkpoint-reader.ts'
import { type LogListing, logListing } from './listing.ts'
import { type KeptOptions, TableState } from './state.ts'

/** Commits read ahead while a log is replayed. */
const readAheadCommits = 16

/** Attempts to read a log from which another writer is removing files. */
const maxReadAttempts = 3

export interface LoadContext {
  readonly storage: DeltaStorage
  /** Reads checkpoints. */
  readonly engine: EmbeddedEngine
}

/**
 * Reads a table's newest version from the newest readable checkpoint and every commit after it.
 *
 * `_last_checkpoint` only says where to start listing; it is never trusted for the version itself. The whole log is
 * listed when that start leads to no version or to an inconsistent one.
 *
 * @returns undefined when there is no table
 * @throws TABLE_CORRUPT naming the file that is missing or cannot be read, TABLE_UNSUPPORTED naming a reader feature
 * that this program does not implement
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
  for (let attempt = 1; ; attempt += 1) {
    const names = await storage.list('_delta_log')
    try {
      return await loadListed(storage, engine, logListing(names), options)
    } catch (error) {
      if (!isTailraceError(error, 'TABLE_CORRUPT') || attempt === maxReadAttempts) throw error
      // If no listed file has been removed since, another attempt would fail the same way.
      const now = new Set(await storage.list('_delta_log'))
      if (names.every((name) => now.has(name))) throw error
    }
  }
}

/**
 * Advances a state to the newest version.
 *
 * Usually there is no new commit, so the first request asks for one version; the following rounds double the count,
 * up to 16.
 *
 * @param onCommit called with each commit after it is applied
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

/** @returns the commit of a version, or undefined when its file does not exist. */
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
  await replayCommits(storage, state, last)
  await readNewCommits(storage, state)
  await completeTimestamp(storage, state)
  checkReadable(state.protocol, state.metaData)
  return state
}

/**
 * Makes a state from the newest readable checkpoint of a listing, or an empty state when the log starts at version 0.
 *
 * An unreadable checkpoint is skipped as long as the commits reach back to an older one or to version 0.
 *
 * @throws TABLE_CORRUPT when no checkpoint can be read and the first commits are gone
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

/**
 * Reads the newest in-commit timestamp from the commit file when the state came from a checkpoint, which does not
 * store it. The next commit needs it: its timestamp must be later.
 */
async function completeTimestamp(storage: DeltaStorage, state: TableState): Promise<void> {
  if (state.inCommitTimestamp !== undefined || !hasInCommitTimestamps(state.protocol, state.metaData)) return
  const commit = await readCommit(storage, state.version)
  if (commit?.inCommitTimestamp === undefined) throw missingCommitError(state.version)
  state.noteInCommitTimestamp(commit.inCommitTimestamp)
}

/**
 * Applies the commits after a state's version, up to and including `last`.
 *
 * @throws TABLE_CORRUPT naming the commit that is missing
 */
export async function replayCommits(storage: DeltaStorage, state: TableState, last: number): Promise<void> {
  while (state.version < last) {
    const first = state.version + 1
    const count = Math.min(readAheadCommits, last - first + 1)
    for (const commit of await readCommits(storage, first, count)) {
      if (commit === undefined) throw missingCommitError(state.version + 1)
      state.apply(commit)
    }
  }
}
