/** The result for one blob generation. */
export interface Verdict {
  readonly pipeline: string
  readonly blob: string
  readonly generation: string
  readonly offset: number
  readonly rows: number
  /** Bytes covered by rows. */
  readonly rowBytes: number
  /** Bytes between rows with blank lines only. */
  readonly blankBytes: number
  /** Bytes between rows that a custom transform may have dropped. */
  readonly droppedBytes: number
  /** Bytes between rows of a generation whose blob no longer exists, so that their content is unknown. */
  readonly goneBytes: number
  /** Bytes between rows with lines that have no rows, and no transform to drop them. */
  readonly unexplainedBytes: number
  /** Rows whose range of bytes overlaps that of another row. */
  readonly overlappingRows: number
  readonly complete: boolean
}

export interface VerifyReport {
  /** Whether every blob is complete. */
  readonly complete: boolean
  /** The generations, without those in `archived`. */
  readonly blobs: readonly Verdict[]
  /** Complete generations whose offsets are in a table's archive: they have not changed for long, and there may be millions. */
  readonly archived: { readonly generations: number; readonly rows: number }
}
