import { isJsonObject, type JsonObject } from '../../json.ts'
import { commitPath, decodeLines } from './delta-action.ts'
import type { DeltaStorage } from './delta-storage.ts'
import { logListing } from './log-listing.ts'
import { readableVersions } from './readable-versions.ts'

/** When the commits of a log were made, by the rule that time travel goes by. */
export interface CommitTimes {
  /** Versions that can be read and whose commit is there, ascending. */
  readonly versions: readonly number[]
  /** Milliseconds since the epoch; undefined when the commit is gone by now. */
  of(version: number): Promise<number | undefined>
  /** The same, of a commit that is already read. */
  ofCommit(version: number, actions: readonly JsonObject[]): number | undefined
}

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
  const objects = await storage.listWithTimes('_delta_log')
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
  const newest = versions.at(-1)
  const isStated = newest !== undefined && statedTime(await actionsOf(newest)) !== undefined
  const ofCommit: CommitTimes['ofCommit'] = (version, actions) =>
    (isStated ? statedTime(actions) : undefined) ?? fileTimes.get(version)
  return {
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
