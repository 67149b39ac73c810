import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { commitPath } from '../../src/sinks/delta/protocol/actions.ts'
import { LocalDeltaStorage } from '../../src/sinks/delta/storage/local.ts'
import { sqlString } from '../../src/sinks/encoding/engine.ts'
import { archive } from '../sinks/delta/archive/support.ts'
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
import { askDeltaRs, changeByDeltaRs, createByDeltaRs, deltaRsMissing } from './delta-rs.ts'
import { withoutColumns } from './reshape.ts'
import { compareRows, rowsAsSql } from './same-rows.ts'

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

test('delta-rs and DuckDB see the same rows, offsets, types and comments', { skip }, async (t) => {
  const bench = await workbench(t)
  await fill(bench)
  const rows = join(await mkdtemp(join(bench.directory, 'rows-')), 'rows.parquet')
  const appId = `tailrace:${blob}@20261124T084700Z`
  const answer = await askDeltaRs({ table: bench.table, rows, applications: [appId] })

  assert.equal(answer.version, 11)
  assert.deepEqual(answer.protocol, [1, 2])
  assert.deepEqual(answer.offsets, { [appId]: 1000 })
  assert.deepEqual(answer.columns, Object.fromEntries(columns.map(({ name, type }) => [name, type])))
  assert.deepEqual(answer.comments, Object.fromEntries(columns.map(({ name, comment }) => [name, comment])))

  assert.deepEqual(await compareRows(bench, rows), { seen: 100, missing: 0, surplus: 0 })
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
  while (committer.tableVersion < 22) {
    const start = committer.landed().get({ blob, generation: '20261124T084700Z' })!
    const source = span(blob, start, start + 10)
    await committer.land([source], await encode(bench, source, [{ offset: start, seed: start }]))
  }
  await committer.close()
  for (let version = 0; version < 20; version += 1) await rm(join(bench.table, commitPath(version)))

  const rows = join(bench.directory, 'rows.parquet')
  const key = `${blob}@20261124T084700Z`
  const answer = await askDeltaRs({ table: bench.table, rows, applications: [`tailrace:${key}`] })
  assert.equal(answer.version, 22)
  assert.deepEqual(answer.offsets, { [`tailrace:${key}`]: 1110 })
  assert.deepEqual(await compareRows(bench, rows), { seen: 111, missing: 0, surplus: 0 })
})

test('a table that delta-rs appends to, compacts and checkpoints is read, landed on and replaced', {
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
  assert.deepEqual([...reopened.landed()], [...committer.landed()])
  const rows = join(bench.directory, 'rows.parquet')
  await askDeltaRs({ table: bench.table, rows })
  assert.deepEqual(await compareRows(bench, rows), { seen: 103, missing: 0, surplus: 0 })
})

test('a partitioned table that delta-rs created and checkpointed is landed on and read by delta-rs', {
  skip,
}, async (t) => {
  const bench = await workbench(t)
  await fill(bench)
  const table = join(bench.directory, 'theirs')
  await createByDeltaRs(bench.table, table)
  // Only the checkpoint has the beginning.
  for (let version = 0; version < 2; version += 1) await rm(join(table, commitPath(version)))
  const committer = committerOf(bench, { storage: new LocalDeltaStorage(table) })
  await committer.open()
  for (let start = 0; start < 120; start += 10) {
    const source = span('logs/new', start, start + 10)
    await committer.land([source], await encode(bench, source, [{ offset: start, seed: start }]))
  }
  await committer.close()
  const rows = join(bench.directory, 'rows.parquet')
  const answer = await askDeltaRs({
    table,
    rows,
    applications: ['tailrace:logs/new@20261124T084700Z'],
  })
  assert.deepEqual(Object.values(answer.offsets), [120])
  assert.deepEqual(await compareRows(bench, rows, table), { seen: 112, missing: 0, surplus: 0 })

  // Our checkpoint is there, and carries all of it.
  for (let version = 2; version < 12; version += 1) await rm(join(table, commitPath(version)))
  await rm(join(table, '_delta_log', '00000000000000000002.checkpoint.parquet'))
  await askDeltaRs({ table, rows })
  assert.deepEqual(await compareRows(bench, rows, table), { seen: 112, missing: 0, surplus: 0 })
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
  assert.deepEqual(await compareRows(bench, rows), { seen: 100 + 8 + landed, missing: 0, surplus: 0 })
})

test('columns that are added by this writer, and by delta-rs, are read by both and landed on', {
  skip,
}, async (t) => {
  const bench = await workbench(t)
  const fewer = columns.filter(({ name }) => !['query_id', 'message', 'pid'].includes(name))
  const first = committerOf(bench, { columns: fewer })
  await first.open()
  const land = async (committer: typeof first, start: number) => {
    const source = span(blob, start, start + 20)
    const places = [
      { offset: start, seed: start },
      { offset: start + 10, seed: start + 7 },
    ]
    await committer.land([source], await encode(bench, source, places))
  }
  const source = span(blob, 0, 20)
  const places = [
    { offset: 0, seed: 0 },
    { offset: 10, seed: 7 },
  ]
  await first.land(
    [source],
    await withoutColumns(bench, await encode(bench, source, places), 'query_id, pid, message'),
  )

  const evolving = committerOf(bench, { evolve: true })
  await evolving.open()
  await land(evolving, 20)
  const rows = join(bench.directory, 'rows.parquet')
  const filters: [string, string, string][] = [['query_id', '<=', '-6883023751393440279']]
  const evolved = await askDeltaRs({ table: bench.table, rows, filters })
  assert.deepEqual(Object.keys(evolved.columns).slice(-3), ['query_id', 'pid', 'message'])
  assert.equal(evolved.comments.message, 'A text.')
  const written = await bench.engine.rows(
    `SELECT source_offset::INTEGER AS place, query_id::VARCHAR AS id FROM ${sqlString(rows)} ORDER BY place`,
  )
  assert.deepEqual(written, [
    { place: 0, id: null },
    { place: 10, id: null },
    { place: 20, id: '-6883023751393440279' },
    { place: 30, id: '-6883023751393440272' },
  ])
  assert.deepEqual([evolved.filters[0]?.rows, evolved.filters[0]?.queried_rows], [1, 1])

  await changeByDeltaRs(bench.table, 'add-column', 'checkpoint')
  await land(evolving, 40)
  const reopened = committerOf(bench)
  await reopened.open()
  await land(reopened, 60)
  const both = await askDeltaRs({ table: bench.table, rows })
  assert.equal(both.columns.their_note, 'string')
  assert.deepEqual(
    await bench.engine.rows(
      `SELECT count(*)::INTEGER AS rows, count(their_note)::INTEGER AS noted FROM ${sqlString(rows)}`,
    ),
    [{ rows: 9, noted: 1 }],
  )
})

test('a table with an offset archive is read, appended to and checkpointed by delta-rs, and landing goes on', {
  skip,
}, async (t) => {
  const bench = await workbench(t)
  await fill(bench)
  await archive(bench)
  const rows = join(await mkdtemp(join(bench.directory, 'rows-')), 'rows.parquet')
  await askDeltaRs({ table: bench.table, rows })
  assert.deepEqual(await compareRows(bench, rows), { seen: 100, missing: 0, surplus: 0 })
  await changeByDeltaRs(bench.table, 'append', 'checkpoint', 'append')
  for (let version = 0; version < 10; version += 1) await rm(join(bench.table, commitPath(version)))

  const committer = committerOf(bench)
  await committer.open()
  const twice = span(blob, 0, 100)
  await assert.rejects(
    async () => committer.land([twice], await encode(bench, twice, [{ offset: 0, seed: 0 }])),
    { code: 'COMMIT_FENCED' },
  )
  const next = span(blob, 1000, 1010)
  await committer.land([next], await encode(bench, next, [{ offset: 1000, seed: 7 }]))
  assert.equal((await rowsOf(bench)).length, 103)
})
