import { isTailraceError } from '../../errors.ts'
import type { BlobReader, ListedPage } from '../blob-reader.ts'

/** Similar names in one sentence, at most. */
const maxNames = 3

/**
 * Explains in a sentence why a blob, or a prefix ending in `/`, may be missing, with similar names that exist.
 *
 * Lists at most two pages, so in a large container only names near the missing one are compared.
 *
 * @param what the reader's finding; it may report a missing blob although its container is missing
 * @throws only errors of the reader that are no TailraceError, such as an abort
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
    // The read was granted before, so the refusal of a listing may be translated as one that a retry may pass.
    if (isTailraceError(error) && (error.code === 'SOURCE_DENIED' || error.context.status === 403))
      return `There is no ${reader.container}/${blobName}; similar names are unknown, because the credential may not list.`
    if (isTailraceError(error))
      return `There is no ${reader.container}/${blobName}; similar names are unknown, because listing failed (${error.code}).`
    throw error
  }
}

function noContainer({ container }: BlobReader): string {
  return `The container ${container} does not exist. Azure Monitor creates it with the first record, up to 90 minutes after a diagnostic setting is created; otherwise check its name and the account.`
}

async function nearest(reader: BlobReader, blobName: string, signal?: AbortSignal): Promise<string> {
  const { container } = reader
  const folder = blobName.slice(0, blobName.replace(/\/$/, '').lastIndexOf('/') + 1)
  const beside = await reader.listPage({ prefix: folder, folders: true, signal })
  const anywhere = near(beside, blobName).length > 0 ? beside : await reader.listPage({ prefix: '', signal })
  const names = near(anywhere, blobName)
  if (names.includes(`${blobName}/`)) {
    return `There is no blob ${container}/${blobName}, but there are blobs under ${blobName}/: end a prefix with a slash.`
  }
  if (names.length > 0) return `There is no ${container}/${blobName}; similar names: ${listed(names)}.`
  const first = anywhere.blobs.map(({ name }) => name)
  if (first.length === 0) return `There is no ${container}/${blobName}: the container is empty.`
  return `There is no ${container}/${blobName}; the container begins with ${listed(first)}.`
}

/** Names that differ in case, have the same last part, or lack the slash of a prefix; the nearest first. */
function near({ blobs, folders }: ListedPage, blobName: string): string[] {
  const bare = blobName.replace(/\/$/, '').toLowerCase()
  const last = lastPart(bare)
  const names = new Set([...folders, ...blobs.map(({ name }) => name)])
  // A flat page shows no folders, so they are taken from the beginnings of its names.
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
  const shown = names.slice(0, maxNames).join(', ')
  return names.length > maxNames ? `${shown} and others` : shown
}
