import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import type { MetaDataAction } from '../../../../src/sinks/delta/protocol/actions.ts'
import { SchemaPlan } from '../../../../src/sinks/delta/protocol/schema.ts'
import type { Column } from '../../../../src/tables/table.ts'

const [a, b, c]: readonly Column[] = [
  { name: 'a', type: 'long', comment: 'An a.' },
  { name: 'b', type: 'string', comment: 'A b.' },
  { name: 'c', type: 'date', comment: 'A c.' },
]
const fieldOf = ({ name, type, comment }: Column) => ({ name, type, nullable: true, metadata: { comment } })

function tableOf(...columns: readonly (Column | undefined)[]): MetaDataAction {
  const fields = columns.map((column) => ({ ...fieldOf(column!), metadata: { 'a.b': 0 } }))
  // As another writer may have it: a number that JavaScript rounds, a property of the type, no options.
  const text = JSON.stringify({ type: 'struct', more: true, fields }).replaceAll(
    '"a.b":0',
    '"a.b":9007199254740993',
  )
  return {
    id: 'x',
    format: { provider: 'parquet' },
    schemaString: text,
    partitionColumns: ['a'],
    createdTime: 5,
  }
}

test('a plan without a missing column keeps the schema of the table and commits none', () => {
  const base = tableOf(a, b)
  for (const columns of [[], [a!], [b!, a!]]) {
    const plan = new SchemaPlan(base, columns)
    assert.equal(plan.metaData, base)
    assert.deepEqual(plan.actions, [])
  }
})

test('missing columns are added at the end, nullable, and everything else stays as it was, digit by digit', () => {
  const base = tableOf(a)
  const plan = new SchemaPlan(base, [c!, a!, b!])
  const expected = {
    ...base,
    format: { provider: 'parquet', options: {} },
    configuration: {},
    schemaString: base.schemaString.replace(
      /\]\}$/,
      `,${JSON.stringify(fieldOf(c!))},${JSON.stringify(fieldOf(b!))}]}`,
    ),
  }
  assert.deepEqual(plan.metaData, expected)
  assert.deepEqual(plan.actions, [{ metaData: plan.metaData }])
  assert.match(plan.metaData.schemaString, /9007199254740993/)

  const given = { ...base, format: { provider: 'parquet', options: { x: '1' } }, configuration: { y: '2' } }
  const { format, configuration } = new SchemaPlan(given, [b!]).metaData
  assert.deepEqual([format, configuration], [given.format, given.configuration])
})

test("a plan is outdated by another writer's schema if it would undo it, or lacks a column that its rows have", () => {
  const base = tableOf(a)
  const adds = new SchemaPlan(base, [a!, b!])
  assert.equal(adds.isOutdatedBy(base), false)
  assert.equal(adds.isOutdatedBy(tableOf(a, b)), true)
  assert.equal(adds.isOutdatedBy(tableOf(a)), true)

  const adding = new SchemaPlan(base, [a!])
  assert.equal(adding.isOutdatedBy(tableOf(a, c)), false)
  assert.equal(adding.isOutdatedBy(tableOf(c)), true)
  assert.equal(new SchemaPlan(base, []).isOutdatedBy(tableOf(c)), false)
})

test('a schema that is no struct is a corrupt table', () => {
  for (const schemaString of [
    '{',
    'null',
    '[]',
    '{"type":"array","fields":[]}',
    '{"type":"struct","fields":7}',
  ])
    assert.throws(
      () => new SchemaPlan({ ...tableOf(a), schemaString }, [a!]),
      (error) => isTailraceError(error, 'TABLE_CORRUPT'),
      schemaString,
    )
})

test('a field of a foreign schema counts as nullable unless it says that it is not, and what is no field is left out', () => {
  const base = {
    ...tableOf(a),
    schemaString: '{"type":"struct","fields":[7,null,{"name":"a"},{"name":"b","metadata":3}]}',
  }
  assert.deepEqual(new SchemaPlan(base, [a!, b!]).actions, [])
  assert.equal(new SchemaPlan(base, [c!]).actions.length, 1)
})
