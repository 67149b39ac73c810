import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parquetSql } from '../../src/sinks/encoding/engine.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { encoderFixture } from './encoder-harness.ts'

const dates = 200
const dayMs = 86_400_000

function dateOf(index: number): string {
  return new Date(Date.UTC(2015, 0, 1) + index * dayMs).toISOString().slice(0, 10)
}

test('a batch of hundreds of dates becomes one file per date with all of its rows, and each row is read a few times', async (t) => {
  const declaration = postgresLogs('logs.public.server')
  const years = { column: 'server_name', fromSql: `CASE WHEN pid % 2 = 0 THEN 'it''s' END` }
  for (const partitionColumns of [declaration.partitionColumns, [...declaration.partitionColumns, years]]) {
    const { engine, encoder, spool } = await encoderFixture(t, { ...declaration, partitionColumns })
    const entries = Array.from({ length: 1_000 }, (_, index) => ({
      raw: JSON.stringify({
        // Some records have no time, and their date is NULL.
        ...(index % 50 === 0
          ? { timestamp: 'never' }
          : { timestamp: `${dateOf((index * 7) % dates)} 08:54:35.875 UTC` }),
        pid: index,
        error_severity: 'LOG',
        message: `m${index}`,
      }),
    }))
    const scans: string[] = []
    const copy = engine.copy.bind(engine)
    engine.copy = async (sql, signal) => {
      const files = await copy(sql, signal)
      if (sql.includes('PARTITION_BY')) scans.push(...files.map(({ rows }) => String(rows)))
      return files
    }
    // The engine's memory grows with the files that a statement reads.
    let mostFiles = 0
    const rowsOf = engine.rows.bind(engine)
    engine.rows = (sql, signal) => {
      mostFiles = Math.max(mostFiles, sql.split('.parquet').length - 1)
      return rowsOf(sql, signal)
    }
    const encoded = await encoder.encode(await spool(entries))
    engine.rows = rowsOf
    assert.ok(mostFiles <= 3, `a statement reads ${mostFiles} files`)
    assert.ok(encoded.partial > 0)
    assert.equal(encoded.rows, entries.length)
    // Each level of division writes every row once.
    const written = scans.reduce((sum, rows) => sum + Number(rows), 0)
    assert.ok(written <= 4 * entries.length, `${written} rows written`)
    const keys = encoded.files.map(({ partition }) => JSON.stringify([...partition]))
    assert.equal(new Set(keys).size, encoded.files.length)
    for (const { path, partition, rows } of encoded.files) {
      const [found] = await engine.rows(`SELECT count(*)::INTEGER AS rows,
        count(DISTINCT event_time::DATE)::INTEGER AS dates, min(event_time::DATE)::VARCHAR AS date,
        count(*) FILTER (message IS NULL)::INTEGER AS broken,
        bool_and(pid % 2 = 0) AS even FROM ${parquetSql([path])}`)
      const date = partition.get('event_date') ?? null
      assert.deepEqual([found?.rows, found?.date, found?.broken], [rows, date, 0])
      assert.equal(found?.dates, date === null ? 0 : 1)
      if (partitionColumns.length > 1)
        assert.equal(found?.even, partition.get('server_name') === "it's", JSON.stringify([...partition]))
    }
  }
})
