import { isTailraceError } from '../../../errors.ts'
import { isJsonObject } from '../../../json.ts'
import type { DeltaStorage, StoredObject } from '../storage/delta-storage.ts'
import { type LogListing, logListing, upTo } from './listing.ts'

/** Versions in a block: their file names share all but the last three of 20 digits, so one prefix lists them all. */
export const blockVersions = 1_000

/** Blocks searched for a checkpoint before a version. Tables checkpoint far more often than every 3,000 versions. */
const maxBlocksBack = 3

/** @returns the 0-based index of the block that contains a version. */
function blockOf(version: number): number {
  return Math.floor(version / blockVersions)
}

/** @returns the common prefix of the file names in a block. */
function blockPrefix(block: number): string {
  return String(block).padStart(17, '0')
}

/**
 * Lists a log from the checkpoint that `_last_checkpoint` names, so that the cost does not grow with the log.
 *
 * Blob storage can list by prefix but not from a given name, so this lists block by block until a block is empty.
 * An empty block is usually the end of the log. But a cleanup can leave an old checkpoint behind, with the next
 * commits several blocks later. At the end of the log, the newest checkpoint's version also has a commit; the
 * listing is rejected otherwise.
 *
 * @returns undefined when this finds no readable version; the whole log must be listed then
 */
export async function listFromCheckpoint(storage: DeltaStorage): Promise<LogListing | undefined> {
  const version = await hintedVersion(storage)
  if (version === undefined) return undefined
  const list = (block: number): Promise<string[]> => storage.list('_delta_log', blockPrefix(block))
  const listing = logListing(await walk(blockOf(version), list, (name) => name))
  const { commits, checkpoints } = listing
  const isAtEnd = (commits.at(-1) ?? -1) >= (checkpoints[0]?.version ?? 0)
  return hasBase(listing) && isAtEnd ? listing : undefined
}

/**
 * Lists only the part of a log needed to read one version: back to a checkpoint at or before it, or to version 0.
 *
 * @returns undefined when this does not find the version or its checkpoint; the whole log must be listed then
 */
export async function listBefore(storage: DeltaStorage, version: number): Promise<LogListing | undefined> {
  const names: string[] = []
  const newest = blockOf(version)
  for (let block = newest; block >= 0 && block > newest - maxBlocksBack; block -= 1) {
    for (const name of await storage.list('_delta_log', blockPrefix(block))) names.push(name)
    const listing = upTo(logListing(names), version)
    if (listing.commits.at(-1) !== version && listing.checkpoints[0]?.version !== version) return undefined
    if (hasBase(listing)) return listing
  }
  return undefined
}

/**
 * Lists the newest part of a log with the files' modification times.
 *
 * @param commitCount the minimum number of commits to list; the whole log is listed when it has fewer
 * @returns undefined when `_last_checkpoint` is missing or points to an empty block
 */
export async function listNewest(
  storage: DeltaStorage,
  commitCount: number,
): Promise<{ readonly objects: readonly StoredObject[]; readonly isWhole: boolean } | undefined> {
  const version = await hintedVersion(storage)
  if (version === undefined) return undefined
  const list = async (block: number): Promise<StoredObject[]> => {
    const objects: StoredObject[] = []
    for await (const page of storage.pages('_delta_log', blockPrefix(block))) {
      for (const object of page) objects.push(object)
    }
    return objects
  }
  let objects = await walk(blockOf(version), list, ({ name }) => name)
  if (objects.length === 0) return undefined
  for (let block = blockOf(version) - 1; block >= 0; block -= 1) {
    if (logListing(objects.map(({ name }) => name)).commits.length >= commitCount) {
      return { objects, isWhole: false }
    }
    const older = await list(block)
    if (older.length === 0) break
    objects = older.concat(objects)
  }
  return { objects, isWhole: true }
}

/** Lists block after block until one has no log file. The log may continue after a gap of one or more blocks. */
async function walk<Listed>(
  first: number,
  list: (block: number) => Promise<Listed[]>,
  nameOf: (listed: Listed) => string,
): Promise<Listed[]> {
  const all: Listed[] = []
  for (let block = first; ; block += 1) {
    const found = await list(block)
    const { commits, checkpoints } = logListing(found.map(nameOf))
    if (commits.length === 0 && checkpoints.length === 0) return all
    for (const one of found) all.push(one)
  }
}

/**
 * Reads the version that `_last_checkpoint` names.
 *
 * Every writer overwrites this file after writing its checkpoint, so it may be stale, torn or wrong.
 *
 * @returns undefined when the file is missing or cannot be parsed
 */
export async function hintedVersion(storage: DeltaStorage): Promise<number | undefined> {
  try {
    const bytes = await storage.read('_delta_log/_last_checkpoint')
    const hint: unknown = bytes && JSON.parse(bytes.toString())
    const version = isJsonObject(hint) ? hint.version : undefined
    return typeof version === 'number' && Number.isSafeInteger(version) && version >= 0 ? version : undefined
  } catch (error) {
    if (error instanceof SyntaxError || isTailraceError(error, 'TABLE_CORRUPT')) return undefined
    throw error
  }
}

function hasBase({ commits, checkpoints }: LogListing): boolean {
  return checkpoints.length > 0 || commits[0] === 0
}
