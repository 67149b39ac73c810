import { TailraceError } from '../../errors.ts'
import { isJsonObject, type JsonValue } from '../../json.ts'
import type { MetaDataAction, ProtocolAction } from './delta-action.ts'
import { fieldsOf, type SchemaField, schemaFields } from './table-schema.ts'

/** Highest versions of the protocol whose rules are known here (PROTOCOL.md, read 2026-08). */
const maxReaderVersion = 3
const maxWriterVersion = 7

/**
 * Features that a table may have: those that ask nothing of an append unless they are active, which
 * `activeFeature` looks for. Any other, known or not, is refused: guessing wrong would corrupt the table.
 */
const harmlessFeatures: ReadonlySet<string> = new Set([
  'allowColumnDefaults',
  'appendOnly',
  'changeDataFeed',
  'checkConstraints',
  'checkpointProtection',
  'columnMapping',
  'deletionVectors',
  'domainMetadata',
  'generatedColumns',
  'identityColumns',
  'invariants',
  'vacuumProtocolCheck',
])

/** Metadata of a column that obliges a writer, by the feature's name. */
const fieldObligations = [
  ['delta.invariants', 'invariants'],
  ['delta.generationExpression', 'generatedColumns'],
  ['delta.identity.start', 'identityColumns'],
  ['CURRENT_DEFAULT', 'allowColumnDefaults'],
] as const

/**
 * Checks that this writer knows every rule of the table.
 *
 * @throws TABLE_UNSUPPORTED naming the version or feature
 */
export function checkAppendable(protocol: ProtocolAction, metaData: MetaDataAction): void {
  if (protocol.minReaderVersion > maxReaderVersion) refuse(`reader version ${protocol.minReaderVersion}`)
  if (protocol.minWriterVersion > maxWriterVersion) refuse(`writer version ${protocol.minWriterVersion}`)
  if (protocol.minReaderVersion === 3 && !protocol.readerFeatures)
    refuse('reader version 3 without a feature list')
  if (protocol.minWriterVersion === 7 && !protocol.writerFeatures)
    refuse('writer version 7 without a feature list')
  for (const feature of [...(protocol.readerFeatures ?? []), ...(protocol.writerFeatures ?? [])]) {
    if (!harmlessFeatures.has(feature)) refuse(`feature ${feature}`)
  }
  if (metaData.format.provider !== 'parquet') refuse(`format ${metaData.format.provider}`)
  const active = activeFeature(metaData)
  if (active !== undefined) refuse(active)
}

/**
 * Checks that rows may be replaced, which a file-by-file rewrite does.
 *
 * @throws TABLE_UNSUPPORTED naming the property
 */
export function checkRewritable(metaData: MetaDataAction): void {
  const { configuration = {} } = metaData
  if (configuration['delta.appendOnly'] === 'true') refuse('property delta.appendOnly')
  // A rewrite without change files would show every kept row as deleted and inserted.
  if (configuration['delta.enableChangeDataFeed'] === 'true') refuse('property delta.enableChangeDataFeed')
}

function activeFeature({ configuration = {}, ...metaData }: MetaDataAction): string | undefined {
  for (const [name, value] of Object.entries(configuration)) {
    if (name.startsWith('delta.constraints.')) return `feature checkConstraints (${name})`
    if (name.startsWith('delta.coordinatedCommits.')) return `feature coordinatedCommits (${name})`
    if (name === 'delta.columnMapping.mode' && value !== 'none')
      return `feature columnMapping (mode ${value})`
    if (name === 'delta.enableRowTracking' && value === 'true') return 'feature rowTracking'
    if (name === 'delta.enableInCommitTimestamps' && value === 'true') return 'feature inCommitTimestamp'
  }
  for (const field of schemaFields(metaData).flatMap(withNested)) {
    for (const [key, feature] of fieldObligations) {
      if (key in field.metadata) return `feature ${feature} (column ${field.name})`
    }
  }
  return undefined
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

function refuse(what: string): never {
  throw new TailraceError('TABLE_UNSUPPORTED', `The table uses what this writer does not know: ${what}.`)
}
