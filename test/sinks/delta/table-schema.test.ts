import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../src/errors.ts'
import type { MetaDataAction } from '../../../src/sinks/delta/delta-action.ts'
import { checkSchema, schemaString } from '../../../src/sinks/delta/table-schema.ts'
import { columns } from './support.ts'

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
  schema.fields.push({ name: 'needed', type: 'long', nullable: false, metadata: {} })
  const metaData = { ...own, schemaString: JSON.stringify(schema), partitionColumns: [] }
  assert.throws(
    () => checkSchema(metaData, columns, partitionColumns),
    (error) => {
      assert.ok(isTailraceError(error, 'TABLE_SCHEMA_MISMATCH'))
      assert.equal(
        error.message,
        'The table differs from the declaration: column event_time is timestamp_ntz and not timestamp; ' +
          'column source_blob is NOT NULL; column source_generation is struct and not string; ' +
          'column source_offset (long) is missing; column needed is NOT NULL and has no source; ' +
          'it is partitioned by nothing and not by event_date.',
      )
      return true
    },
  )
})

test('a schema that is no JSON is a corrupt table', () => {
  assert.throws(
    () => checkSchema({ ...own, schemaString: '{"type":' }, columns, partitionColumns),
    (error) => isTailraceError(error, 'TABLE_CORRUPT'),
  )
})
