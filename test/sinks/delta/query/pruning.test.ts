import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { LiveFile, TableContents } from '../../../../src/sinks/delta/files/live-files.ts'
import { matchingFiles } from '../../../../src/sinks/delta/query/pruning.ts'
import { readTable } from '../../../../src/sinks/delta/query/read-table.ts'
import { type EmbeddedEngine, sqlString } from '../../../../src/sinks/encoding/engine.ts'
import { columns, committerOf, encode, span, workbench } from '../support.ts'

/** One file of three columns: `c0` a long, `c1` a text, and the partition column `c2`, a date. */
function tableOf(...files: Partial<LiveFile>[]): TableContents {
  return {
    tableVersion: 1,
    partitionColumns: ['day'],
    columns: [
      { name: 'id', type: 'long', sqlType: 'BIGINT' },
      { name: 'text', type: 'string', sqlType: 'VARCHAR' },
      { name: 'day', type: 'date', sqlType: 'DATE' },
      { name: 'ratio', type: 'double', sqlType: 'DOUBLE' },
      { name: 'at', type: 'timestamp', sqlType: 'TIMESTAMPTZ' },
    ],
    files: files.map((file, index) => ({
      path: String(index),
      partitionValues: { day: null },
      bytes: 1,
      ...file,
    })),
  }
}

async function engineOf(t: TestContext): Promise<EmbeddedEngine> {
  return (await workbench(t)).engine
}

test('a file is kept by every condition that one of its rows meets', async (t) => {
  const bench = await workbench(t)
  const committer = committerOf(bench)
  await committer.open()
  for (let start = 0; start < 300; start += 60) {
    const source = span('logs/a name of more than thirty-two characters', start, start + 60)
    const rows = [0, 1, 2, 3, 4, 5].map((index) => ({ offset: start + index * 10, seed: start + index * 7 }))
    await committer.land([source], await encode(bench, source, rows))
  }
  const contents = (await readTable(bench.storage, bench.engine))!
  let tested = 0
  for (const file of contents.files) {
    const { path } = await bench.storage.localFile(file.path)
    const day = file.partitionValues.event_date
    const rows = await bench.engine.rows(
      `SELECT *, ${day == null ? 'NULL' : sqlString(day)}::DATE AS event_date FROM read_parquet(${sqlString(path)}, hive_partitioning = false)`,
    )
    for (const row of rows) {
      const filters = contents.columns.flatMap(({ name, sqlType }, index) => {
        const column = `c${index}`
        if (row[name] === null) return [`(${column} IS NULL)`]
        const value = `${sqlString(String(row[name]))}::${sqlType}`
        return [
          ...['=', '<=', '>='].map((sign) => `${column}${sign}${value}`),
          `${column} IN (${value}, ${value})`,
          `(${column} IS NOT NULL)`,
          `((${column} = ${value}) OR (${column} IS NULL))`,
        ]
      })
      for (const filter of [filters, ...filters.map((one) => [one])]) {
        const kept = await matchingFiles(bench.engine, contents, [{ filters: filter }])
        assert.ok(kept.includes(file), `${filter.join(' AND ')} ruled out a file that has such a row`)
        tested += 1
        if (tested % 7 !== 0) break
      }
    }
  }
  assert.ok(tested >= 30 && columns.length === contents.columns.length)
})

test('a condition excludes the files that cannot have matching rows', async (t) => {
  const engine = await engineOf(t)
  const stats = (values: object): { stats: string } => ({ stats: JSON.stringify(values) })
  const table = tableOf(
    stats({
      numRecords: 2,
      minValues: { id: 5, text: 'b', at: '2026-01-01T00:00:00.000Z' },
      maxValues: { id: 9, text: 'd', at: '2026-01-01T00:00:00.123Z', ratio: 2 },
      nullCount: { id: 0, text: 1, at: 0 },
    }),
    { partitionValues: { day: '2026-01-02' }, ...stats({ numRecords: 1, nullCount: { id: 1, text: 0 } }) },
    { partitionValues: { day: '' } },
    { stats: 'no JSON' },
  )
  const cases: [filter: string, kept: string][] = [
    ['c0=5', '023'],
    ['c0=10', '23'],
    ['c0<5', '23'],
    ['c0<=5', '023'],
    ['c0>9', '23'],
    ['c0>=9', '023'],
    ['c0 IN (1, 7)', '023'],
    ['c0 IN (1, 10)', '23'],
    ['c0=-6883023751393440299', '23'],
    ['(c0 IS NULL)', '123'],
    ['(c0 IS NOT NULL)', '023'],
    ["c1>='e'", '123'],
    ["c1='it''s'", '123'],
    ['(c1 IS NULL)', '023'],
    ["c2='2026-01-02'::DATE", '1'],
    ["c2<'2026-01-02'::DATE", ''],
    ['(c2 IS NULL)', '023'],
    // NaN is beyond every bound of a double.
    ['c3>5.0', '0123'],
    ["c4>'2026-01-01 00:00:00.123999+00'::TIMESTAMP WITH TIME ZONE", '0123'],
    ["c4>'2026-01-01 00:00:00.124000+00'::TIMESTAMP WITH TIME ZONE", '123'],
    ['((c0 = 1) OR (c0 = 6))', '023'],
    ['((c0 = 1) OR (c0 = 2))', '23'],
    ['((c0 >= 1) AND (c0 <= 2))', '23'],
    // What is not understood rules out nothing, and neither does an OR with it.
    ['((c0 = 1) OR (c0 = length(c1)))', '0123'],
    ['((c0 = 1) AND (c0 = length(c1)))', '23'],
    ['c0=NULL', '023'],
    ['c0!=7', '0123'],
    ["(lower(c1) = 'x')", '0123'],
    ['c9=1', '0123'],
    ['Dynamic Filter (c0)', '0123'],
    ["c1='unfinished", '0123'],
    ['', '0123'],
    ['true; SELECT 1 WHERE c0=1', '0123'],
  ]
  for (const [filter, kept] of cases) {
    const files = await matchingFiles(engine, table, [{ filters: [filter] }])
    assert.equal(files.map(({ path }) => path).join(''), kept, filter)
  }
  const either = await matchingFiles(engine, table, [
    { filters: ['c0=10'] },
    { filters: ['(c0 IS NULL)', "(lower(c1) = 'x')"] },
  ])
  assert.deepEqual(
    either.map(({ path }) => path),
    ['1', '2', '3'],
  )
  assert.deepEqual(await matchingFiles(engine, table, []), [])
  assert.equal((await matchingFiles(engine, table, [{ filters: ['c0=10'] }, { filters: [] }])).length, 4)
})

test('statistics that are wrong in form are no bounds', async (t) => {
  const engine = await engineOf(t)
  for (const bound of ['null', '"x"', '{}', '1.5e400', '[1]', 'true', '"\\u0000"']) {
    const table = tableOf({
      stats: `{"numRecords":1,"minValues":{"id":${bound}},"maxValues":{"id":${bound}}}`,
    })
    assert.equal((await matchingFiles(engine, table, [{ filters: ['c0=3'] }])).length, 1, bound)
  }
  const half = tableOf({
    stats: '{"numRecords":1,"minValues":{"text":"\\ud834"},"maxValues":{"text":"\\ud834"}}',
  })
  assert.equal((await matchingFiles(engine, half, [{ filters: ["c1='a'"] }])).length, 1)
  const counts = tableOf(
    { stats: '{"nullCount":{"id":"0"}}' },
    { stats: '{"numRecords":"1","nullCount":{"id":1}}' },
  )
  assert.equal((await matchingFiles(engine, counts, [{ filters: ['c0=3'] }])).length, 2)
  assert.equal((await matchingFiles(engine, counts, [{ filters: ['(c0 IS NULL)'] }])).length, 2)
})

test('files beyond the limit of one statement are read by further statements', async (t) => {
  const engine = await engineOf(t)
  const files = Array.from({ length: 2_500 }, (_, id) => ({
    stats: JSON.stringify({ numRecords: 1, minValues: { id }, maxValues: { id } }),
  }))
  const kept = await matchingFiles(engine, tableOf(...files), [{ filters: ['c0>=999 AND c0<=1001'] }])
  assert.deepEqual(
    kept.map(({ path }) => path),
    ['999', '1000', '1001'],
  )
})
