import { generationKey } from '../records.ts'
import type { LandedOffsets } from './landed-offsets.ts'
import type { OffsetFileContent } from './offset-file.ts'

/** How an offset file differs from the offsets in the table. The table is the authority. */
export type OffsetComparison =
  | { readonly kind: 'equal' }
  /** The table has offsets, but the file does not exist. */
  | { readonly kind: 'missing' }
  /** The table has later offsets: the process ended after a commit and before it wrote the file. */
  | { readonly kind: 'behind'; readonly blobs: readonly string[] }
  /** The file has later offsets: the table was restored or replaced, or the file was edited. */
  | { readonly kind: 'ahead'; readonly blobs: readonly string[] }

/**
 * Compares an offset file with the offsets in the table. A file that is ahead for one blob counts as ahead.
 *
 * @param table of the blobs that the pipeline lands
 * @param landsBlob whether the pipeline lands a blob: after a change of `source.blobs` the file still has the former
 *   ones, whose offsets in the table are no concern of the pipeline
 */
export function compareOffsets(
  file: OffsetFileContent | undefined,
  table: LandedOffsets,
  landsBlob: (blob: string) => boolean = () => true,
): OffsetComparison {
  if (file === undefined) return table.blobCount === 0 ? { kind: 'equal' } : { kind: 'missing' }
  const ahead = [...file.offsets].filter(
    (stored) => landsBlob(stored.blob) && stored.offset > (table.get(stored) ?? 0),
  )
  if (ahead.length > 0) return { kind: 'ahead', blobs: ahead.map(generationKey) }
  const behind = [...table].filter((landed) => landed.offset > (file.offsets.get(landed) ?? -1))
  return behind.length > 0 ? { kind: 'behind', blobs: behind.map(generationKey) } : { kind: 'equal' }
}
