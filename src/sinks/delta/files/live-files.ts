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
  /** Relative to the table's root, not URI-encoded; `DeltaStorage.localFile` makes it readable. */
  readonly path: string
  /** What counts, whether or not the file has such columns too. */
  readonly partitionValues: PartitionValues
  readonly bytes: number
  /** Delta's statistics as JSON text, where the writer made some. */
  readonly stats?: string
  /** Says which of the file's rows are not part of the table, where some are not. */
  readonly deletionVector?: DeletionVector
}

/** One column of a table that is read. */
export interface TableColumn {
  readonly name: string
  /** Its Delta type; a nested type is `struct`, `array` or `map`. */
  readonly type: string
  /** The engine's type; undefined where it has none. */
  readonly sqlType: string | undefined
}

/** A table as a query needs it. */
export interface TableContents {
  readonly tableVersion: number
  readonly partitionColumns: readonly string[]
  /** Every column in table order. */
  readonly columns: readonly TableColumn[]
  readonly files: readonly LiveFile[]
}

/**
 * Reads which files make up a version of a table.
 *
 * @param version default the newest
 * @returns undefined when there is no table
 * @throws TABLE_VERSION_UNAVAILABLE, TABLE_CORRUPT, and TABLE_UNSUPPORTED when a file lies outside of the table
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

/** @throws TABLE_UNSUPPORTED when the file lies outside of the table */
export function liveFile(add: AddAction): LiveFile {
  return {
    path: storagePath(add),
    partitionValues: add.partitionValues,
    bytes: add.size,
    ...(add.stats === undefined ? {} : { stats: add.stats }),
    // Some writers state null where there is none.
    ...(add.deletionVector ? { deletionVector: add.deletionVector } : {}),
  }
}
