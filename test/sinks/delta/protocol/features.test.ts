import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import type { MetaDataAction, ProtocolAction } from '../../../../src/sinks/delta/protocol/actions.ts'
import {
  checkAppendable,
  checkReadable,
  checkRewritable,
} from '../../../../src/sinks/delta/protocol/features.ts'

const oldest: ProtocolAction = { minReaderVersion: 1, minWriterVersion: 2 }

function metaDataOf(configuration: Record<string, string> = {}, field: object = {}): MetaDataAction {
  const fields = [{ name: 'a', type: 'long', nullable: true, metadata: {}, ...field }]
  return {
    id: 'x',
    format: { provider: 'parquet' },
    schemaString: JSON.stringify({ type: 'struct', fields }),
    partitionColumns: [],
    configuration,
  }
}

function features(...names: string[]): ProtocolAction {
  return { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: [], writerFeatures: names }
}

test('a table is accepted while every feature is known and none that obliges a writer is active', () => {
  checkAppendable(oldest, metaDataOf())
  checkAppendable(
    { minReaderVersion: 2, minWriterVersion: 6 },
    metaDataOf({ 'delta.columnMapping.mode': 'none' }),
  )
  checkAppendable(features('appendOnly', 'invariants', 'checkConstraints', 'deletionVectors'), metaDataOf())
  checkAppendable(features('v2Checkpoint', 'inCommitTimestamp', 'timestampNtz', 'typeWidening'), metaDataOf())
  checkAppendable(features('rowTracking'), metaDataOf({ 'delta.rowTrackingSuspended': 'true' }))
})

test('a reader is not stopped by what only obliges writers', () => {
  checkReadable(features('rowTracking', 'collations', 'clustering', 'neverHeardOf'), metaDataOf())
  checkReadable(oldest, metaDataOf({ 'delta.constraints.positive': 'a > 0' }))
  const protocol = {
    ...features(),
    readerFeatures: ['v2Checkpoint', 'deletionVectors', 'vacuumProtocolCheck'],
  }
  checkReadable(protocol, metaDataOf())
  for (const feature of ['variantType', 'catalogManaged', 'neverHeardOf']) {
    assert.throws(
      () => checkReadable({ ...features(), readerFeatures: [feature] }, metaDataOf()),
      (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && error.message.includes(feature),
    )
  }
})

test('a clustered table is accepted while files get statistics of every clustering column', () => {
  const clustering = (configuration: string) => ({
    domain: 'delta.clustering',
    configuration,
    removed: false,
  })
  const protocol = features('clustering', 'domainMetadata')
  checkAppendable(protocol, metaDataOf(), clustering('{"clusteringColumns":[["a"]]}'))
  checkAppendable(protocol, metaDataOf(), clustering('{"clusteringColumns":["a"]}'))
  const none = metaDataOf({ 'delta.dataSkippingNumIndexedCols': '0' })
  for (const [metaData, columns] of [
    [none, '[["a"]]'],
    [metaDataOf(), '[["a","b"]]'],
  ] as const) {
    assert.throws(
      () => checkAppendable(protocol, metaData, clustering(`{"clusteringColumns":${columns}}`)),
      (error) =>
        isTailraceError(error, 'TABLE_UNSUPPORTED') && /clustering.*CLUSTER BY NONE/.test(error.message),
    )
  }
})

test('a refusal says what to do', () => {
  const cases: [ProtocolAction, MetaDataAction, RegExp][] = [
    [features('catalogManaged'), metaDataOf(), /through its catalog/],
    [features('rowTracking'), metaDataOf(), /DROP FEATURE rowTracking, or land into another table\.$/],
    [features('icebergCompatV2'), metaDataOf(), /DROP FEATURE icebergCompatV2/],
    [oldest, metaDataOf({ 'delta.constraints.positive': 'a > 0' }), /DROP CONSTRAINT positive/],
    [oldest, metaDataOf({}, { metadata: { CURRENT_DEFAULT: '1' } }), /DROP DEFAULT/],
    [oldest, metaDataOf({ 'delta.columnMapping.mode': 'id' }), /'delta.columnMapping.mode' = 'none'/],
  ]
  for (const [protocol, metaData, message] of cases) {
    assert.throws(
      () => checkAppendable(protocol, metaData),
      (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && message.test(error.message),
    )
  }
})

test('an unknown feature is refused by name', () => {
  const nested = {
    type: {
      type: 'array',
      elementType: {
        type: 'struct',
        fields: [{ name: 'b', type: 'long', metadata: { 'delta.invariants': '{}' } }],
      },
    },
  }
  const cases: [ProtocolAction, MetaDataAction, RegExp][] = [
    [{ minReaderVersion: 4, minWriterVersion: 7 }, metaDataOf(), /reader version 4/],
    [{ minReaderVersion: 1, minWriterVersion: 8 }, metaDataOf(), /writer version 8/],
    [{ minReaderVersion: 3, minWriterVersion: 7 }, metaDataOf(), /without a feature list/],
    [features('catalogManaged'), metaDataOf(), /catalogManaged/],
    [features('rowTracking'), metaDataOf(), /rowTracking/],
    [features('appendOnly', 'neverHeardOf'), metaDataOf(), /neverHeardOf/],
    [{ ...features(), readerFeatures: ['variantType'] }, metaDataOf(), /variantType/],
    [oldest, metaDataOf({ 'delta.constraints.positive': 'a > 0' }), /checkConstraints/],
    [oldest, metaDataOf({ 'delta.columnMapping.mode': 'name' }), /columnMapping/],
    [oldest, metaDataOf({ 'delta.coordinatedCommits.commitCoordinator-preview': 'x' }), /coordinatedCommits/],
    [
      oldest,
      metaDataOf({}, { metadata: { 'delta.generationExpression': 'b' } }),
      /generatedColumns.*column a/,
    ],
    [oldest, metaDataOf({}, nested), /invariants.*column b/],
    [oldest, { ...metaDataOf(), format: { provider: 'orc' } }, /orc/],
  ]
  for (const [protocol, metaData, message] of cases) {
    assert.throws(
      () => checkAppendable(protocol, metaData),
      (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && message.test(error.message),
    )
  }
})

test('rows of an append-only table and of one with a change feed are not replaced', () => {
  checkRewritable(metaDataOf())
  for (const name of ['delta.appendOnly', 'delta.enableChangeDataFeed']) {
    assert.throws(
      () => checkRewritable(metaDataOf({ [name]: 'true' })),
      (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && error.message.includes(name),
    )
  }
})
