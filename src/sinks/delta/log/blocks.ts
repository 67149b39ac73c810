import { isTailraceError } from '../../../errors.ts'
import { isJsonObject } from '../../../json.ts'
import type { DeltaStorage, StoredObject } from '../storage/delta-storage.ts'
import { type LogListing, logListing, upTo } from './listing.ts'

/** Versions that share all but the last three of their name's 20 digits: one listing by prefix has them all. */
export const blockVersions = 1_000

/** How many blocks are looked through for a checkpoint before a version: a table checkpoints far more often. */
const maxBlocksBack = 3

/** @returns the block that a version is in, counted from 0. */
function blockOf(version: number): number {
  return Math.floor(version / blockVersions)
}

/** @returns what the names of a block's files begin with. */
function blockPrefix(block: number): string {
  return String(block).padStart(17, '0')
}

/**
 * Lists a log from the checkpoint on that `_last_checkpoint` names, so that the cost does not grow with the log.
 *
 * Blob storage lists by prefix and not from a name on, so it goes block by block, until one has nothing. That is the
 * end of the log, unless a cleanup has left an old checkpoint behind: the commits that follow it may be blocks away.
 * The newest version has both, so a checkpoint without a commit is not it.
 *
 * @returns undefined when that does not lead to a version that can be read: only the whole log tells then
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
 * Lists as much of a log as reading one version needs: back to a checkpoint before it, or to the first commit.
 *
 * @returns undefined when that does not lead to the version: only the whole log tells then
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
 * Lists the newest part of a log with the files' times: of at least so many commits, or the whole of it.
 *
 * @returns undefined when `_last_checkpoint` does not lead to it
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

/** Lists block after block, until one has nothing of the log: the log may go on behind a gap of a block or more. */
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
 * The version that `_last_checkpoint` names.
 *
 * Every writer writes it after its checkpoint, over the others': it may be old, torn or wrong.
 *
 * @returns undefined where it is missing or cannot be understood
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
