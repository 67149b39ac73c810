import { TailraceError } from '../../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts'
import { type EmbeddedEngine, sqlString } from '../duckdb.ts'
import type { AddAction, DeletionVector, PartitionValues } from './delta-action.ts'
import type { DeltaStorage } from './delta-storage.ts'
import type { CheckpointContent } from './table-state.ts'

/** @returns the path of a version's classic checkpoint, relative to the table's root. */
export function checkpointPath(version: number): string {
  return `_delta_log/${String(version).padStart(20, '0')}.checkpoint.parquet`
}

/**
 * Reads a classic single-file checkpoint.
 *
 * @param options whether the live files are wanted; leaving them out saves reading most of it
 * @throws TABLE_CORRUPT when it cannot be read, TABLE_UNSUPPORTED when it has the layout of version 2
 */
export async function readCheckpoint(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  version: number,
  options: { readonly keepFiles: boolean },
): Promise<CheckpointContent> {
  const file = await storage.localFile(checkpointPath(version))
  try {
    const source = `read_parquet(${sqlString(file.path)}, hive_partitioning = false)`
    const columns = new Set(
      (await rows(engine, version, `DESCRIBE SELECT * FROM ${source}`)).map((row) => row.column_name),
    )
    const actions = async (name: string, key: string): Promise<JsonObject[]> => {
      if (!columns.has(name)) return []
      const found = await rows(
        engine,
        version,
        `SELECT ${name} FROM ${source} WHERE ${name}.${key} IS NOT NULL`,
      )
      return found.map((row) => row[name]).filter(isJsonObject)
    }
    // Some writers give a classic checkpoint the columns of version 2 and leave them empty.
    if ((await actions('checkpointMetadata', 'version')).length > 0) {
      throw new TailraceError(
        'TABLE_UNSUPPORTED',
        `${checkpointPath(version)} has the layout of feature v2Checkpoint.`,
      )
    }
    const [protocol] = await actions('protocol', 'minReaderVersion')
    const [metaData] = await actions('metaData', 'schemaString')
    if (protocol === undefined || metaData === undefined) throw corrupt(version, undefined)
    return {
      version,
      protocol: {
        minReaderVersion: Number(protocol.minReaderVersion),
        minWriterVersion: Number(protocol.minWriterVersion),
        ...(Array.isArray(protocol.readerFeatures)
          ? { readerFeatures: protocol.readerFeatures.map(String) }
          : {}),
        ...(Array.isArray(protocol.writerFeatures)
          ? { writerFeatures: protocol.writerFeatures.map(String) }
          : {}),
      },
      metaData: {
        id: String(metaData.id),
        format: { provider: isJsonObject(metaData.format) ? String(metaData.format.provider) : 'parquet' },
        schemaString: String(metaData.schemaString),
        partitionColumns: Array.isArray(metaData.partitionColumns)
          ? metaData.partitionColumns.map(String)
          : [],
        configuration: Object.fromEntries(
          mapEntries(metaData.configuration).map(([key, value]) => [key, String(value)]),
        ),
        ...(typeof metaData.name === 'string' ? { name: metaData.name } : {}),
        ...(typeof metaData.description === 'string' ? { description: metaData.description } : {}),
        ...(metaData.createdTime == null ? {} : { createdTime: Number(metaData.createdTime) }),
      },
      transactions: (await actions('txn', 'appId')).map((txn) => ({
        appId: String(txn.appId),
        version: exact(txn.version),
        ...(txn.lastUpdated == null ? {} : { lastUpdated: Number(txn.lastUpdated) }),
      })),
      files: options.keepFiles ? (await actions('add', 'path')).map(addAction) : [],
    }
  } finally {
    await file.release()
  }
}

function addAction(add: JsonObject): AddAction {
  const vector = deletionVector(add.deletionVector)
  return {
    path: String(add.path),
    partitionValues: Object.fromEntries(mapEntries(add.partitionValues)) as PartitionValues,
    size: Number(add.size),
    modificationTime: Number(add.modificationTime),
    dataChange: false,
    ...(typeof add.stats === 'string' ? { stats: add.stats } : {}),
    ...(vector ? { deletionVector: vector } : {}),
  }
}

function deletionVector(vector: JsonValue | undefined): DeletionVector | undefined {
  if (!isJsonObject(vector) || typeof vector.storageType !== 'string') return undefined
  return {
    storageType: vector.storageType,
    pathOrInlineDv: String(vector.pathOrInlineDv),
    ...(vector.offset == null ? {} : { offset: Number(vector.offset) }),
  }
}

/** A MAP arrives as a list of keys and values. */
function mapEntries(map: JsonValue | undefined): [string, string | null][] {
  if (!Array.isArray(map)) return []
  return map.filter(isJsonObject).map(({ key, value }) => [String(key), value == null ? null : String(value)])
}

/** A 64-bit integer arrives as text. */
function exact(value: JsonValue | undefined): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(String(value))
}

async function rows(engine: EmbeddedEngine, version: number, sql: string): Promise<JsonObject[]> {
  try {
    return (await engine.rows(sql)) as JsonObject[]
  } catch (error) {
    throw corrupt(version, error)
  }
}

function corrupt(version: number, cause: unknown): TailraceError {
  return new TailraceError('TABLE_CORRUPT', `The checkpoint ${checkpointPath(version)} cannot be read.`, {
    context: { version },
    cause,
  })
}
