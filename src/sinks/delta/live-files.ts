import { TailraceError } from '../../errors.ts'
import type { EmbeddedEngine } from '../duckdb.ts'
import { type AddAction, type PartitionValues, storagePath } from './delta-action.ts'
import type { DeltaStorage } from './delta-storage.ts'
import { loadState } from './table-log.ts'
import { schemaFields } from './table-schema.ts'

/** One data file that is part of a table. */
export interface LiveFile {
  /** Relative to the table's root, not URI-encoded; `DeltaStorage.localFile` makes it readable. */
  readonly path: string
  /** The partition columns are in no data file: their values are only here. */
  readonly partitionValues: PartitionValues
  readonly bytes: number
  /** Delta's statistics as JSON text, where the writer made some. */
  readonly stats?: string
}

/** A table as a query needs it. */
export interface TableContents {
  readonly tableVersion: number
  readonly partitionColumns: readonly string[]
  /** Every column in table order, with its Delta type; a nested type is `struct`, `array` or `map`. */
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly files: readonly LiveFile[]
}

/**
 * Reads which files make up a table's newest version.
 *
 * @returns undefined when there is no table
 * @throws TABLE_CORRUPT, and TABLE_UNSUPPORTED when a file has deleted rows that only its deletion vector names
 */
export async function readTable(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
): Promise<TableContents | undefined> {
  const state = await loadState(storage, engine, { keepFiles: true })
  if (state?.files === undefined) return undefined
  return {
    tableVersion: state.version,
    partitionColumns: state.metaData.partitionColumns,
    columns: schemaFields(state.metaData).map(({ name, type }) => ({
      name,
      type: typeof type === 'string' ? type : String((type as { type?: unknown } | null)?.type),
    })),
    files: Array.from(state.files.values(), liveFile),
  }
}

/** @throws TABLE_UNSUPPORTED when some of the file's rows are deleted, or when it lies outside of the table */
export function liveFile(add: AddAction): LiveFile {
  if (add.deletionVector) {
    throw new TailraceError('TABLE_UNSUPPORTED', `The file ${add.path} has a deletion vector.`)
  }
  return {
    path: storagePath(add),
    partitionValues: add.partitionValues,
    bytes: add.size,
    ...(add.stats === undefined ? {} : { stats: add.stats }),
  }
}
