import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonValue } from '../../../json.ts'
import type { DomainMetadataAction, MetaDataAction, ProtocolAction } from './actions.ts'
import { fieldsOf, type SchemaField, schemaFields } from './schema.ts'
import { indexedColumns } from './statistics.ts'

/** Highest versions of the protocol whose rules are known here (PROTOCOL.md, read 2026-08). */
const maxReaderVersion = 3
const maxWriterVersion = 7

/** Features of which this reader knows everything; the mode of `columnMapping` decides. */
const readableFeatures: ReadonlySet<string> = new Set([
  'columnMapping',
  'deletionVectors',
  'timestampNtz',
  'typeWidening',
  'typeWidening-preview',
  'v2Checkpoint',
  'vacuumProtocolCheck',
])

/**
 * Features that a table may have when rows are appended: those that ask nothing of an append or are met here, and
 * those that ask nothing unless they are active, which `activeFeature` looks for. Any other, known or not, is
 * refused: guessing wrong would corrupt the table.
 */
const appendableFeatures: ReadonlySet<string> = new Set([
  ...readableFeatures,
  'allowColumnDefaults',
  'appendOnly',
  'changeDataFeed',
  'checkConstraints',
  'checkpointProtection',
  'clustering',
  'domainMetadata',
  'generatedColumns',
  'identityColumns',
  'inCommitTimestamp',
  'inCommitTimestamp-preview',
  'invariants',
  'rowTracking',
])

const elsewhere = 'Land into another table.'
const catalogAdvice =
  'Its commits go through its catalog, and a file in the log would corrupt it: land into an external table.'

/** What to do about a feature; for any other, dropping it is proposed. */
const advice: Readonly<Record<string, string>> = {
  catalogManaged: catalogAdvice,
  'catalogOwned-preview': catalogAdvice,
  'coordinatedCommits-preview': catalogAdvice,
  rowTracking:
    "Run ALTER TABLE … SET TBLPROPERTIES ('delta.enableRowTracking' = 'false') and ALTER TABLE … DROP FEATURE rowTracking, or land into another table.",
  columnMapping: "Run ALTER TABLE … SET TBLPROPERTIES ('delta.columnMapping.mode' = 'none').",
  clustering:
    "Run ALTER TABLE … CLUSTER BY NONE, or name the column in the property 'delta.dataSkippingStatsColumns'.",
  invariants: elsewhere,
  generatedColumns: elsewhere,
  identityColumns: elsewhere,
  allowColumnDefaults: 'Run ALTER TABLE … ALTER COLUMN … DROP DEFAULT.',
  materializePartitionColumns: elsewhere,
}

/** Metadata of a column that obliges a writer, by the feature's name. */
const fieldObligations = [
  ['delta.invariants', 'invariants'],
  ['delta.generationExpression', 'generatedColumns'],
  ['delta.identity.start', 'identityColumns'],
  ['CURRENT_DEFAULT', 'allowColumnDefaults'],
] as const

/**
 * A property of no meaning to any engine, which keeps former releases away by its name: they look for offsets by
 * pipeline and would land again what has landed since. They refuse every version of this one.
 */
const offsetsFence = 'delta.enableIcebergCompatV0'

/** The domain in which a clustered table names its columns. */
export const clusteringDomain = 'delta.clustering'

/**
 * Checks that this reader knows every rule of the table.
 *
 * @throws TABLE_UNSUPPORTED naming the version or feature and what to do about it
 */
export function checkReadable(protocol: ProtocolAction, metaData: MetaDataAction): void {
  const { minReaderVersion, readerFeatures } = protocol
  if (minReaderVersion > maxReaderVersion) refuse(`reader version ${minReaderVersion}`, elsewhere)
  if (minReaderVersion === 3 && !readerFeatures) refuse('reader version 3 without a feature list', elsewhere)
  for (const feature of readerFeatures ?? []) {
    if (!readableFeatures.has(feature)) refuseFeature(feature)
  }
  const mode = metaData.configuration?.['delta.columnMapping.mode'] ?? 'none'
  if (mode !== 'none') refuseFeature('columnMapping', `mode ${mode}`)
  if (metaData.format.provider !== 'parquet') refuse(`format ${metaData.format.provider}`, elsewhere)
}

/**
 * Checks that this writer knows every rule of the table that concerns an append.
 *
 * @param clustering the table's domain of `clusteringDomain`, where it has one
 * @throws TABLE_UNSUPPORTED naming the version or feature and what to do about it
 */
export function checkAppendable(
  protocol: ProtocolAction,
  metaData: MetaDataAction,
  clustering?: DomainMetadataAction,
): void {
  checkReadable(protocol, metaData)
  const { minWriterVersion, writerFeatures } = protocol
  if (minWriterVersion > maxWriterVersion) refuse(`writer version ${minWriterVersion}`, elsewhere)
  if (minWriterVersion === 7 && !writerFeatures) refuse('writer version 7 without a feature list', elsewhere)
  for (const feature of writerFeatures ?? []) {
    if (!appendableFeatures.has(feature)) refuseFeature(feature)
  }
  checkInactive(protocol, metaData)
  if (clustering !== undefined) checkClustering(clustering, metaData)
}

/**
 * Checks that rows may be replaced, which a file-by-file rewrite does.
 *
 * @throws TABLE_UNSUPPORTED naming the property
 */
export function checkRewritable(metaData: MetaDataAction): void {
  const { configuration = {} } = metaData
  if (configuration['delta.appendOnly'] === 'true') refuseProperty('delta.appendOnly')
  // A rewrite without change files would show every kept row as deleted and inserted.
  if (configuration['delta.enableChangeDataFeed'] === 'true') refuseProperty('delta.enableChangeDataFeed')
}

/** @returns whether every commit must state a time that is later than the one before. */
export function hasInCommitTimestamps(protocol: ProtocolAction, metaData: MetaDataAction): boolean {
  const supported = protocol.writerFeatures?.some(
    (feature) => feature === 'inCommitTimestamp' || feature === 'inCommitTimestamp-preview',
  )
  return supported === true && metaData.configuration?.['delta.enableInCommitTimestamps'] === 'true'
}

/** @returns the properties of a table whose offsets no former release can take for missing. */
export function withOffsetsFence(configuration: MetaDataAction['configuration']): Record<string, string> {
  return { ...configuration, [offsetsFence]: 'true' }
}

/** @returns whether former releases refuse the table. */
export function hasOffsetsFence({ configuration }: MetaDataAction): boolean {
  return configuration?.[offsetsFence] === 'true'
}

/** @returns whether the table asks to keep its log as it is, whatever its age. */
export function hasCheckpointProtection({ writerFeatures = [] }: ProtocolAction): boolean {
  return writerFeatures.includes('checkpointProtection')
}

/** @returns whether a checkpoint must say that it follows the second version of the layout. */
export function hasV2Checkpoints({ writerFeatures = [] }: ProtocolAction): boolean {
  return writerFeatures.includes('v2Checkpoint')
}

function checkInactive(protocol: ProtocolAction, metaData: MetaDataAction): void {
  const { configuration = {} } = metaData
  for (const [name, value] of Object.entries(configuration)) {
    if (name.startsWith('delta.constraints.')) {
      const constraint = name.slice('delta.constraints.'.length)
      refuse(`feature checkConstraints (${name})`, `Run ALTER TABLE … DROP CONSTRAINT ${constraint}.`)
    }
    if (name.startsWith('delta.coordinatedCommits.')) {
      refuse(`feature coordinatedCommits (${name})`, catalogAdvice)
    }
    if (/^delta\.enableIcebergCompatV\d+$/.test(name) && name !== offsetsFence && value === 'true') {
      refuseFeature(name.replace('delta.enableI', 'i'))
    }
  }
  // Without the feature in the list, the property is only a wish.
  const tracked = protocol.writerFeatures?.includes('rowTracking') === true
  if (tracked && configuration['delta.rowTrackingSuspended'] !== 'true') refuseFeature('rowTracking')
  if (configuration['delta.enableRowTracking'] === 'true') refuseFeature('rowTracking')
  for (const field of schemaFields(metaData).flatMap(withNested)) {
    for (const [key, feature] of fieldObligations) {
      if (key in field.metadata) refuseFeature(feature, `column ${field.name}`)
    }
  }
}

/** Other writers cluster by statistics: a file without those of every clustering column breaks the table's rules. */
function checkClustering({ configuration }: DomainMetadataAction, metaData: MetaDataAction): void {
  const indexed = new Set(indexedColumns(metaData).map(({ name }) => name))
  for (const column of clusteringColumns(configuration)) {
    if (!indexed.has(column)) {
      refuse(`feature clustering (no statistics of column ${column})`, advice.clustering!)
    }
  }
}

/** A column is stated as its name, or as the list of its path's parts. */
function clusteringColumns(configuration: string): string[] {
  const parsed: unknown = JSON.parse(configuration)
  const columns = isJsonObject(parsed) ? parsed.clusteringColumns : undefined
  if (!Array.isArray(columns)) refuse('feature clustering (its columns cannot be read)', elsewhere)
  return columns.map((column) => (Array.isArray(column) ? column.join('.') : String(column)))
}

function withNested(field: SchemaField): SchemaField[] {
  return [field, ...nestedFields(field.type)]
}

function nestedFields(type: JsonValue | undefined): SchemaField[] {
  if (!isJsonObject(type)) return []
  const fields = fieldsOf(type)
  if (fields !== undefined) return fields.flatMap(withNested)
  return [type.elementType, type.keyType, type.valueType].flatMap(nestedFields)
}

function refuseFeature(feature: string, where?: string): never {
  refuse(
    `feature ${feature}${where === undefined ? '' : ` (${where})`}`,
    advice[feature] ?? `Run ALTER TABLE … DROP FEATURE ${feature}, or land into another table.`,
  )
}

function refuseProperty(name: string): never {
  refuse(`property ${name}`, `Run ALTER TABLE … SET TBLPROPERTIES ('${name}' = 'false').`)
}

function refuse(what: string, remedy: string): never {
  throw new TailraceError(
    'TABLE_UNSUPPORTED',
    `The table uses what this program does not know: ${what}. ${remedy}`,
  )
}
