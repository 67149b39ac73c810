import {
  type AddAction,
  type DeletionVector,
  type PartitionValues,
  storagePath,
} from '../protocol/actions.ts'

/** One data file that is part of a table. */
export interface LiveFile {
  /** Relative to the table's root, not URI-encoded; an argument for `DeltaStorage.localFile`. */
  readonly path: string
  /** Take precedence over columns of the same name in the file. */
  readonly partitionValues: PartitionValues
  readonly bytes: number
  /** Delta's statistics as JSON text; undefined when the writer gave none. */
  readonly stats?: string | undefined
  /** The deleted rows of the file; undefined when there are none. */
  readonly deletionVector?: DeletionVector | undefined
}

/** One column of a table to query. */
export interface TableColumn {
  readonly name: string
  /** The Delta type; `struct`, `array` or `map` for a nested one. */
  readonly type: string
  /** The engine's type; undefined when it has none. */
  readonly sqlType: string | undefined
}

/** Columns and files of one version of a table, for a query. */
export interface TableContents {
  readonly tableVersion: number
  readonly partitionColumns: readonly string[]
  /** Every column in table order. */
  readonly columns: readonly TableColumn[]
  readonly files: readonly LiveFile[]
}

/** @throws TABLE_UNSUPPORTED when the file is outside of the table */
export function liveFile(add: AddAction): LiveFile {
  return {
    path: storagePath(add),
    partitionValues: add.partitionValues,
    bytes: add.size,
    stats: add.stats,
    // Some writers write null for "no vector".
    deletionVector: add.deletionVector ?? undefined,
  }
}
