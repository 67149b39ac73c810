import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import type { JsonValue } from '../../../../src/json.ts'
import { columnCast, sqlType } from '../../../../src/sinks/delta/protocol/schema.ts'
import { workbench } from '../support.ts'

const entry: JsonValue = { name: 'a b', type: 'timestamp', nullable: true, metadata: {} }

test("a column gets the table's type, whatever the file calls it", async (t) => {
  const { engine } = await workbench(t)
  const cases: [JsonValue, value: string, engineType: string, text: string][] = [
    [
      'timestamp',
      "TIMESTAMP '2026-01-01 00:00:00.123456'",
      'TIMESTAMP WITH TIME ZONE',
      '2026-01-01 00:00:00.123456+00',
    ],
    ['timestamp_ntz', "TIMESTAMP '2026-01-01 00:00:00'", 'TIMESTAMP', '2026-01-01 00:00:00'],
    ['long', '7::INTEGER', 'BIGINT', '7'],
    ['short', '7', 'SMALLINT', '7'],
    ['decimal(10,2)', '7.5', 'DECIMAL(10,2)', '7.50'],
    ['binary', "'a'::BLOB", 'BLOB', 'a'],
    [{ type: 'array', elementType: 'long', containsNull: true }, '[1, NULL]', 'BIGINT[]', '[1, NULL]'],
    [
      { type: 'map', keyType: 'string', valueType: 'double', valueContainsNull: true },
      "MAP {'k': 1}",
      'MAP(VARCHAR, DOUBLE)',
      '{k=1.0}',
    ],
    [
      { type: 'struct', fields: [entry] },
      `{'a b': TIMESTAMP '2026-01-01 00:00:00'}`,
      'STRUCT("a b" TIMESTAMP WITH TIME ZONE)',
      `{'a b': '2026-01-01 00:00:00+00'}`,
    ],
  ]
  for (const [type, value, engineType, text] of cases) {
    const name = 'odd "name"'
    const [row] = await engine.rows(
      `SELECT typeof(c) AS type, c::VARCHAR AS text
        FROM (SELECT ${columnCast({ name, type })} FROM (SELECT ${value} AS "odd ""name""")) AS t(c)`,
    )
    assert.deepEqual(row, { type: engineType, text }, JSON.stringify(type))
  }
})

test('a type that is not written here is refused with the name of its column', () => {
  for (const type of ['variant', 'void', { type: 'array', elementType: 'variant', containsNull: true }]) {
    assert.throws(
      () => columnCast({ name: 'payload', type }),
      (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && error.message.includes('payload'),
    )
  }
})

test('a type has an engine type exactly if each type within it has one', () => {
  const struct = (...types: readonly JsonValue[]): JsonValue => ({
    type: 'struct',
    fields: types.map((type, index) => ({ name: `f${index}`, type, nullable: true, metadata: {} })),
  })
  const cases: [JsonValue | undefined, string | undefined][] = [
    ['string', 'VARCHAR'],
    ['decimal( 38 , 0 )', 'decimal( 38 , 0 )'],
    ['decimal(38,10)', 'decimal(38,10)'],
    ['decimal(10,2', undefined],
    ['my decimal(10,2)', undefined],
    ['decimal(10,2) x', undefined],
    ['decimal(10)', undefined],
    [undefined, undefined],
    [null, undefined],
    [7, undefined],
    [{ type: 'array', elementType: { type: 'array', elementType: 'byte' } }, 'TINYINT[][]'],
    [{ type: 'array', elementType: 'void' }, undefined],
    [{ type: 'array' }, undefined],
    [{ type: 'list', elementType: 'long' }, undefined],
    [{ type: 'map', keyType: 'string', valueType: 'float' }, 'MAP(VARCHAR, FLOAT)'],
    [{ type: 'map', keyType: 'void', valueType: 'float' }, undefined],
    [{ type: 'map', keyType: 'string', valueType: 'void' }, undefined],
    [{ type: 'mop', keyType: 'string', valueType: 'float' }, undefined],
    [struct('long', 'date'), 'STRUCT(f0 BIGINT, f1 DATE)'],
    [struct('long', 'void'), undefined],
    [struct('void', 'long'), undefined],
    [struct(), undefined],
    [struct(struct('boolean')), 'STRUCT(f0 STRUCT(f0 BOOLEAN))'],
  ]
  for (const [type, expected] of cases)
    assert.equal(sqlType(type)?.replaceAll('"', ''), expected, JSON.stringify(type))
})
