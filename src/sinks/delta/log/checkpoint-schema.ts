import type { ProtocolAction } from '../protocol/actions.ts'

/** SQL types of the actions that a checkpoint holds, by column name. */
export type CheckpointSchema = Readonly<Record<CheckpointColumn, string>> & {
  /** Only in a V2 checkpoint. */
  readonly checkpointMetadata?: string | undefined
}

type CheckpointColumn = 'txn' | 'add' | 'remove' | 'metaData' | 'protocol' | 'domainMetadata'

const text = 'VARCHAR'
const integer = 'BIGINT'
const textMap = 'MAP(VARCHAR, VARCHAR)'

const deletionVector = struct({
  storageType: text,
  pathOrInlineDv: text,
  offset: 'INTEGER',
  sizeInBytes: 'INTEGER',
  cardinality: integer,
})

/** Fields used only by table features. A checkpoint of such a table without them would lose data the features need. */
const featureFields = { deletionVector, baseRowId: integer, defaultRowCommitVersion: integer }

const addFields = {
  path: text,
  partitionValues: textMap,
  size: integer,
  modificationTime: integer,
  dataChange: 'BOOLEAN',
  tags: textMap,
  stats: text,
}

const removeFields = {
  path: text,
  deletionTimestamp: integer,
  dataChange: 'BOOLEAN',
  extendedFileMetadata: 'BOOLEAN',
  partitionValues: textMap,
  size: integer,
}

/** Every column that a checkpoint written here can have, except `checkpointMetadata`. */
export const fullCheckpointSchema: CheckpointSchema = {
  txn: struct({ appId: text, version: integer, lastUpdated: integer }),
  add: struct({ ...addFields, ...featureFields, clusteringProvider: text }),
  remove: struct({ ...removeFields, ...featureFields }),
  metaData: struct({
    id: text,
    name: text,
    description: text,
    format: struct({ provider: text, options: textMap }),
    schemaString: text,
    partitionColumns: 'VARCHAR[]',
    createdTime: integer,
    configuration: textMap,
  }),
  protocol: struct({
    minReaderVersion: 'INTEGER',
    minWriterVersion: 'INTEGER',
    readerFeatures: 'VARCHAR[]',
    writerFeatures: 'VARCHAR[]',
  }),
  domainMetadata: struct({ domain: text, configuration: text, removed: 'BOOLEAN' }),
}

/**
 * Columns of the checkpoint to write for a table. A table without features gets only the columns that the oldest
 * readers know.
 */
export function checkpointSchema(protocol: ProtocolAction): Partial<CheckpointSchema> {
  if (protocol.writerFeatures === undefined) {
    const { domainMetadata, ...known } = fullCheckpointSchema
    return { ...known, add: struct(addFields), remove: struct(removeFields) }
  }
  return {
    ...fullCheckpointSchema,
    ...(protocol.writerFeatures.includes('v2Checkpoint')
      ? { checkpointMetadata: struct({ version: integer, tags: textMap }) }
      : {}),
  }
}

function struct(fields: Readonly<Record<string, string>>): string {
  const parts = Object.entries(fields).map(([name, type]) => `"${name}" ${type}`)
  return `STRUCT(${parts.join(', ')})`
}
