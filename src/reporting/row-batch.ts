/** Some rows of a result, their values by the place of their columns. */
export interface RowBatch {
  readonly columns: readonly string[]
  /** Empty in the first part of each result, and in no other. */
  readonly rows: readonly (readonly unknown[])[]
}

/** Takes a result in parts. @returns whether more of it is wanted */
export type TakeRows = (batch: RowBatch) => Promise<boolean>
