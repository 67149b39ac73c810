import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { SqlFailure } from '../../doubles/workspace/warehouse-engine.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { elsewhere, plainColumnsSql } from './plain-table.ts'
import {
  appendLines,
  catalog,
  landAll,
  openWorkspaceBench,
  schema,
  tableSql,
  type WorkspaceBench,
} from './workspace-bench.ts'

const table = `${catalog}.${schema}.primary_logs`
const offsetsSql = `"${catalog}"."${schema}"."tailrace_offsets"`

type Mode = NonNullable<DatabricksSinkConfig['mode']>

/** Lands everything in a mode. @returns how many rows that run has landed */
async function landIn(bench: WorkspaceBench, mode: Mode): Promise<number> {
  return (await landAll(bench.config({ mode }))).pipelines.primary?.rows ?? 0
}

/** Every row, and every place of one. */
async function counted(bench: WorkspaceBench): Promise<readonly number[]> {
  const [found] = await bench.warehouse.rows(
    `SELECT count(*)::INTEGER AS n, count(DISTINCT source_offset)::INTEGER AS places FROM ${tableSql}`,
  )
  return [Number(found?.n), Number(found?.places)]
}

async function loseState(bench: WorkspaceBench): Promise<void> {
  await rm(join(bench.directory, 'state'), { recursive: true, force: true })
}

test('a pipeline moves from each mode to each other with its offsets, and lands only what is new', async (t) => {
  const bench = await openWorkspaceBench(t)
  await bench.warehouse.execute(createTable(bench), elsewhere)
  const loops = ['replace-where', 'copy-into', 'merge', 'replace-where', 'merge', 'copy-into'] as const
  const byTransactions = ['transaction', 'copy-into', 'transaction', 'merge', 'transaction'] as const
  // Every ordered pair once: without transactions before the table has offsets, and with them afterwards.
  const modes: readonly Mode[] = [...loops, 'replace-where', ...byTransactions, 'replace-where']
  const moves = modes.slice(1).map((mode, index) => `${modes[index]} to ${mode}`)
  assert.equal(new Set(moves).size, 12)
  for (const [index, mode] of modes.entries()) {
    const move = moves[index - 1]
    await appendLines(bench, index * 5, 5)
    assert.equal(await landIn(bench, mode), 5, move)
    const all = (index + 1) * 5
    assert.deepEqual(await counted(bench), [all, all], move)
  }
})

for (const from of ['copy-into', 'merge'] as const) {
  test(`a pipeline of ${from} begins to land by transactions where it was, and lands only what is new`, async (t) => {
    const bench = await openWorkspaceBench(t)
    await bench.warehouse.execute(createTable(bench), elsewhere)
    await appendLines(bench, 0, 20)
    assert.equal(await landIn(bench, from), 20)
    await appendLines(bench, 20, 10)
    assert.equal(await landIn(bench, 'transaction'), 10)
    assert.deepEqual(await counted(bench), [30, 30])
  })
}

for (const mode of ['auto', 'transaction', 'replace-where'] as const) {
  test(`a lost state directory costs ${mode} no row and doubles none`, async (t) => {
    const bench = await openWorkspaceBench(t)
    await appendLines(bench, 0, 20)
    await landIn(bench, mode)
    await loseState(bench)
    await appendLines(bench, 20, 10)
    assert.equal(await landIn(bench, mode), 10)
    assert.deepEqual(await counted(bench), [30, 30])
  })
}

test('without a mode a new table gets transactions, and a table that takes none gets its ranges replaced', async (t) => {
  const bench = await openWorkspaceBench(t)
  await appendLines(bench, 0, 5)
  await landIn(bench, 'auto')
  assert.equal(bench.warehouse.statements.get('BEGIN ATOMIC'), 2, 'one begins the offsets, one lands')
  const plain = await openWorkspaceBench(t, {}, { catalogCommits: false })
  await appendLines(plain, 0, 5)
  await landIn(plain, 'auto')
  assert.equal(plain.warehouse.statements.get('BEGIN ATOMIC'), undefined)
  assert.equal(plain.warehouse.statements.get('INSERT'), 1)
  assert.deepEqual(await counted(plain), [5, 5])
  await assert.rejects(landIn(plain, 'transaction'), unsupported(/no catalog-managed commits/))
})

test('the upgrade to catalog-managed commits is offered only where transactions can land after it', async (t) => {
  const bench = await openWorkspaceBench(t, {}, { catalogCommits: false })
  await appendLines(bench, 0, 5)
  await landIn(bench, 'auto')
  await assert.rejects(landIn(bench, 'transaction'), unsupported(/ALTER TABLE/))
  bench.warehouse.restrict(table, { rowFilter: 'source_offset < 0' })
  await assert.rejects(
    landIn(bench, 'transaction'),
    unsupported(/Set sink\.mode to copy-into, or leave it out\.$/),
  )
})

for (const reads of ['copy', 'files'] as const) {
  test(`a warehouse whose transactions read ${reads === 'copy' ? 'by COPY INTO' : 'files by a query'} only lands every line once`, async (t) => {
    const bench = await openWorkspaceBench(t, {}, { transactionReads: reads })
    await appendLines(bench, 0, 20)
    assert.equal(await landIn(bench, 'transaction'), 20)
    await appendLines(bench, 20, 10)
    assert.equal(await landIn(bench, 'transaction'), 10)
    assert.deepEqual(await counted(bench), [30, 30])
  })
}

test('rows beyond the offset file stop a move to transactions, and auto lands by ranges until they agree', async (t) => {
  const bench = await openWorkspaceBench(t)
  await bench.warehouse.execute(createTable(bench), elsewhere)
  await appendLines(bench, 0, 10)
  await landIn(bench, 'replace-where')
  const earlier = await bench.saveState()
  await appendLines(bench, 10, 10)
  await landIn(bench, 'replace-where')
  await bench.restoreState(earlier)
  await assert.rejects(landIn(bench, 'transaction'), unsupported(/rows of 1 blobs beyond the offset file/))
  await landIn(bench, 'auto')
  assert.deepEqual(await counted(bench), [20, 20])
  await appendLines(bench, 20, 5)
  assert.equal(await landIn(bench, 'auto'), 5)
  assert.deepEqual(await counted(bench), [25, 25])
  const [authority] = await bench.warehouse.rows(
    `SELECT count(*)::INTEGER AS n FROM ${offsetsSql} WHERE source_blob = '' AND target <> ''`,
  )
  assert.equal(authority?.n, 1)
})

test('in a schema whose texts ignore case, a run takes the table that it creates, and compares blobs by bytes', async (t) => {
  const bench = await openWorkspaceBench(t, {}, { defaultCollation: 'UTF8_LCASE' })
  await appendLines(bench, 0, 5)
  const config = bench.config({ mode: 'transaction', evolve: false })
  await landAll(config)
  await landAll(config)
  const binary = (name: string) =>
    bench.warehouse
      .tableDefinition(`${catalog}.${schema}.${name}`)
      ?.columns.filter(({ type }) => type.kind === 'scalar' && type.collation === 'UTF8_BINARY')
      .map((column) => column.name)
  assert.deepEqual(binary('primary_logs')?.toSorted(), ['source_blob', 'source_generation'])
  assert.deepEqual(binary('tailrace_offsets'), ['target', 'source_blob', 'source_generation'])
})

test('an offsets table of a schema whose texts ignore case is altered, or refused with the statement for its owner', async (t) => {
  const bench = await openWorkspaceBench(t)
  await appendLines(bench, 0, 5)
  await landIn(bench, 'transaction')
  const offsets = `${catalog}.${schema}.tailrace_offsets`
  const collate = `ALTER TABLE ${offsets} ALTER COLUMN source_blob TYPE STRING COLLATE UTF8_LCASE`
  await bench.warehouse.execute(collate, elsewhere)
  await appendLines(bench, 5, 5)
  assert.equal(await landIn(bench, 'transaction'), 5)
  const [column] =
    bench.warehouse.tableDefinition(offsets)?.columns.filter(({ name }) => name === 'source_blob') ?? []
  assert.deepEqual(column?.type, { kind: 'scalar', name: 'STRING', collation: 'UTF8_BINARY' })
  await bench.warehouse.execute(collate, elsewhere)
  const failure = new SqlFailure('INSUFFICIENT_PERMISSIONS', '42501', 'Insufficient privileges.')
  bench.workspace.faults.add({ statement: /^ALTER TABLE/, fault: { kind: 'fail', failure } })
  await assert.rejects(
    landIn(bench, 'transaction'),
    unsupported(/source_blob of .*tailrace_offsets.*Its owner has to run ALTER TABLE/),
  )
})

const anyTable = ['replace-where', 'copy-into', 'merge'] as const

for (const mode of anyTable) {
  test(`a pipeline moves between zerobus and ${mode} with its offsets, and lands only what is new`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const land = async (by: Mode, from: number, count: number): Promise<void> => {
      await appendLines(bench, from, count)
      assert.equal(await landIn(bench, by), count)
      await bench.workspace.zerobusSettled()
      assert.deepEqual(await counted(bench), [from + count, from + count])
    }
    await land('zerobus', 0, 20)
    await land(mode, 20, 10)
    await land('zerobus', 30, 5)
    // Rows that were acknowledged to a process that was killed before it recorded them.
    const earlier = await bench.saveState()
    await land('zerobus', 35, 5)
    await bench.restoreState(earlier)
    if (mode === 'copy-into') await assert.rejects(landIn(bench, mode), isUnclear)
    else {
      assert.equal(await landIn(bench, mode), 5)
      assert.deepEqual(await counted(bench), [40, 40])
    }
  })
}

test('zerobus and transactions exclude each other by the table, and neither lands what the other has', async (t) => {
  const bench = await openWorkspaceBench(t)
  await appendLines(bench, 0, 10)
  await landIn(bench, 'zerobus')
  await bench.workspace.zerobusSettled()
  await assert.rejects(landIn(bench, 'transaction'), unsupported(/no catalog-managed commits/))
  await appendLines(bench, 10, 5)
  assert.equal(await landIn(bench, 'auto'), 5, 'by ranges')
  assert.deepEqual(await counted(bench), [15, 15])
})

function isUnclear(error: unknown): boolean {
  return isTailraceError(error, 'LOAD_UNCLEAR')
}

/** The statement of a table that every mode can load. */
function createTable(bench: WorkspaceBench): string {
  const columns = plainColumnsSql(bench.config().pipelines.primary!.table)
  return `CREATE TABLE ${table} (${columns}) TBLPROPERTIES ('delta.feature.catalogManaged' = 'supported')`
}

function unsupported(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTailraceError(error, 'TABLE_UNSUPPORTED'), String(error))
    assert.match(error.message, message)
    return true
  }
}
