import { TailraceError } from '../../../errors.ts'
import { isJsonObject, type JsonValue } from '../../../json.ts'
import { requireFormat } from '../../../offsets/format-version.ts'
import type { DomainMetadataAction, MetaDataAction, ProtocolAction } from './actions.ts'
import { fieldsOf, indexedColumns, type SchemaField, schemaFields } from './schema.ts'

/** Highest protocol versions that this program implements (PROTOCOL.md, read 2026-08). */
const maxReaderVersion = 3
const maxWriterVersion = 7

/** Reader features that this program implements; of `columnMapping`, only the mode `none`. */
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
 * Features that a table may have when rows are appended. Some are implemented, some do not concern an append, and some
 * concern it only when active, which `checkInactive` tests. Every other feature is refused, because a wrong guess would
 * corrupt the table.
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

/** What to do about a refused feature. For features without an entry, the advice is to drop the feature. */
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

/** Column metadata keys that put an obligation on writers, and the feature each belongs to. */
const fieldObligations = [
  ['delta.invariants', 'invariants'],
  ['delta.generationExpression', 'generatedColumns'],
  ['delta.identity.start', 'identityColumns'],
  ['CURRENT_DEFAULT', 'allowColumnDefaults'],
] as const

/**
 * A property that has no meaning to any engine but makes release 0.1.0 refuse the table. That release looks up offsets
 * by pipeline name and would land the same blobs again. It refuses any table with a property of this name pattern.
 */
const offsetsFence = 'delta.enableIcebergCompatV0'

/**
 * The format of what this program keeps in a table beside its rows. A table without the property has the first one. A
 * release that changes the format raises the number, and older ones refuse the table.
 */
const tableFormat = {
  property: 'tailrace.formatVersion',
  /** Offsets are transactions by blob generation. */
  transactions: 1,
  /** Older offsets are in an archive beside the log. A release that does not know it would land their blobs again. */
  archive: 2,
} as const

/** The metadata domain that lists a clustered table's columns. */
export const clusteringDomain = 'delta.clustering'

/**
 * Checks that this program implements everything needed to read the table.
 *
 * @throws TABLE_UNSUPPORTED naming the version or feature and what to do about it
 * @throws FORMAT_TOO_NEW when a newer release of this program changed the table's format
 */
export function checkReadable(protocol: ProtocolAction, metaData: MetaDataAction): void {
  requireFormat(
    metaData.configuration?.[tableFormat.property],
    tableFormat.archive,
    `The table (property ${tableFormat.property})`,
  )
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
 * Checks that this program implements everything needed to append to the table.
 *
 * @param clustering the table's metadata for `clusteringDomain`, if it has any
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
 * Checks that rows may be replaced by rewriting their files.
 *
 * @throws TABLE_UNSUPPORTED naming the property
 */
export function checkRewritable(metaData: MetaDataAction): void {
  const { configuration = {} } = metaData
  if (configuration['delta.appendOnly'] === 'true') refuseProperty('delta.appendOnly')
  // A rewrite does not write change files, so the change feed would show every kept row as deleted and inserted.
  if (configuration['delta.enableChangeDataFeed'] === 'true') refuseProperty('delta.enableChangeDataFeed')
}

/**
 * Checks that whole files may be removed with their rows. Readers of a change feed see from the removal which rows went.
 *
 * @throws TABLE_UNSUPPORTED naming the property
 */
export function checkRemovable({ configuration = {} }: MetaDataAction): void {
  if (configuration['delta.appendOnly'] === 'true') refuseProperty('delta.appendOnly')
}

/** @returns whether every commit must carry a timestamp that is later than the previous commit's. */
export function hasInCommitTimestamps(protocol: ProtocolAction, metaData: MetaDataAction): boolean {
  const supported = protocol.writerFeatures?.some(
    (feature) => feature === 'inCommitTimestamp' || feature === 'inCommitTimestamp-preview',
  )
  return supported === true && metaData.configuration?.['delta.enableInCommitTimestamps'] === 'true'
}

/** @returns table properties with the fence that makes release 0.1.0 refuse the table. */
export function withOffsetsFence(configuration: MetaDataAction['configuration']): Record<string, string> {
  return { ...configuration, [offsetsFence]: 'true' }
}

/** @returns the properties of a new table */
export function newTableProperties(others: Readonly<Record<string, string>>): Record<string, string> {
  return withOffsetsFence(withoutArchiveFormat(others))
}

/** @returns table properties with the format that makes releases refuse the table that do not know offset archives */
export function withArchiveFormat(configuration: MetaDataAction['configuration']): Record<string, string> {
  return { ...configuration, [tableFormat.property]: String(tableFormat.archive) }
}

/** @returns table properties with the format of a table that has no offset archive */
export function withoutArchiveFormat(configuration: MetaDataAction['configuration']): Record<string, string> {
  return { ...configuration, [tableFormat.property]: String(tableFormat.transactions) }
}

/** @returns whether the table has the format of tables with an offset archive */
export function hasArchiveFormat({ configuration }: Pick<MetaDataAction, 'configuration'>): boolean {
  return Number(configuration?.[tableFormat.property]) >= tableFormat.archive
}

/** @returns whether the table has the fence that makes release 0.1.0 refuse it. */
export function hasOffsetsFence({ configuration }: MetaDataAction): boolean {
  return configuration?.[offsetsFence] === 'true'
}

/** @returns whether the table forbids removing log files, whatever their age. */
export function hasCheckpointProtection({ writerFeatures = [] }: ProtocolAction): boolean {
  return writerFeatures.includes('checkpointProtection')
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
  // `delta.rowTrackingSuspended` has a meaning only where the feature is in the list.
  const tracked = protocol.writerFeatures?.includes('rowTracking') === true
  if (tracked && configuration['delta.rowTrackingSuspended'] !== 'true') refuseFeature('rowTracking')
  if (configuration['delta.enableRowTracking'] === 'true') refuseFeature('rowTracking')
  for (const field of schemaFields(metaData).flatMap(withNested)) {
    for (const [key, feature] of fieldObligations) {
      if (key in field.metadata) refuseFeature(feature, `column ${field.name}`)
    }
  }
}

/** Every file of a clustered table must have statistics of all clustering columns; other writers rely on them. */
function checkClustering({ configuration }: DomainMetadataAction, metaData: MetaDataAction): void {
  const indexed = new Set(indexedColumns(metaData).map(({ name }) => name))
  for (const column of clusteringColumns(configuration)) {
    if (!indexed.has(column)) {
      refuse(`feature clustering (no statistics of column ${column})`, advice.clustering!)
    }
  }
}

/** @returns whether the table has clustering columns; after `CLUSTER BY NONE` the domain stays, with an empty list. */
export function isClustered(clustering: DomainMetadataAction | undefined): boolean {
  return clustering !== undefined && clusteringColumns(clustering.configuration).length > 0
}

/** A column is given as a name or as a list of path parts. */
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
    `The table needs something that this program does not implement: ${what}. ${remedy}`,
  )
}
