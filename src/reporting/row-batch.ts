/** Some rows of a result; each row has its values in the order of the columns. */
export interface RowBatch {
  readonly columns: readonly string[]
  /** Empty only in the first batch of each result, which announces its columns. */
  readonly rows: readonly (readonly unknown[])[]
}

/** Receives the batches of a result. @returns false to receive no more */
export type TakeRows = (batch: RowBatch) => Promise<boolean>
