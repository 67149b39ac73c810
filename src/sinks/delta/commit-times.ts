import { isJsonObject, type JsonObject } from '../../json.ts'
import { commitPath, decodeLines } from './delta-action.ts'
import type { DeltaStorage, StoredObject } from './delta-storage.ts'
import { blockVersions, listNewest } from './log-blocks.ts'
import { logListing, upTo } from './log-listing.ts'
import { readableVersions } from './readable-versions.ts'

/** When the commits of a log were made, by the rule that time travel goes by. */
export interface CommitTimes {
  /** The oldest version that can be read and whose commit is there. */
  readonly firstVersion: number
  /** Versions that can be read and whose commit is there, ascending: all of them, or the newest that were asked for. */
  readonly versions: readonly number[]
  /** Milliseconds since the epoch; undefined when the commit is gone by now. */
  of(version: number): Promise<number | undefined>
  /** The same, of a commit that is already read. */
  ofCommit(version: number, actions: readonly JsonObject[]): number | undefined
}

/** Beyond this many commits, listing all of the log by pages of 5,000 names takes fewer requests than by blocks. */
const mostOfANewestPart = 3_000

/**
 * Reads when a log's commits were made, with one listing and the newest commit.
 *
 * Where the table states a time in every commit, that one counts. Else it is the time of the commit's file, and
 * one millisecond after the commit before when that is not later (PROTOCOL.md, "In-Commit Timestamps", and Delta's
 * DeltaHistoryManager, read 2026-11).
 *
 * @returns undefined when there is no table
 */
export async function commitTimes(storage: DeltaStorage): Promise<CommitTimes | undefined> {
  const objects: StoredObject[] = []
  for await (const page of storage.pages('_delta_log')) for (const object of page) objects.push(object)
  return timesOf(storage, objects)
}

/**
 * Reads when the newest commits of a log were made, like `commitTimes`, and of a long log lists its two ends only: what
 * lies between them is taken to be there.
 *
 * @param count how many commits are asked for; there may be more in the result, and fewer in the table
 */
export async function newestCommitTimes(
  storage: DeltaStorage,
  count: number,
): Promise<CommitTimes | undefined> {
  if (count > mostOfANewestPart) return commitTimes(storage)
  // A time depends on those before it where several commits fall into one second, and on no more than those.
  const newest = await listNewest(storage, count + blockVersions)
  if (newest === undefined) return commitTimes(storage)
  const times = await timesOf(storage, newest.objects)
  // Commits of two blocks may have been made between their listings, of which only the later ones are seen then.
  if (newest.isWhole && times !== undefined) return times
  const firstVersion = await firstReadable(storage)
  if (times === undefined || times.versions.length < count || firstVersion === undefined) {
    return commitTimes(storage)
  }
  return { ...times, firstVersion }
}

/** The oldest version that can be read, by the first page of the log. */
async function firstReadable(storage: DeltaStorage): Promise<number | undefined> {
  for await (const page of storage.pages('_delta_log')) {
    const listing = logListing(page.map(({ name }) => name))
    // A page may end between a checkpoint and its commit.
    return readableVersions(upTo(listing, listing.commits.at(-1) ?? -1))?.first
  }
  return undefined
}

async function timesOf(
  storage: DeltaStorage,
  objects: readonly StoredObject[],
): Promise<CommitTimes | undefined> {
  const listing = logListing(objects.map(({ name }) => name))
  const range = readableVersions(listing)
  if (range === undefined) return undefined
  const modified = new Map(objects.map(({ name, modifiedMs }) => [`_delta_log/${name}`, modifiedMs]))
  const fileTimes = new Map<number, number>()
  let before = Number.NEGATIVE_INFINITY
  for (const version of listing.commits) {
    before = Math.max(before + 1, Math.floor(modified.get(commitPath(version))!))
    fileTimes.set(version, before)
  }

  const actionsOf = async (version: number): Promise<JsonObject[]> => {
    const bytes = await storage.read(commitPath(version))
    return bytes === undefined ? [] : decodeLines(commitPath(version), bytes)
  }
  const versions = listing.commits.filter((version) => version >= range.first)
  const [firstVersion] = versions
  const newest = versions.at(-1)
  if (firstVersion === undefined || newest === undefined) return undefined
  const isStated = statedTime(await actionsOf(newest)) !== undefined
  const ofCommit: CommitTimes['ofCommit'] = (version, actions) =>
    (isStated ? statedTime(actions) : undefined) ?? fileTimes.get(version)
  return {
    firstVersion,
    versions,
    ofCommit,
    of: async (version) => ofCommit(version, isStated ? await actionsOf(version) : []),
  }
}

function statedTime(actions: readonly JsonObject[]): number | undefined {
  for (const { commitInfo } of actions) {
    if (isJsonObject(commitInfo) && typeof commitInfo.inCommitTimestamp === 'number') {
      return commitInfo.inCommitTimestamp
    }
  }
  return undefined
}
