import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import { compareText, fileStatistics } from '../../../../src/sinks/delta/protocol/statistics.ts'
import { type ColumnStatistics, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import type { ColumnType } from '../../../../src/tables/table.ts'
import { workbench } from '../support.ts'

function statisticsOf(type: ColumnType, column: Partial<ColumnStatistics>): string {
  const file = { rows: 3, columns: new Map([['c', { nullCount: 1, hasNan: false, ...column }]]) }
  return fileStatistics(file, [{ name: 'c', type }])
}

function expected(min?: string, max?: string): string {
  const of = (bound?: string) => (bound === undefined ? '{}' : `{"c":${bound}}`)
  return `{"numRecords":3,"minValues":${of(min)},"maxValues":${of(max)},"nullCount":{"c":1}}`
}

test('DuckDB statistics become Delta bounds by type, or none where no true bound can be stated', () => {
  const cases: [ColumnType, string, string, string | undefined, string | undefined][] = [
    ['long', '-6883023751393440299', '9223372036854775807', '-6883023751393440299', '9223372036854775807'],
    ['integer', '-1', '7', '-1', '7'],
    ['double', '-1e+300', '1e-07', '-1e+300', '1e-07'],
    ['double', '0.0', '-0.0', '-0.0', '0.0'],
    ['double', '1.0', 'inf', undefined, undefined],
    ['double', '-inf', '1.0', undefined, undefined],
    ['double', '1', '2.5e5', '1', '2.5e5'],
    ['double', '-12', '12.345e12', '-12', '12.345e12'],
    ['double', 'x1.5', '2.5', undefined, undefined],
    ['double', '1.5', '2.5x', undefined, undefined],
    ['long', '1.5', '+2', undefined, undefined],
    ['integer', '1', '2x', '1', undefined],
    ['boolean', '0', '1', undefined, undefined],
    ['date', '12026-01-01', '2026-01-011', undefined, undefined],
    ['date', '2026-01-01', '2026-12-31', '"2026-01-01"', '"2026-12-31"'],
    ['date', '0044-03-15 (BC)', 'infinity', undefined, undefined],
    [
      'timestamp',
      '2026-01-01 00:00:19+00',
      '2026-01-01 00:00:19.123999+00',
      '"2026-01-01T00:00:19.000Z"',
      '"2026-01-01T00:00:19.123Z"',
    ],
    [
      'timestamp',
      '1960-01-01 00:00:00.0009+00',
      '1960-01-01 00:00:00.1+00',
      '"1960-01-01T00:00:00.000Z"',
      '"1960-01-01T00:00:00.100Z"',
    ],
    ['timestamp', '12026-01-01 00:00:19+00', '2026-01-01 00:00:19+000', undefined, undefined],
    ['timestamp', '2026-01-01 00:00:19.1234567+00', '2026-01-01 00:00:19+02', undefined, undefined],
    ['timestamp', '-infinity', '10000-01-01 00:00:00+00', undefined, undefined],
    ['string', 'a"b\n', 'é', '"a\\"b\\n"', '"é"'],
  ]
  for (const [type, min, max, lower, upper] of cases) {
    assert.equal(statisticsOf(type, { min, max }), expected(lower, upper))
  }
  assert.equal(statisticsOf('double', { min: '1.5', max: '1.5', hasNan: true }), expected())
  assert.equal(statisticsOf('string', {}), expected())
  assert.equal(statisticsOf('string', { max: 'z' }), expected())
  assert.equal(statisticsOf('long', { min: '1' }), expected())
})

test('a column that a file lacks has no statistics in it', () => {
  const file = { rows: 3, columns: new Map([['c', { nullCount: 1, hasNan: false, min: '1', max: '2' }]]) }
  const indexed = ['b', 'c', 'd'].map((name) => ({ name, type: 'long' as const }))
  assert.equal(fileStatistics(file, indexed), expected('1', '2'))
})

test('every value of a written file lies within the bounds in its statistics', async (t) => {
  const { engine, staging } = await workbench(t)
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', '~', '\x7f', 'é', '𝄞', "'"), maxLength: 80 }),
    fc.string({ unit: 'grapheme', maxLength: 40 }).filter((value) => !value.includes('\0')),
    fc.integer({ min: 250, max: 600 }).map((length) => 'z'.repeat(length)),
  )
  const row = fc.record({
    text: fc.option(text),
    micros: fc.option(fc.integer({ min: -2_000_000_000_000_000, max: 4_000_000_000_000_000 })),
    long: fc.option(fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n })),
    double: fc.option(fc.double({ noNaN: false })),
  })
  const types = { text: 'string', micros: 'timestamp', long: 'long', double: 'double' } as const
  const indexed = Object.entries(types).map(([name, type]) => ({ name, type }))
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 6 }), async (rows) => {
      const values = rows.map(
        (r) =>
          `(${r.text === null ? 'NULL' : sqlString(r.text)}::VARCHAR, make_timestamptz(${r.micros ?? 'NULL'}::BIGINT), ` +
          `${r.long ?? 'NULL'}::BIGINT, '${r.double ?? 'nan'}'::DOUBLE)`,
      )
      run += 1
      const path = join(staging, `${run}.parquet`)
      const [file] = await engine.copy(
        `COPY (SELECT * FROM (VALUES ${values.join(', ')}) AS rows(text, micros, long, double))
         TO ${sqlString(path)} (FORMAT parquet, RETURN_STATS)`,
      )
      const stats = fileStatistics(file!, indexed)
      const { minValues: min, maxValues: max } = JSON.parse(stats)
      const long = (key: string) => new RegExp(`"${key}":\\{[^}]*"long":(-?\\d+)`).exec(stats)?.[1]
      for (const r of rows) {
        if (r.text !== null && min.text !== undefined) assert.ok(compareText(min.text, r.text) <= 0)
        if (r.text !== null && max.text !== undefined) assert.ok(compareText(r.text, max.text) <= 0)
        if (r.micros !== null && min.micros !== undefined) {
          assert.ok(Date.parse(min.micros) * 1000 <= r.micros)
          assert.ok(r.micros < (Date.parse(max.micros) + 1) * 1000)
        }
        if (r.double !== null && min.double !== undefined)
          assert.ok(min.double <= r.double && r.double <= max.double)
        if (r.long !== null)
          assert.ok(BigInt(long('minValues')!) <= r.long && r.long <= BigInt(long('maxValues')!))
      }
    }),
    { numRuns: 150 },
  )
})
