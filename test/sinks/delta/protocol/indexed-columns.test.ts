import assert from 'node:assert/strict'
import test from 'node:test'
import type { JsonValue } from '../../../../src/json.ts'
import type { MetaDataAction } from '../../../../src/sinks/delta/protocol/actions.ts'
import { indexedColumns } from '../../../../src/sinks/delta/protocol/schema.ts'

const leaf = (name: string, type: JsonValue = 'long') => ({ name, type, nullable: true, metadata: {} })
const leaves = (count: number, prefix = 'c') =>
  Array.from({ length: count }, (_, index) => leaf(`${prefix}${index}`))
const struct = (fields: JsonValue): JsonValue => ({ type: 'struct', fields })

function metaDataOf(fields: JsonValue, configuration?: Record<string, string>): MetaDataAction {
  return {
    id: '',
    format: { provider: 'parquet' },
    schemaString: JSON.stringify(struct(fields)),
    partitionColumns: ['c0'],
    configuration,
  }
}

const names = (metaData: MetaDataAction) => indexedColumns(metaData).map(({ name }) => name)

test('statistics are kept of the first 32 leaves, partition columns not counted, unless a property says otherwise', () => {
  assert.deepEqual(
    names(metaDataOf(leaves(40))),
    Array.from({ length: 32 }, (_, index) => `c${index + 1}`),
  )
  assert.equal(names(metaDataOf(leaves(40), { 'delta.dataSkippingNumIndexedCols': '-1' })).length, 39)
  assert.deepEqual(names(metaDataOf(leaves(40), { 'delta.dataSkippingNumIndexedCols': '2' })), ['c1', 'c2'])
  assert.deepEqual(names(metaDataOf(leaves(40), { 'delta.dataSkippingNumIndexedCols': '0' })), [])
  const named = { 'delta.dataSkippingStatsColumns': '`c39`, c2,c0', 'delta.dataSkippingNumIndexedCols': '1' }
  assert.deepEqual(names(metaDataOf(leaves(40), named)), ['c2', 'c39'])
})

test('each leaf of a struct counts, and a map or an array counts as one', () => {
  const after = (type: JsonValue, count: number) => {
    const limit = { 'delta.dataSkippingNumIndexedCols': String(count) }
    return names(metaDataOf([leaf('c0'), leaf('nested', type), leaf('last')], limit)).includes('last')
  }
  const cases: readonly [JsonValue, number][] = [
    [struct(leaves(32, 's')), 32],
    [struct([leaf('a', struct(leaves(3, 's'))), leaf('b')]), 4],
    [{ type: 'map', keyType: 'string', valueType: 'long', valueContainsNull: true }, 1],
    [{ type: 'array', elementType: struct(leaves(3, 's')), containsNull: true }, 1],
  ]
  for (const [type, count] of cases) {
    assert.equal(after(type, count), false, JSON.stringify(type))
    assert.equal(after(type, count + 1), true, JSON.stringify(type))
  }
})

test('a column of a type without statistics has none, and counts', () => {
  const fields = [
    leaf('a', 'binary'),
    leaf('b', 'timestamp_ntz'),
    ...['string', 'long', 'integer', 'double', 'date', 'timestamp', 'boolean'].map((type) =>
      leaf(type, type),
    ),
  ]
  assert.deepEqual(indexedColumns(metaDataOf(fields, { 'delta.dataSkippingNumIndexedCols': '4' })), [
    { name: 'string', type: 'string' },
    { name: 'long', type: 'long' },
  ])
  assert.equal(names(metaDataOf(fields)).length, 7)
})
