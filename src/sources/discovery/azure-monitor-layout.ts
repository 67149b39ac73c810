import { TailraceError } from '../../errors.ts'
import type { CountedListing } from './counted-listing.ts'

/** In milliseconds. */
export const hourMs = 3_600_000
/** In milliseconds. All days are days of UTC, which are equally long. */
export const dayMs = 24 * hourMs

// Some services put levels of their own between the minute, which is always 00, and the file's name.
const hourPath = /(?:^|\/)y=(\d{4})\/m=(\d{2})\/d=(\d{2})\/h=(\d{2})\/m=00\/(?:.+\/)?PT1H\.json$/

/**
 * Reads the hour from the name of a blob that Azure Monitor wrote.
 *
 * It is the hour in which the service received the records, in UTC, not the time of the events. Layout read 2026-11-24 at
 * https://learn.microsoft.com/azure/azure-monitor/essentials/resource-logs-blob-format
 *
 * @returns the start of the hour, in milliseconds since the epoch; undefined for a name of another layout
 */
export function hourOf(name: string): number | undefined {
  const [year, month, day, hour] = hourPath.exec(name)?.slice(1).map(Number) ?? []
  if (year === undefined || month === undefined || day === undefined || hour === undefined) return undefined
  const start = new Date(Date.UTC(year, month - 1, day, hour))
  // Date.UTC turns the 31st of February into a day in March.
  const isReal = start.getUTCMonth() === month - 1 && start.getUTCDate() === day && hour < 24
  return isReal ? start.getTime() : undefined
}

/** @returns the start of the UTC day of an instant, in milliseconds since the epoch */
export function dayOf(instantMs: number): number {
  return Math.floor(instantMs / dayMs) * dayMs
}

/** The folder of a day's hours below a resource's folder: `y=2026/m=11/d=24/`. */
export function dayPath(startMs: number): string {
  const [year, month, day] = new Date(startMs).toISOString().slice(0, 10).split('-')
  return `y=${year}/m=${month}/d=${day}/`
}

/** Flexible server, single server, and Azure Cosmos DB for PostgreSQL, which was Citus. */
const serverId =
  /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+\/providers\/microsoft\.dbforpostgresql\/(?:flexibleservers|servers|servergroupsv2)\/[^/]+\/?$/i

/** @returns whether `text` is meant as an Azure resource id, not as a blob name */
export function looksLikeResourceId(text: string): boolean {
  return /^\/subscriptions\//i.test(text)
}

/** @returns whether `text` is the id of a PostgreSQL server, in any case, with or without a slash at its end */
export function isServerResourceId(text: string): boolean {
  return serverId.test(text)
}

/** Spellings of one resource in one container, at most; two have been seen. */
const maxSpellings = 16

/**
 * Finds the folders of a resource, whatever their case: one listing for each level of the resource id.
 *
 * Azure Monitor writes the id in capitals, below `resourceId=` in most containers and `ResourceId=` in some;
 * both can occur in one container, and a listing's prefix is case-sensitive.
 *
 * @returns such as `resourceId=/SUBSCRIPTIONS/…/FLEXIBLESERVERS/PG1/`, in name order; none while the resource has no folder
 */
export async function resourceFolders(listing: CountedListing, resourceId: string): Promise<string[]> {
  let found = [
    ...(await childrenNamed(listing, 'R', 'resourceId=')),
    ...(await childrenNamed(listing, 'r', 'resourceId=')),
  ]
  for (const part of resourceId.split('/').filter((text) => text !== '')) {
    const deeper = []
    for (const folder of found) deeper.push(...(await childrenNamed(listing, folder, part)))
    if (deeper.length > maxSpellings) {
      throw new TailraceError(
        'SOURCE_UNSUPPORTED',
        `Found ${deeper.length} spellings of ${resourceId} in the container, expected at most ${maxSpellings}: keep one.`,
      )
    }
    found = deeper
  }
  return found
}

async function childrenNamed(listing: CountedListing, prefix: string, name: string): Promise<string[]> {
  const wanted = name.toLowerCase()
  const found = new Set<string>()
  for await (const folder of listing.folders(prefix)) {
    if (folder.split('/').at(-2)?.toLowerCase() === wanted) found.add(folder)
  }
  return [...found].sort()
}
