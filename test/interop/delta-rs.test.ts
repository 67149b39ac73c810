import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { commitPath } from '../../src/sinks/delta/delta-action.ts'
import { readTable } from '../../src/sinks/delta/live-files.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/local-delta-storage.ts'
import { sqlString } from '../../src/sinks/duckdb.ts'
import {
  columns,
  committerOf,
  encode,
  rowsOf,
  span,
  type Workbench,
  workbench,
} from '../sinks/delta/support.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { askDeltaRs, changeByDeltaRs, deltaRsMissing } from './delta-rs.ts'

const skip = skipUnless(await deltaRsMissing())
const blob = 'logs/y=2026/pg é.json'

/** Lands a few batches and replaces the middle of them. */
async function fill(bench: Workbench): Promise<void> {
  const committer = committerOf(bench)
  await committer.open()
  for (let start = 0; start < 1000; start += 100) {
    const source = span(blob, start, start + 100)
    const rows = Array.from({ length: 10 }, (_, index) => ({
      offset: start + index * 10,
      seed: start / 10 + index,
    }))
    await committer.land([source], await encode(bench, source, rows))
  }
  const range = span(blob, 250, 450)
  const rows = Array.from({ length: 20 }, (_, index) => ({ offset: 250 + index * 10, seed: 500 + index }))
  await committer.replace(range, [await encode(bench, range, rows)])
}

/** All rows of a table as DuckDB reads them from the live files, as a SQL subquery. */
async function rowsAsSql(bench: Workbench): Promise<string> {
  const storage = new LocalDeltaStorage(bench.table)
  const contents = await readTable(storage, bench.engine)
  const parts = (contents?.files ?? []).map(async (file) => {
    const { path } = await storage.localFile(file.path)
    const date = file.partitionValues.event_date
    const value = date == null ? 'NULL' : sqlString(date)
    return `SELECT *, ${value}::DATE AS event_date FROM read_parquet(${sqlString(path)}, hive_partitioning = false)`
  })
  return `(${(await Promise.all(parts)).join(' UNION ALL BY NAME ')})`
}

/** Compares the rows that delta-rs wrote to a file with the live rows, value by value. */
async function compare(bench: Workbench, rows: string) {
  const names = columns.map(({ name }) => name).join(', ')
  const ours = `SELECT ${names} FROM ${await rowsAsSql(bench)}`
  const theirs = `SELECT ${names} FROM read_parquet(${sqlString(rows)})`
  const [counts] = await bench.engine.rows(
    `SELECT (SELECT count(*) FROM (${theirs}))::INTEGER AS seen,
      (SELECT count(*) FROM (${ours} EXCEPT ALL ${theirs}))::INTEGER AS missing,
      (SELECT count(*) FROM (${theirs} EXCEPT ALL ${ours}))::INTEGER AS surplus`,
  )
  return counts
}

test('delta-rs and DuckDB see the same rows, offsets, types and comments', { skip }, async (t) => {
  const bench = await workbench(t)
  await fill(bench)
  const rows = join(await mkdtemp(join(bench.directory, 'rows-')), 'rows.parquet')
  const appId = `tailrace/primary/${blob}@20261124T084700Z`
  const answer = await askDeltaRs({ table: bench.table, rows, applications: [appId] })

  assert.equal(answer.version, 11)
  assert.deepEqual(answer.protocol, [1, 2])
  assert.deepEqual(answer.offsets, { [appId]: 1000 })
  assert.deepEqual(answer.columns, Object.fromEntries(columns.map(({ name, type }) => [name, type])))
  assert.deepEqual(answer.comments, Object.fromEntries(columns.map(({ name, comment }) => [name, comment])))

  assert.deepEqual(await compare(bench, rows), { seen: 100, missing: 0, surplus: 0 })
})

test('a filter that lets delta-rs skip files by their statistics finds every row', { skip }, async (t) => {
  const bench = await workbench(t)
  await fill(bench)
  const table = await rowsAsSql(bench)
  const names = columns.map(({ name }) => name).filter((name) => name !== 'is_slow')
  const filters: [string, string, string][] = []
  for (const name of names) {
    const values = await bench.engine.rows(
      `SELECT DISTINCT ${name}::VARCHAR AS text FROM ${table} WHERE ${name} IS NOT NULL ORDER BY hash(text) LIMIT 5`,
    )
    for (const { text } of values)
      filters.push(...['=', '<=', '>='].map((sign) => [name, sign, String(text)] as [string, string, string]))
  }
  const expected = []
  for (const [name, sign, text] of filters) {
    const [row] = await bench.engine.rows(
      `SELECT count(*)::INTEGER AS n FROM ${table} WHERE ${name} ${sign} ${sqlString(text)}`,
    )
    expected.push(row?.n)
  }

  const answer = await askDeltaRs({ table: bench.table, filters })
  assert.deepEqual(
    answer.filters.map(({ rows }, index) => [filters[index], rows]),
    expected.map((count, index) => [filters[index], count]),
  )
  assert.deepEqual(
    answer.filters.map(({ queried_rows }, index) => [filters[index], queried_rows]),
    expected.map((count, index) => [filters[index], count]),
  )
  for (const name of ['source_offset', 'query_id', 'event_time', 'event_date']) {
    const skipped = answer.filters.some(
      ({ files }, index) => filters[index]?.[0] === name && files < answer.files,
    )
    assert.ok(skipped, `no file was skipped by ${name}`)
  }
})

test('delta-rs reads a table whose older commits are only in a checkpoint', { skip }, async (t) => {
  const bench = await workbench(t)
  await fill(bench)
  const committer = committerOf(bench)
  await committer.open()
  const key = `${blob}@20261124T084700Z`
  while (committer.tableVersion < 22) {
    const start = committer.committed().get(key)!.offset
    const source = span(blob, start, start + 10)
    await committer.land([source], await encode(bench, source, [{ offset: start, seed: start }]))
  }
  await committer.close()
  for (let version = 0; version < 20; version += 1) await rm(join(bench.table, commitPath(version)))

  const rows = join(bench.directory, 'rows.parquet')
  const answer = await askDeltaRs({ table: bench.table, rows, applications: [`tailrace/primary/${key}`] })
  assert.equal(answer.version, 22)
  assert.deepEqual(answer.offsets, { [`tailrace/primary/${key}`]: 1110 })
  assert.deepEqual(await compare(bench, rows), { seen: 111, missing: 0, surplus: 0 })
})

test('what delta-rs appends, compacts and checkpoints is read, landed on and replaced', {
  skip,
}, async (t) => {
  const bench = await workbench(t)
  await fill(bench)
  const committer = committerOf(bench)
  await committer.open()
  const before = await rowsOf(bench)
  await changeByDeltaRs(bench.table, 'append', 'append', 'compact', 'append', 'checkpoint', 'append')
  const appended = (line: string) => line.includes('"source_blob":"logs/delta-rs"')
  const found = await rowsOf(bench)
  assert.equal(found.filter(appended).length, 4)
  assert.deepEqual(
    found.filter((line) => !appended(line)),
    before,
  )

  const source = span(blob, 1000, 1010)
  const { tableVersion } = await committer.land(
    [source],
    await encode(bench, source, [{ offset: 1000, seed: 5 }]),
  )
  assert.deepEqual(await committer.replace(span('logs/delta-rs', 0, 2), []), {
    tableVersion: tableVersion! + 1,
    removedRows: 2,
  })
  const reopened = committerOf(bench)
  await reopened.open()
  assert.deepEqual(reopened.committed(), committer.committed())
  const rows = join(bench.directory, 'rows.parquet')
  await askDeltaRs({ table: bench.table, rows })
  assert.deepEqual(await compare(bench, rows), { seen: 103, missing: 0, surplus: 0 })
})

test('delta-rs and this writer append at the same time and lose nothing', { skip }, async (t) => {
  const bench = await workbench(t)
  await fill(bench)
  const committer = committerOf(bench)
  await committer.open()
  const appends = Array.from({ length: 8 }, () => 'append' as const)
  let appending = true
  let landed = 0
  const ours = async () => {
    while (appending && landed < 100) {
      const source = span('logs/busy', landed * 10, landed * 10 + 10)
      await committer.land([source], await encode(bench, source, [{ offset: source.start, seed: landed }]))
      landed += 1
    }
  }
  const theirs = changeByDeltaRs(bench.table, ...appends).finally(() => {
    appending = false
  })
  await Promise.all([theirs, ours()])
  await committer.close()
  const rows = join(bench.directory, 'rows.parquet')
  const answer = await askDeltaRs({ table: bench.table, rows })
  assert.equal(answer.version, 11 + 8 + landed)
  assert.deepEqual(await compare(bench, rows), { seen: 100 + 8 + landed, missing: 0, surplus: 0 })
})
