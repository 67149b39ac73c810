import { isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts'
import {
  type AddAction,
  type DeletionVector,
  type DomainMetadataAction,
  emptySchema,
  type MetaDataAction,
  type PartitionValues,
  type ProtocolAction,
  type RemovedFile,
} from '../protocol/actions.ts'

export function protocolAction(protocol: JsonObject): ProtocolAction {
  const { readerFeatures, writerFeatures } = protocol
  return {
    minReaderVersion: Number(protocol.minReaderVersion),
    minWriterVersion: Number(protocol.minWriterVersion),
    readerFeatures: Array.isArray(readerFeatures) ? readerFeatures.map(String) : undefined,
    writerFeatures: Array.isArray(writerFeatures) ? writerFeatures.map(String) : undefined,
  }
}

export function metaDataAction(metaData: JsonObject): MetaDataAction {
  const { format, partitionColumns, configuration, name, description, createdTime } = metaData
  return {
    id: String(metaData.id),
    // When the table's metadata is written again, `options` must be present: delta-rs cannot read it otherwise.
    format: isJsonObject(format)
      ? { provider: String(format.provider), options: textEntries(format.options) }
      : { provider: 'parquet', options: {} },
    schemaString: typeof metaData.schemaString === 'string' ? metaData.schemaString : emptySchema,
    partitionColumns: Array.isArray(partitionColumns) ? partitionColumns.map(String) : [],
    configuration: textEntries(configuration),
    name: typeof name === 'string' ? name : undefined,
    description: typeof description === 'string' ? description : undefined,
    createdTime: createdTime == null ? undefined : Number(createdTime),
  }
}

export function domainAction({ domain, configuration, removed }: JsonObject): DomainMetadataAction {
  return {
    domain: String(domain),
    configuration: String(configuration ?? ''),
    removed: removed === true,
  }
}

export function addAction(add: JsonObject): AddAction {
  return {
    path: String(add.path),
    partitionValues: Object.fromEntries(mapEntries(add.partitionValues)) as PartitionValues,
    size: Number(add.size),
    modificationTime: Number(add.modificationTime),
    dataChange: false,
    stats: statistics(add),
    deletionVector: deletionVector(add.deletionVector),
  }
}

/** Other readers treat a removal without a time as expired. Here it never expires: vacuum must not delete on a guess. */
export function removedFile({ path, deletionTimestamp, ...remove }: JsonObject): RemovedFile {
  return {
    path: String(path),
    deletionTimestamp: deletionTimestamp == null ? Number.POSITIVE_INFINITY : Number(deletionTimestamp),
    deletionVector: deletionVector(remove.deletionVector),
  }
}

/** Takes only the row count from a checkpoint with typed statistics columns: bounds would need the columns' types. */
function statistics({ stats, numRecords }: JsonObject): string | undefined {
  if (typeof stats === 'string') return stats
  return numRecords == null ? undefined : `{"numRecords":${numRecords}}`
}

function deletionVector(vector: JsonValue | undefined): DeletionVector | undefined {
  // Some writers write an all-NULL struct for "no vector". A partly NULL one is a real vector with missing fields.
  if (!isJsonObject(vector) || Object.values(vector).every((value) => value == null)) return undefined
  return {
    storageType: String(vector.storageType),
    pathOrInlineDv: String(vector.pathOrInlineDv),
    offset: vector.offset == null ? undefined : Number(vector.offset),
    sizeInBytes: Number(vector.sizeInBytes),
    cardinality: Number(vector.cardinality),
  }
}

/** Reads a MAP value: a list of key-value pairs when it comes from Parquet, an object when it comes from JSON. */
function mapEntries(map: JsonValue | undefined): [string, string | null][] {
  const pairs = Array.isArray(map)
    ? map.filter(isJsonObject).map(({ key, value }) => [String(key), value] as const)
    : Object.entries(map ?? {})
  return pairs.map(([key, value]) => [key, value == null ? null : String(value)])
}

function textEntries(map: JsonValue | undefined): Record<string, string> {
  return Object.fromEntries(mapEntries(map).map(([key, value]) => [key, String(value)]))
}

/** @returns an integer without rounding; the engine returns 64-bit integers of Parquet as text. */
export function exact(value: JsonValue | undefined): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(String(value))
}
