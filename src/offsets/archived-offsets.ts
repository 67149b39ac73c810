import type { GenerationMark } from '../records.ts'
import type { LandedOffset } from './landed-offsets.ts'

/** An offset in a table's archive, and the facts by which its generation is recognized, if the archiving process knew them. */
export interface ArchivedOffset extends LandedOffset {
  readonly mark: GenerationMark | undefined
}

/**
 * Maximum number of blobs that one look-up in an archive asks for: as many as a page of a listing has. A look-up opens every
 * file of the archive, so many small ones cost more than a few large ones. Larger ones take more memory.
 */
export const maxSoughtBlobs = 5_000

/** Whether a generation is recognized by as many facts with one mark as with another. */
export function hasFactsOf(mark: GenerationMark | undefined, other: GenerationMark | undefined): boolean {
  return (
    (mark?.head !== undefined || other?.head === undefined) &&
    (mark?.tail !== undefined || other?.tail === undefined)
  )
}

/** @returns the one of two rows of a generation that counts: the larger offset, of equal ones that with more facts */
export function newerOf(earlier: ArchivedOffset, later: ArchivedOffset): ArchivedOffset {
  if (earlier.offset !== later.offset) return earlier.offset > later.offset ? earlier : later
  return hasFactsOf(later.mark, earlier.mark) ? later : earlier
}

/**
 * Offsets that a table keeps apart from those that every process has in memory: they have not changed for long.
 *
 * A generation may be in both; the offset in memory then counts.
 */
export interface ArchivedOffsets {
  /** Rows of all pipelines of the table: a generation has one for each time that it was archived. */
  readonly count: number

  /** @returns every archived generation of the given blobs */
  find(blobs: readonly string[]): Promise<readonly ArchivedOffset[]>

  /** @returns the blobs that have several archived generations */
  replaced(): Promise<readonly string[]>

  /**
   * Passes all offsets to `take`, some thousand at a time, in the order of the blobs and of the generations' names.
   *
   * @param take returns false to receive no more
   */
  each(take: (offsets: readonly ArchivedOffset[]) => Promise<boolean>): Promise<void>
}
