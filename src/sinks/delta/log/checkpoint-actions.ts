import { isJsonObject, type JsonObject, type JsonValue } from '../../../json.ts'
import {
  type AddAction,
  type DeletionVector,
  type DomainMetadataAction,
  emptySchema,
  type MetaDataAction,
  type PartitionValues,
  type ProtocolAction,
} from '../protocol/actions.ts'
import type { RemovedFile } from './state.ts'

export function protocolAction(protocol: JsonObject): ProtocolAction {
  const { readerFeatures, writerFeatures } = protocol
  return {
    minReaderVersion: Number(protocol.minReaderVersion),
    minWriterVersion: Number(protocol.minWriterVersion),
    ...(Array.isArray(readerFeatures) ? { readerFeatures: readerFeatures.map(String) } : {}),
    ...(Array.isArray(writerFeatures) ? { writerFeatures: writerFeatures.map(String) } : {}),
  }
}

export function metaDataAction(metaData: JsonObject): MetaDataAction {
  const { format, partitionColumns, configuration, name, description, createdTime } = metaData
  return {
    id: String(metaData.id),
    // Written again with a change of the table, it must have its options: delta-rs cannot do without.
    format: isJsonObject(format)
      ? { provider: String(format.provider), options: textEntries(format.options) }
      : { provider: 'parquet', options: {} },
    schemaString: typeof metaData.schemaString === 'string' ? metaData.schemaString : emptySchema,
    partitionColumns: Array.isArray(partitionColumns) ? partitionColumns.map(String) : [],
    configuration: textEntries(configuration),
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof description === 'string' ? { description } : {}),
    ...(createdTime == null ? {} : { createdTime: Number(createdTime) }),
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
  const vector = deletionVector(add.deletionVector)
  const stats = statistics(add)
  return {
    path: String(add.path),
    partitionValues: Object.fromEntries(mapEntries(add.partitionValues)) as PartitionValues,
    size: Number(add.size),
    modificationTime: Number(add.modificationTime),
    dataChange: false,
    ...(stats === undefined ? {} : { stats }),
    ...(vector ? { deletionVector: vector } : {}),
  }
}

/** A removal without a time is as old as can be to other readers; here it is none that has expired. */
export function removedFile({ path, deletionTimestamp, ...remove }: JsonObject): RemovedFile {
  const vector = deletionVector(remove.deletionVector)
  return {
    path: String(path),
    deletionTimestamp: deletionTimestamp == null ? Number.POSITIVE_INFINITY : Number(deletionTimestamp),
    ...(vector ? { deletionVector: vector } : {}),
  }
}

/** Where a table keeps its statistics in columns only, no more than the count is taken: bounds would need the types. */
function statistics({ stats, numRecords }: JsonObject): string | undefined {
  if (typeof stats === 'string') return stats
  return numRecords == null ? undefined : `{"numRecords":${numRecords}}`
}

function deletionVector(vector: JsonValue | undefined): DeletionVector | undefined {
  // Some writers state a struct of nothing but NULL where there is none; one that is in part NULL is none of these.
  if (!isJsonObject(vector) || Object.values(vector).every((value) => value == null)) return undefined
  return {
    storageType: String(vector.storageType),
    pathOrInlineDv: String(vector.pathOrInlineDv),
    ...(vector.offset == null ? {} : { offset: Number(vector.offset) }),
    sizeInBytes: Number(vector.sizeInBytes),
    cardinality: Number(vector.cardinality),
  }
}

/** A MAP arrives as a list of keys and values from Parquet, and as an object from JSON. */
function mapEntries(map: JsonValue | undefined): [string, string | null][] {
  const pairs = Array.isArray(map)
    ? map.filter(isJsonObject).map(({ key, value }) => [String(key), value] as const)
    : Object.entries(map ?? {})
  return pairs.map(([key, value]) => [key, value == null ? null : String(value)])
}

function textEntries(map: JsonValue | undefined): Record<string, string> {
  return Object.fromEntries(mapEntries(map).map(([key, value]) => [key, String(value)]))
}

/** A 64-bit integer arrives as text from Parquet. */
export function exact(value: JsonValue | undefined): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(String(value))
}
