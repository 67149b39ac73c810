import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import type { MetaDataAction } from '../../../../src/sinks/delta/protocol/actions.ts'
import { checkSchema, schemaString } from '../../../../src/sinks/delta/protocol/schema.ts'
import { provenanceColumns } from '../../../../src/tables/table.ts'
import { columns } from '../support.ts'

const partitionColumns = ['event_date']
const own: MetaDataAction = {
  id: 'x',
  format: { provider: 'parquet' },
  schemaString: schemaString(columns),
  partitionColumns,
}

test('a table with the declared columns fits, and so does one with more that may be NULL', () => {
  checkSchema(own, columns, partitionColumns)
  checkSchema(own, columns.slice(2), partitionColumns)
})

test('a table that differs is refused with every difference', () => {
  const schema = JSON.parse(own.schemaString)
  schema.fields[0].type = 'timestamp_ntz'
  schema.fields[1].nullable = false
  schema.fields[2].type = { type: 'struct', fields: [] }
  schema.fields[3].name = 'Source_Offset'
  schema.fields.splice(5, 1)
  schema.fields.push({ name: 'needed', type: 'long', nullable: false, metadata: {} })
  const metaData = { ...own, schemaString: JSON.stringify(schema), partitionColumns: [] }
  assert.throws(
    () => checkSchema(metaData, columns, partitionColumns),
    (error) => {
      assert.ok(isTailraceError(error, 'TABLE_SCHEMA_MISMATCH'))
      assert.equal(
        error.message,
        'The table differs from the declaration: column event_time is timestamp_ntz, expected timestamp; ' +
          'column source_blob is NOT NULL; column source_generation is struct, expected string; ' +
          "column source_offset differs only by case from the table's column Source_Offset; " +
          'column pid (integer) is missing, which `sink.evolve: true` would add; ' +
          'column needed is NOT NULL, and the declaration has no such column; ' +
          'it is partitioned by nothing, expected event_date.',
      )
      return true
    },
  )
})

test('a table that is partitioned by another column is refused', () => {
  assert.throws(
    () => checkSchema({ ...own, partitionColumns: ['pid'] }, columns, partitionColumns),
    (error) =>
      isTailraceError(error, 'TABLE_SCHEMA_MISMATCH') &&
      error.message.includes('partitioned by pid, expected event_date'),
  )
})

test('a table whose columns are in another order and have other comments fits', () => {
  const schema = JSON.parse(own.schemaString)
  for (const field of schema.fields) field.metadata = { comment: 'Another one.' }
  schema.fields.reverse()
  checkSchema({ ...own, schemaString: JSON.stringify(schema) }, columns, partitionColumns)
})

test('by default, columns are added to a table that has every provenance column, and to no other', () => {
  const declared = [
    ...columns,
    ...provenanceColumns.filter((one) => !columns.some(({ name }) => name === one.name)),
  ]
  const without = (...names: string[]): MetaDataAction => ({
    ...own,
    schemaString: schemaString(declared.filter(({ name }) => !names.includes(name))),
  })
  const evolve = { evolve: 'own-tables' } as const
  checkSchema(without('pid', 'message'), declared, partitionColumns, evolve)
  assert.throws(
    () => checkSchema(without('pid', 'parse_status'), declared, partitionColumns, evolve),
    (error) =>
      isTailraceError(error, 'TABLE_SCHEMA_MISMATCH') && /column pid .*would add/.test(error.message),
  )
})

test('with evolution, only columns that a commit can add may be missing', () => {
  const evolve = { evolve: true }
  const schema = JSON.parse(own.schemaString)
  schema.fields = schema.fields.slice(2)
  const metaData = { ...own, schemaString: JSON.stringify(schema) }
  checkSchema(metaData, columns, partitionColumns, evolve)

  const refused = (message: RegExp, changed: MetaDataAction, declared = columns): void =>
    assert.throws(
      () => checkSchema(changed, declared, partitionColumns, evolve),
      (error) => isTailraceError(error, 'TABLE_SCHEMA_MISMATCH') && message.test(error.message),
    )
  const withoutDate = {
    ...metaData,
    schemaString: JSON.stringify({ ...schema, fields: schema.fields.slice(0, -1) }),
  }
  refused(/column event_date \(date\) is missing; it is partitioned by nothing/, {
    ...withoutDate,
    partitionColumns: [],
  })
  const differing = columns.map((column) =>
    column.name === 'pid' ? { ...column, type: 'long' as const } : column,
  )
  refused(/column pid is integer, expected long\./, metaData, differing)
  const capital = columns.map((column) => (column.name === 'pid' ? { ...column, name: 'PID' } : column))
  refused(/column PID differs only by case from the table's column pid\./, metaData, capital)
  const reserved = [...columns, { name: '_change_type', type: 'string' as const, comment: 'Ours.' }]
  checkSchema(metaData, reserved, partitionColumns, evolve)
  refused(
    /column _change_type \(string\) is missing, and the table's change data feed reserves the name\./,
    { ...metaData, configuration: { 'delta.enableChangeDataFeed': 'true' } },
    reserved,
  )
})

test('a schema that is no JSON is a corrupt table', () => {
  assert.throws(
    () => checkSchema({ ...own, schemaString: '{"type":' }, columns, partitionColumns),
    (error) => isTailraceError(error, 'TABLE_CORRUPT'),
  )
})
