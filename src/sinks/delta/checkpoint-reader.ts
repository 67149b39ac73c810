import { TailraceError } from '../../errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts'
import type { EmbeddedEngine } from '../duckdb.ts'
import { parquetSql } from '../parquet-files.ts'
import {
  type AddAction,
  type DeletionVector,
  decodeLines,
  emptySchema,
  type MetaDataAction,
  type PartitionValues,
  type ProtocolAction,
} from './delta-action.ts'
import type { DeltaStorage, LocalFile } from './delta-storage.ts'
import type { CheckpointFiles } from './log-listing.ts'
import type { CheckpointContent, KeptOptions, RemovedFile } from './table-state.ts'

/** The fields that are read of each kind of action; the first one is there in every action of its kind. */
const wantedFields = {
  protocol: ['minReaderVersion', 'minWriterVersion', 'readerFeatures', 'writerFeatures'],
  metaData: [
    'id',
    'schemaString',
    'name',
    'description',
    'format',
    'partitionColumns',
    'createdTime',
    'configuration',
  ],
  txn: ['appId', 'version', 'lastUpdated'],
  domainMetadata: ['domain', 'configuration', 'removed'],
  sidecar: ['path'],
  add: ['path', 'partitionValues', 'size', 'modificationTime', 'stats', 'deletionVector'],
  remove: ['path', 'deletionTimestamp', 'deletionVector'],
} as const

type ActionName = keyof typeof wantedFields

/** One kind of action at a time, from a file in either format. */
type ActionSource = (name: ActionName, without?: readonly string[]) => Promise<JsonObject[]>

/** @returns the path of a version's classic checkpoint, relative to the table's root. */
export function checkpointPath(version: number): string {
  return `_delta_log/${String(version).padStart(20, '0')}.checkpoint.parquet`
}

/**
 * Reads a checkpoint of any kind: in one file or in parts, of the first or the second version, with sidecars or
 * without, Parquet or JSON.
 *
 * @param options what is wanted of the files; leaving it out saves reading most of it
 * @throws TABLE_CORRUPT when it cannot be read or lacks what every checkpoint has
 */
export async function readCheckpoint(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  options: KeptOptions,
): Promise<CheckpointContent> {
  return withActions(storage, engine, checkpoint, async (actions) => {
    const [protocol] = await actions('protocol')
    const [metaData] = await actions('metaData')
    if (protocol === undefined || metaData === undefined) throw corrupt(checkpoint, undefined)
    return {
      version: checkpoint.version,
      protocol: protocolAction(protocol),
      metaData: metaDataAction(metaData),
      transactions: (await actions('txn')).map((txn) => ({
        appId: String(txn.appId),
        version: exact(txn.version),
        ...(txn.lastUpdated == null ? {} : { lastUpdated: Number(txn.lastUpdated) }),
      })),
      domains: (await actions('domainMetadata'))
        .filter(({ removed }) => removed !== true)
        .map(({ domain, configuration }) => ({
          domain: String(domain),
          configuration: String(configuration ?? ''),
          removed: false,
        })),
      ...(await fileActions(storage, engine, checkpoint, actions, options)),
    }
  })
}

/** @returns the paths of the files that a checkpoint keeps its file actions in, relative to the table's root. */
export async function sidecarPaths(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
): Promise<string[]> {
  return withActions(storage, engine, checkpoint, async (actions) =>
    (await actions('sidecar')).map(sidecarPath),
  )
}

/** File actions are all here or all in the sidecars. */
async function fileActions(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  actions: ActionSource,
  { keepFiles, keepRemoved = false, statistics = true }: KeptOptions,
): Promise<Pick<CheckpointContent, 'files' | 'removed'>> {
  if (!keepFiles && !keepRemoved) return { files: [], removed: [] }
  const read = async (source: ActionSource) => ({
    files: keepFiles ? (await source('add', statistics ? [] : ['stats'])).map(addAction) : [],
    removed: keepRemoved ? (await source('remove')).map(removedFile) : [],
  })
  const sidecars = (await actions('sidecar')).map(sidecarPath)
  if (sidecars.length === 0) return read(actions)
  return withLocalFiles(storage, sidecars, (paths) => read(parquetActions(engine, checkpoint, paths)))
}

async function withActions<T>(
  storage: DeltaStorage,
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  use: (actions: ActionSource) => Promise<T>,
): Promise<T> {
  const paths = checkpoint.names.map((name) => `_delta_log/${name}`)
  if (checkpoint.format === 'json') {
    const bytes = await storage.read(paths[0]!)
    if (bytes === undefined) throw corrupt(checkpoint, undefined)
    const lines = decodeLines(paths[0]!, bytes)
    return use(async (name) => lines.map((line) => line[name]).filter(isJsonObject))
  }
  return withLocalFiles(storage, paths, (local) => use(parquetActions(engine, checkpoint, local)))
}

async function withLocalFiles<T>(
  storage: DeltaStorage,
  paths: readonly string[],
  use: (local: readonly string[]) => Promise<T>,
): Promise<T> {
  const files: LocalFile[] = []
  try {
    for (const path of paths) files.push(await storage.localFile(path))
    return await use(files.map(({ path }) => path))
  } finally {
    await Promise.all(files.map((file) => file.release()))
  }
}

/** Columns and fields differ by writer: only those that are there are asked for. */
function parquetActions(
  engine: EmbeddedEngine,
  checkpoint: CheckpointFiles,
  paths: readonly string[],
): ActionSource {
  const source = parquetSql(paths)
  const rows = async (sql: string): Promise<JsonObject[]> => {
    try {
      return (await engine.rows(sql)) as JsonObject[]
    } catch (error) {
      throw corrupt(checkpoint, error)
    }
  }
  const namesOf = async (select: string) =>
    new Set((await rows(`DESCRIBE SELECT ${select} FROM ${source}`)).map((row) => row.column_name))

  return async (name, without = []) => {
    if (!(await namesOf('*')).has(name)) return []
    const present = await namesOf(`unnest("${name}")`)
    const [key, ...others] = wantedFields[name]
    const fields = [key, ...others.filter((field) => present.has(field) && !without.includes(field))].map(
      (field) => `"${name}"."${field}" AS "${field}"`,
    )
    const counted = name === 'add' && !without.includes('stats') && present.has('stats_parsed')
    if (counted && (await namesOf('unnest("add".stats_parsed)')).has('numRecords')) {
      fields.push('"add".stats_parsed.numRecords AS "numRecords"')
    }
    return rows(`SELECT ${fields.join(', ')} FROM ${source} WHERE "${name}"."${key}" IS NOT NULL`)
  }
}

/** Sidecars are always in their folder, and some writers state more than the name. */
function sidecarPath({ path }: JsonObject): string {
  return `_delta_log/_sidecars/${decodeURIComponent(String(path).split('/').at(-1)!)}`
}

function protocolAction(protocol: JsonObject): ProtocolAction {
  const { readerFeatures, writerFeatures } = protocol
  return {
    minReaderVersion: Number(protocol.minReaderVersion),
    minWriterVersion: Number(protocol.minWriterVersion),
    ...(Array.isArray(readerFeatures) ? { readerFeatures: readerFeatures.map(String) } : {}),
    ...(Array.isArray(writerFeatures) ? { writerFeatures: writerFeatures.map(String) } : {}),
  }
}

function metaDataAction(metaData: JsonObject): MetaDataAction {
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

function addAction(add: JsonObject): AddAction {
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
function removedFile({ path, deletionTimestamp, ...remove }: JsonObject): RemovedFile {
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
function exact(value: JsonValue | undefined): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : BigInt(String(value))
}

function corrupt(checkpoint: CheckpointFiles, cause: unknown): TailraceError {
  return new TailraceError(
    'TABLE_CORRUPT',
    `The checkpoint _delta_log/${checkpoint.names[0]} cannot be read.`,
    { context: { version: checkpoint.version }, cause },
  )
}
