import type { ArchivedOffset } from '../../../offsets/archived-offsets.ts'
import type { ArchiveFile } from './archive-manifest.ts'

/** The files of a table's offset archives. A file never changes. */
export interface ArchiveFiles {
  /**
   * Stores offsets as new files of the table, durably.
   *
   * @param offsets in any order; no generation twice
   */
  write(offsets: Iterable<ArchivedOffset>): Promise<readonly ArchiveFile[]>

  /** Stores the offsets of several files as a new one. */
  merge(files: readonly ArchiveFile[]): Promise<ArchiveFile>

  /**
   * @param blobs in the order of their UTF-8 bytes
   * @returns every generation of the blobs that the files have, several times if it was archived several times
   */
  find(files: readonly ArchiveFile[], blobs: readonly string[]): Promise<readonly ArchivedOffset[]>

  /** @returns the blobs of which the files have several generations */
  replaced(files: readonly ArchiveFile[]): Promise<readonly string[]>

  /** Passes the offsets of several files to `take`, as `ArchivedOffsets.each` does. */
  each(
    files: readonly ArchiveFile[],
    take: (offsets: readonly ArchivedOffset[]) => Promise<boolean>,
  ): Promise<void>

  /** Passes the blobs of a file to `take`, in no order. @param take returns false to receive no more */
  eachBlob(file: ArchiveFile, take: (blobs: readonly string[]) => Promise<boolean>): Promise<void>

  /** Releases local copies of all files but these. */
  keepOnly(files: readonly ArchiveFile[]): Promise<void>
}
