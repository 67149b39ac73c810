import { isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts'
import { commitPath, decodeLines } from '../protocol/actions.ts'
import type { DeltaStorage, StoredObject } from '../storage/delta-storage.ts'
import { blockVersions, listNewest } from './blocks.ts'
import { logListing, readableVersions, upTo } from './listing.ts'

/** One commit, as its own file tells it. */
export interface CommitSummary {
  readonly version: number
  /** Milliseconds since the epoch: what time travel goes by. */
  readonly timeMs: number
  /** Empty where the writer states none, as everything else that follows. */
  readonly operation: string
  readonly parameters: JsonObject
  readonly engine: string
  readonly addedFiles: number
  readonly removedFiles: number
  /** Rows of the added files, without deleted ones; undefined when one of them has no statistics. */
  readonly addedRows: number | undefined
}

/** The commits of a table that its log still has. */
export interface TableHistory {
  /** The oldest version whose commit is there and that can be read. */
  readonly firstVersion: number
  readonly lastVersion: number
  /** The newest first. */
  readonly commits: readonly CommitSummary[]
}

/**
 * Reads a table's newest commits, one after the other: no more than one commit is in memory.
 *
 * @param limit the most commits to read
 * @returns undefined when there is no table
 * @throws TABLE_CORRUPT naming a commit that cannot be read
 */
export async function readHistory(storage: DeltaStorage, limit: number): Promise<TableHistory | undefined> {
  const times = await newestCommitTimes(storage, limit)
  if (times === undefined) return undefined
  const { firstVersion, versions } = times
  const commits: CommitSummary[] = []
  for (const version of versions.slice(Math.max(0, versions.length - limit)).reverse()) {
    const path = commitPath(version)
    const bytes = await storage.read(path)
    // Another writer may clean the log meanwhile.
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
    // Statistics count the rows that a file holds, deleted ones too.
    const deleted = isJsonObject(deletionVector) ? Number(deletionVector.cardinality) : 0
    return typeof rows === 'number' ? rows - deleted : undefined
  } catch {
    return undefined
  }
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

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
