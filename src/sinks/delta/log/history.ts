import { isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts'
import type { CommitSummary, TableHistory } from '../../table-reports.ts'
import { commitPath, decodeLines, missingCommitError } from '../protocol/actions.ts'
import type { DeltaStorage, StoredObject } from '../storage/delta-storage.ts'
import { blockVersions, listNewest } from './blocks.ts'
import { logListing, missingCommit, readableVersions, upTo } from './listing.ts'

/**
 * Reads a table's newest commits, one after the other, so that only one commit is in memory.
 *
 * @param maxCommits commits to read at most
 * @returns undefined when there is no table
 * @throws TABLE_CORRUPT naming a commit that cannot be read
 */
export async function readHistory(
  storage: DeltaStorage,
  maxCommits: number,
): Promise<TableHistory | undefined> {
  const times = await newestCommitTimes(storage, maxCommits)
  if (times === undefined) return undefined
  const { firstVersion, versions } = times
  const commits: CommitSummary[] = []
  for (const version of versions.slice(Math.max(0, versions.length - maxCommits)).reverse()) {
    const path = commitPath(version)
    const bytes = await storage.read(path)
    // Another writer may have removed it since the listing.
    if (bytes === undefined) continue
    const actions = decodeLines(path, bytes)
    commits.push(summaryOf(version, times.ofCommit(version, actions) ?? 0, actions))
  }
  return { firstVersion, lastVersion: versions.at(-1)!, commits }
}

function summaryOf(version: number, timeMs: number, actions: readonly JsonObject[]): CommitSummary {
  const info = actions.map(({ commitInfo }) => commitInfo).find(isJsonObject) ?? {}
  const { operation, operationParameters, engineInfo } = info
  const adds = actions.map(({ add }) => add).filter(isJsonObject)
  const rows = adds.map(rowsOf)
  return {
    version,
    timeMs,
    operation: textOf(operation),
    parameters: isJsonObject(operationParameters) ? operationParameters : {},
    engine: textOf(engineInfo),
    addedFiles: adds.length,
    removedFiles: actions.filter(({ remove }) => isJsonObject(remove)).length,
    addedRows: rows.includes(undefined) ? undefined : rows.reduce<number>((sum, one) => sum + one!, 0),
  }
}

function rowsOf({ stats, deletionVector }: JsonObject): number | undefined {
  try {
    const parsed: unknown = typeof stats === 'string' ? JSON.parse(stats) : undefined
    const rows = isJsonObject(parsed) ? parsed.numRecords : undefined
    // `numRecords` includes the rows that the deletion vector deletes.
    const deleted = isJsonObject(deletionVector) ? Number(deletionVector.cardinality) : 0
    return typeof rows === 'number' ? rows - deleted : undefined
  } catch {
    return undefined
  }
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

/** The commit times of a log, by the rule that time travel uses. */
export interface CommitTimes {
  /** The oldest readable version with a commit file. */
  readonly firstVersion: number
  /** Readable versions with a commit file, ascending: all of them, or the requested newest ones. */
  readonly versions: readonly number[]
  /** Milliseconds since the epoch; undefined when the commit file was removed since the listing. */
  of(version: number): Promise<number | undefined>
  /** The same as `of`, for a commit that was already read. */
  ofCommit(version: number, actions: readonly JsonObject[]): number | undefined
}

/** For more commits, listing the whole log in pages of 5,000 names takes fewer requests than listing by blocks. */
const maxCommitsByBlocks = 3_000

/**
 * Reads the times of all commits, with one listing and the newest commit.
 *
 * With in-commit timestamps, the time is the one in the commit. Otherwise it is the file's modification time, raised
 * to one millisecond after the previous commit's time if it is not later (PROTOCOL.md, "In-Commit Timestamps", and
 * Delta's DeltaHistoryManager, read 2026-11).
 *
 * @returns undefined when there is no table
 * @throws TABLE_CORRUPT when no version can be read, naming the commit that is missing
 */
export async function commitTimes(storage: DeltaStorage): Promise<CommitTimes | undefined> {
  const objects: StoredObject[] = []
  for await (const page of storage.pages('_delta_log')) for (const object of page) objects.push(object)
  const times = await timesOf(storage, objects)
  if (times !== undefined) return times
  const missing = missingCommit(logListing(objects.map(({ name }) => name)))
  if (missing !== undefined) throw missingCommitError(missing)
  return undefined
}

/**
 * Reads the times of the newest commits, by the rule of `commitTimes`. Of a long log it lists only the two ends and
 * assumes that the versions between them exist.
 *
 * @param count commits wanted; the result may have more, or fewer if the log has fewer
 */
export async function newestCommitTimes(
  storage: DeltaStorage,
  count: number,
): Promise<CommitTimes | undefined> {
  if (count > maxCommitsByBlocks) return commitTimes(storage)
  // A time depends on earlier ones while several commits share a second, so one more block is listed.
  const newest = await listNewest(storage, count + blockVersions)
  if (newest === undefined) return commitTimes(storage)
  const times = await timesOf(storage, newest.objects)
  // Commits made between the listings of two blocks leave a gap in the versions; the whole log is listed then.
  if (newest.isWhole && times !== undefined) return times
  const firstVersion = await firstReadable(storage)
  if (times === undefined || times.versions.length < count || firstVersion === undefined) {
    return commitTimes(storage)
  }
  return { ...times, firstVersion }
}

/** Finds the oldest readable version from the first page of the log's listing. */
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
  const hasInCommitTimes = inCommitTime(await actionsOf(newest)) !== undefined
  const ofCommit: CommitTimes['ofCommit'] = (version, actions) =>
    (hasInCommitTimes ? inCommitTime(actions) : undefined) ?? fileTimes.get(version)
  return {
    firstVersion,
    versions,
    ofCommit,
    of: async (version) => ofCommit(version, hasInCommitTimes ? await actionsOf(version) : []),
  }
}

function inCommitTime(actions: readonly JsonObject[]): number | undefined {
  for (const { commitInfo } of actions) {
    if (isJsonObject(commitInfo) && typeof commitInfo.inCommitTimestamp === 'number') {
      return commitInfo.inCommitTimestamp
    }
  }
  return undefined
}
