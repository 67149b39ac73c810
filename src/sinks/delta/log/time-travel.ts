import { isTailraceError, TailraceError } from '../../../errors.ts'
import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { checkReadable } from '../protocol/features.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'
import { listBefore } from './blocks.ts'
import { type CommitTimes, commitTimes } from './history.ts'
import { type LogListing, logListing, readableVersions, upTo } from './listing.ts'
import { replayCommits, startState } from './load.ts'
import type { KeptOptions, TableState } from './state.ts'

/**
 * Reads a table at one version, from the newest readable checkpoint at or before it and the commits in between.
 *
 * @returns undefined when there is no table
 * @throws TABLE_VERSION_UNAVAILABLE naming the readable versions; TABLE_CORRUPT, TABLE_UNSUPPORTED
 */
export async function loadVersion(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  version: number,
  options: KeptOptions,
): Promise<TableState | undefined> {
  const near = await listBefore(storage, version)
  if (near !== undefined) {
    try {
      return await loadListed(storage, engine, near, version, options)
    } catch (error) {
      if (!isTailraceError(error, 'TABLE_CORRUPT')) throw error
    }
  }
  const listing = logListing(await storage.list('_delta_log'))
  const range = readableVersions(listing)
  if (range === undefined) return undefined
  if (version < range.first || version > range.last) {
    throw unavailable(`Version ${version} cannot be read`, `${range.first} to ${range.last}`, storage)
  }
  return loadListed(storage, engine, upTo(listing, version), version, options)
}

async function loadListed(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  listing: LogListing,
  version: number,
  options: KeptOptions,
): Promise<TableState> {
  const state = await startState(storage, engine, listing, options)
  await replayCommits(storage, state, version)
  checkReadable(state.protocol, state.metaData)
  return state
}

/**
 * Finds the newest version committed at or before a time.
 *
 * @param timestampMs milliseconds since the epoch
 * @returns undefined when there is no table
 * @throws TABLE_VERSION_UNAVAILABLE when the log starts later
 */
export async function versionAt(storage: DeltaStorage, timestampMs: number): Promise<number | undefined> {
  const times = await commitTimes(storage)
  if (times === undefined) return undefined
  const first = times.firstVersion
  const firstMs = await times.of(first)
  if (firstMs === undefined || firstMs > timestampMs) {
    const since = firstMs === undefined ? `version ${first}` : `version ${first}, of ${isoTime(firstMs)}`
    throw unavailable(`The table at ${isoTime(timestampMs)} cannot be read`, `from ${since}, on`, storage)
  }
  return newestUpTo(times, timestampMs)
}

/** Binary search: commit times increase with the version, and each comparison can cost a request. */
async function newestUpTo(times: CommitTimes, timestampMs: number): Promise<number> {
  const { versions } = times
  let [low, high] = [0, versions.length - 1]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    const timeMs = await times.of(versions[middle]!)
    if (timeMs !== undefined && timeMs <= timestampMs) low = middle
    else high = middle - 1
  }
  return versions[low]!
}

function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

function unavailable(what: string, range: string, { location }: DeltaStorage): TailraceError {
  return new TailraceError('TABLE_VERSION_UNAVAILABLE', `${what}: the log of ${location} has ${range}.`)
}
