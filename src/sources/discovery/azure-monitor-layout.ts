import { TailraceError } from '../../errors.ts'
import type { CountedListing } from './counted-listing.ts'

/** In milliseconds. */
export const hourMs = 3_600_000
/** In milliseconds. All days are days of UTC, which are equally long. */
export const dayMs = 24 * hourMs

// Some services put levels of their own between the minute, which is always 00, and the file's name.
const hourPattern = /(?:^|\/)y=(\d{4})\/m=(\d{2})\/d=(\d{2})\/h=(\d{2})\/m=00\/(?:.+\/)?PT1H\.json$/

/**
 * Reads the hour from the name of a blob that Azure Monitor wrote.
 *
 * It is the hour in which the service received the records, in UTC, not the time of the events. Layout read 2026-11-24 at
 * https://learn.microsoft.com/azure/azure-monitor/essentials/resource-logs-blob-format
 *
 * @returns the start of the hour, in milliseconds since the epoch; undefined for a name of another layout
 */
export function hourOf(name: string): number | undefined {
  const [year, month, day, hour] = hourPattern.exec(name)?.slice(1).map(Number) ?? []
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

/** The folder of an hour below a resource's folder: `y=2026/m=11/d=24/h=03/m=00/`. */
export function hourPath(startMs: number): string {
  return `${dayPath(startMs)}h=${new Date(startMs).toISOString().slice(11, 13)}/m=00/`
}

/** The id of a subscription, of a resource group, or of a server: flexible, single, or Azure Cosmos DB, which was Citus. */
const idPattern =
  /^\/subscriptions\/[^/]+(?:\/resourcegroups\/[^/]+(\/providers\/microsoft\.dbforpostgresql\/(?:flexibleservers|servers|servergroupsv2)\/[^/]+)?)?\/?$/i

const serverName =
  /^resourceid=(\/subscriptions\/[^/]+\/resourcegroups\/[^/]+\/providers\/microsoft\.dbforpostgresql\/(?:flexibleservers|servers|servergroupsv2)\/[^/]+)\//i

/** @returns whether `text` is meant as an Azure resource id, not as a blob name */
export function looksLikeResourceId(text: string): boolean {
  return /^\/subscriptions\//i.test(text)
}

/**
 * @returns whether `text` is the id of a PostgreSQL server, of a resource group or of a subscription, in any case, with or
 *   without a slash at its end
 */
export function isResourceId(text: string): boolean {
  return idPattern.test(text)
}

/** @returns whether `text` is the id of a PostgreSQL server */
export function isServerResourceId(text: string): boolean {
  return idPattern.exec(text)?.[1] !== undefined
}

/** @returns the id, in lower case, of the server whose blob has this name; undefined for a name of another layout */
export function serverOf(blobName: string): string | undefined {
  return serverName.exec(blobName)?.[1]?.toLowerCase()
}

/** @returns whether a blob, by its name, belongs to a server of an id; `*` is every server */
export function isOfServers(blobName: string, id: string): boolean {
  const server = serverOf(blobName)
  return server !== undefined && (id === '*' || `${server}/`.startsWith(`${id.toLowerCase()}/`))
}

/** Servers in one container, and spellings of one resource id in it, at most; two spellings have been seen. */
const maxServers = 10_000
const maxSpellings = 16

/** The levels of folders of a server; undefined where any name may stand. */
const serverLevels: readonly (readonly string[] | undefined)[] = [
  ['subscriptions'],
  undefined,
  ['resourcegroups'],
  undefined,
  ['providers'],
  ['microsoft.dbforpostgresql'],
  ['flexibleservers', 'servers', 'servergroupsv2'],
  undefined,
]

/**
 * Finds the folders of servers, whatever their case: one listing for each folder above them, in one search.
 *
 * Azure Monitor writes the id in capitals, below `resourceId=` in most containers and `ResourceId=` in some;
 * both can occur in one container, and a listing's prefix is case-sensitive.
 */
export class ServerSearch {
  #listing: CountedListing
  #children = new Map<string, readonly string[]>()

  constructor(listing: CountedListing) {
    this.#listing = listing
  }

  /**
   * @param id of a server, or the beginning of one, such as a subscription's; `*` for every server
   * @returns such as `resourceId=/SUBSCRIPTIONS/…/FLEXIBLESERVERS/PG1/`, in name order; none while there is no folder
   * @throws SOURCE_UNSUPPORTED when there are too many
   */
  async foldersOf(id: string): Promise<string[]> {
    const root = ['resourceid=']
    let found = [...(await this.#among('R', root)), ...(await this.#among('r', root))]
    const given = id.split('/').filter((text) => text !== '' && text !== '*')
    for (const [depth, level] of serverLevels.entries()) {
      const part = given[depth]?.toLowerCase()
      const deeper = []
      for (const folder of found)
        deeper.push(...(await this.#among(folder, part === undefined ? level : [part])))
      found = deeper
    }
    const isOneServer = given.length === serverLevels.length
    const max = isOneServer ? maxSpellings : maxServers
    if (found.length > max) {
      throw new TailraceError(
        'SOURCE_UNSUPPORTED',
        `Found ${found.length} ${isOneServer ? 'spellings' : 'servers'} of ${id} in the container, expected at most ${max}: ${isOneServer ? 'keep one' : 'select fewer'}.`,
      )
    }
    return found.sort()
  }

  /** The folders below a prefix whose last part is one of `names` in any case; all of them without `names`. */
  async #among(prefix: string, names: readonly string[] | undefined): Promise<readonly string[]> {
    const children = this.#children.get(prefix) ?? (await this.#list(prefix))
    return children.filter((folder) => names?.includes(folder.split('/').at(-2)?.toLowerCase() ?? '') ?? true)
  }

  async #list(prefix: string): Promise<readonly string[]> {
    const found = new Set<string>()
    for await (const folder of this.#listing.folders(prefix)) found.add(folder)
    const children = [...found].sort()
    this.#children.set(prefix, children)
    return children
  }
}
