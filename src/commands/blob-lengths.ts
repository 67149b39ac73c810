import { isTailraceError } from '../errors.ts'
import type { LandedOffset } from '../landed-offsets.ts'
import type { ListedBlob } from '../sources/blob-reader.ts'
import { selectionOf } from '../sources/discovery/blob-selection.ts'
import { createDiscovery } from '../sources/discovery/create-discovery.ts'
import type { LandedPipeline } from './landed-generations.ts'

/** A blob as it is now. */
export type BlobLength = Pick<ListedBlob, 'bytes' | 'createdAt'>

/** What a source holds now, as far as a table knows of it, and how much else there is. */
export interface SourceLengths {
  /** By `<container>/<name>`: of the blobs that have landed, at least in part. */
  readonly landed: ReadonlyMap<string, BlobLength>
  /** Blobs of which nothing has landed. */
  readonly notBegun: { readonly blobs: number; readonly bytes: number }
}

/**
 * Asks a source for the length of its blobs: one request for a fixed blob, a listing for all others.
 *
 * @param generations what has landed
 * @throws SOURCE_DENIED, SOURCE_UNAVAILABLE
 */
export async function sourceLengths(
  { pipeline, reader }: Pick<LandedPipeline, 'pipeline' | 'reader'>,
  generations: readonly LandedOffset[],
  nowMs: number,
): Promise<SourceLengths> {
  const { source } = pipeline
  const known = new Set(generations.map(({ blob }) => blob))
  const landed = new Map<string, BlobLength>()
  const notBegun = { blobs: 0, bytes: 0 }
  const note = (name: string, { bytes, createdAt }: BlobLength): void => {
    const blob = `${reader.container}/${name}`
    if (known.has(blob)) landed.set(blob, { bytes, createdAt })
    else if (bytes > 0) {
      notBegun.blobs += 1
      notBegun.bytes += bytes
    }
  }
  const selection = selectionOf(source.blobs)
  if (selection.kind === 'one') {
    const head = await reader.read(selection.name, { offset: 0, maxBytes: 1 })
    if (head.kind === 'bytes') note(selection.name, { bytes: head.totalBytes, createdAt: head.createdAt })
    return { landed, notBegun }
  }
  const discovery = createDiscovery(selection, {
    reader,
    startTimeMs: source.startTimeMs,
    watchMs: source.watchMs,
  })
  try {
    for await (const listed of discovery.look(nowMs, {})) note(listed.name, listed)
  } catch (error) {
    // A container that is gone, or not there yet, holds nothing.
    if (!isTailraceError(error, 'SOURCE_MISSING')) throw error
  }
  return { landed, notBegun }
}
