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

/** Compares an offset file with the table's own offsets, both by generation key. */
export function compareOffsets(
  file: OffsetFile | undefined,
  table: ReadonlyMap<string, { readonly offset: number }>,
): OffsetFinding {
  if (file === undefined) return table.size === 0 ? { kind: 'equal' } : { kind: 'missing' }
  const ahead = [...file.offsets].filter(([key, { offset }]) => offset > (table.get(key)?.offset ?? 0))
  if (ahead.length > 0) return { kind: 'ahead', blobs: ahead.map(([key]) => key) }
  const behind = [...table].filter(([key, { offset }]) => offset > (file.offsets.get(key)?.offset ?? -1))
  return behind.length > 0 ? { kind: 'behind', blobs: behind.map(([key]) => key) } : { kind: 'equal' }
}
