import { TailraceError } from '../../errors.ts'
import type { CountedListing } from './counted-listing.ts'

/** Spellings of one resource in one container, at most; two are known to occur. */
const mostSpellings = 16

/**
 * Finds the folders of a resource, whatever their case: one listing for each level of the resource id.
 *
 * Azure Monitor writes the id in capitals, below `resourceId=` in most containers and `ResourceId=` in some;
 * both can stand side by side, and listing by prefix heeds case.
 *
 * @returns such as `resourceId=/SUBSCRIPTIONS/…/FLEXIBLESERVERS/PG1/`, in name order; none while nothing is there
 */
export async function resourceFolders(listing: CountedListing, resourceId: string): Promise<string[]> {
  let found = [
    ...(await childrenNamed(listing, 'R', 'resourceId=')),
    ...(await childrenNamed(listing, 'r', 'resourceId=')),
  ]
  for (const part of resourceId.split('/').filter((text) => text !== '')) {
    const deeper = []
    for (const folder of found) deeper.push(...(await childrenNamed(listing, folder, part)))
    if (deeper.length > mostSpellings) {
      throw new TailraceError('SOURCE_UNSUPPORTED', `More than ${mostSpellings} spellings of ${resourceId}.`)
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
