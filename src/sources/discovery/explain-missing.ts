import { isTailraceError } from '../../errors.ts'
import type { BlobReader, ListedPage } from '../blob-reader.ts'

/** Near names in one sentence, at most. */
const mostNames = 3

/**
 * Says in a sentence why a blob, or what a prefix ending in `/` stands for, may not be there.
 *
 * At most two listing pages are looked at, so of a large container only the nearest part is.
 *
 * @param what what the reader missed; a blob whose container is gone may be told as a blob
 * @throws only what the reader throws that is no TailraceError, such as an abort
 */
export async function explainMissing(
  reader: BlobReader,
  blobName: string,
  what: 'blob' | 'container',
  signal?: AbortSignal,
): Promise<string> {
  if (what === 'container') return noContainer(reader)
  try {
    return await nearest(reader, blobName, signal)
  } catch (error) {
    if (isTailraceError(error, 'SOURCE_MISSING')) return noContainer(reader)
    // The read was granted, so that a refusal of the listing may count as one that passes.
    if (isTailraceError(error) && (error.code === 'SOURCE_DENIED' || error.context.status === 403))
      return `There is no ${reader.container}/${blobName}; without the right to list, near names can't be told.`
    if (isTailraceError(error))
      return `There is no ${reader.container}/${blobName}; near names can't be told, as listing failed (${error.code}).`
    throw error
  }
}

function noContainer({ container }: BlobReader): string {
  return `The container ${container} does not exist. Azure Monitor creates it with the first record, up to 90 minutes after a diagnostic setting is made; else check its name and the account.`
}

async function nearest(reader: BlobReader, blobName: string, signal?: AbortSignal): Promise<string> {
  const { container } = reader
  const aborting = signal === undefined ? {} : { signal }
  const folder = blobName.slice(0, blobName.replace(/\/$/, '').lastIndexOf('/') + 1)
  const beside = await reader.listPage({ prefix: folder, folders: true, ...aborting })
  const anywhere =
    near(beside, blobName).length > 0 ? beside : await reader.listPage({ prefix: '', ...aborting })
  const names = near(anywhere, blobName)
  if (names.includes(`${blobName}/`)) {
    return `There is no blob ${container}/${blobName}, but there are blobs under ${blobName}/: a prefix ends in a slash.`
  }
  if (names.length > 0) return `There is no ${container}/${blobName}; what comes near is ${listed(names)}.`
  const first = anywhere.blobs.map(({ name }) => name)
  if (first.length === 0) return `There is no ${container}/${blobName}: the container is empty.`
  return `There is no ${container}/${blobName}; the container begins with ${listed(first)}.`
}

/** Another case, the same last part, or the slash of a prefix too few. */
function near({ blobs, folders }: ListedPage, blobName: string): string[] {
  const bare = blobName.replace(/\/$/, '').toLowerCase()
  const last = lastPart(bare)
  const names = new Set([...folders, ...blobs.map(({ name }) => name)])
  // A flat page shows no folders: what its names begin with are those that matter.
  for (const { name } of blobs) {
    if (name.toLowerCase().startsWith(`${bare}/`)) names.add(name.slice(0, bare.length + 1))
  }
  const distance = (name: string): number | undefined => {
    const other = name.replace(/\/$/, '').toLowerCase()
    if (name === `${blobName}/`) return 0
    if (other === bare) return 1
    return lastPart(other) === last ? 2 : undefined
  }
  return [...names]
    .flatMap((name) => {
      const rank = distance(name)
      return rank === undefined ? [] : [{ name, rank }]
    })
    .sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name)
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, mostNames).join(', ')
  return names.length > mostNames ? `${shown} and others` : shown
}
