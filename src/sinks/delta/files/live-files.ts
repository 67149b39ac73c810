import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { loadState } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import { loadVersion } from '../log/time-travel.ts'
import {
  type AddAction,
  type DeletionVector,
  type PartitionValues,
  storagePath,
} from '../protocol/actions.ts'
import { schemaFields, sqlType } from '../protocol/schema.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'

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

/**
 * Reads the columns and live files of a version of a table.
 *
 * @param version default the newest
 * @returns undefined when there is no table
 * @throws TABLE_VERSION_UNAVAILABLE, TABLE_CORRUPT, and TABLE_UNSUPPORTED when a file is outside of the table
 */
export async function readTable(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  version?: number,
): Promise<TableContents | undefined> {
  const state = await stateOf(storage, engine, version)
  if (state?.files === undefined) return undefined
  return {
    tableVersion: state.version,
    partitionColumns: state.metaData.partitionColumns,
    columns: schemaFields(state.metaData).map(({ name, type }) => ({
      name,
      type: typeof type === 'string' ? type : String((type as { type?: unknown } | null)?.type),
      sqlType: sqlType(type),
    })),
    files: Array.from(state.files.values(), liveFile),
  }
}

function stateOf(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  version: number | undefined,
): Promise<TableState | undefined> {
  const kept = { keepFiles: true }
  return version === undefined
    ? loadState(storage, engine, kept)
    : loadVersion(storage, engine, version, kept)
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
