import type { LandedOffsets } from '../landed-offsets.ts'
import { generationKey } from '../records.ts'
import type { OffsetFile } from './file-offset-store.ts'

/** How an offset file compares with the table, which is the truth. */
export type OffsetFinding =
  | { readonly kind: 'equal' }
  /** There is no file, though the table has offsets. */
  | { readonly kind: 'missing' }
  /** The file says less than the table: the process ended between the commit and the mirror. */
  | { readonly kind: 'behind'; readonly blobs: readonly string[] }
  /** The file claims bytes that the table does not have: one of them was restored, replaced or edited. */
  | { readonly kind: 'ahead'; readonly blobs: readonly string[] }

/** Compares an offset file with the table's own offsets. */
export function compareOffsets(file: OffsetFile | undefined, table: LandedOffsets): OffsetFinding {
  if (file === undefined) return table.blobCount === 0 ? { kind: 'equal' } : { kind: 'missing' }
  const ahead = [...file.offsets].filter((claimed) => claimed.offset > (table.get(claimed) ?? 0))
  if (ahead.length > 0) return { kind: 'ahead', blobs: ahead.map(generationKey) }
  const behind = [...table].filter((landed) => landed.offset > (file.offsets.get(landed) ?? -1))
  return behind.length > 0 ? { kind: 'behind', blobs: behind.map(generationKey) } : { kind: 'equal' }
}
