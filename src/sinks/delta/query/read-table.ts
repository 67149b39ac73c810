import type { EmbeddedEngine } from '../../encoding/engine.ts'
import { liveFile, type TableContents } from '../files/live-files.ts'
import { loadState } from '../log/load.ts'
import type { TableState } from '../log/state.ts'
import { loadVersion } from '../log/time-travel.ts'
import { schemaFields, sqlType } from '../protocol/schema.ts'
import type { DeltaStorage } from '../storage/delta-storage.ts'

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
  return state && contentsOf(state)
}

/** @returns the columns and live files of a state; undefined when it does not keep its files */
export function contentsOf(state: TableState): TableContents | undefined {
  if (state.files === undefined) return undefined
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
