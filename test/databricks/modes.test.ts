import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { isTailraceError } from '../../src/errors.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { elsewhere, plainColumnsSql } from './plain-table.ts'
import {
  catalog,
  landAll,
  openWorkspaceBench,
  schema,
  tableSql,
  type WorkspaceBench,
} from './workspace-bench.ts'

const blob = 'primary.ndjson'
const table = `${catalog}.${schema}.primary_logs`
const offsetsSql = `"${catalog}"."${schema}"."tailrace_offsets"`

type Mode = NonNullable<DatabricksSinkConfig['mode']>

async function append(bench: WorkspaceBench, from: number, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, index) => jsonlogLine(from + index))
  await bench.storage.append(blob, linesAsBytes(lines))
}

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

const modes = ['transaction', 'replace-where', 'copy-into', 'merge'] as const

for (const from of modes) {
  for (const to of modes) {
    if (from === to) continue
    test(`a pipeline moves from ${from} to ${to} with its offsets, and lands only what is new`, async (t) => {
      const bench = await openWorkspaceBench(t)
      await bench.warehouse.execute(createTable(bench), elsewhere)
      await append(bench, 0, 20)
      assert.equal(await landIn(bench, from), 20)
      await append(bench, 20, 10)
      assert.equal(await landIn(bench, to), 10)
      assert.deepEqual(await counted(bench), [30, 30])
      await append(bench, 30, 5)
      assert.equal(await landIn(bench, from), 5)
      assert.deepEqual(await counted(bench), [35, 35])
    })
  }
}

for (const mode of ['auto', 'transaction', 'replace-where'] as const) {
  test(`a lost state directory costs ${mode} no row and doubles none`, async (t) => {
    const bench = await openWorkspaceBench(t)
    await append(bench, 0, 20)
    await landIn(bench, mode)
    await loseState(bench)
    await append(bench, 20, 10)
    assert.equal(await landIn(bench, mode), 10)
    assert.deepEqual(await counted(bench), [30, 30])
  })
}

test('without a mode a new table gets transactions, and a table that takes none gets its ranges replaced', async (t) => {
  const bench = await openWorkspaceBench(t)
  await append(bench, 0, 5)
  await landIn(bench, 'auto')
  assert.equal(bench.warehouse.statements.get('BEGIN ATOMIC'), 2, 'one begins the offsets, one lands')
  const plain = await openWorkspaceBench(t, {}, { catalogCommits: false })
  await append(plain, 0, 5)
  await landIn(plain, 'auto')
  assert.equal(plain.warehouse.statements.get('BEGIN ATOMIC'), undefined)
  assert.equal(plain.warehouse.statements.get('INSERT'), 1)
  assert.deepEqual(await counted(plain), [5, 5])
  await assert.rejects(landIn(plain, 'transaction'), unsupported(/no catalog-managed commits/))
})

for (const reads of ['copy', 'files'] as const) {
  test(`a warehouse whose transactions read ${reads === 'copy' ? 'by COPY INTO' : 'files by a query'} only lands every line once`, async (t) => {
    const bench = await openWorkspaceBench(t, {}, { transactionReads: reads })
    await append(bench, 0, 20)
    assert.equal(await landIn(bench, 'transaction'), 20)
    await append(bench, 20, 10)
    assert.equal(await landIn(bench, 'transaction'), 10)
    assert.deepEqual(await counted(bench), [30, 30])
  })
}

test('rows beyond the offset file stop a move to transactions, and auto lands by ranges until they agree', async (t) => {
  const bench = await openWorkspaceBench(t)
  await bench.warehouse.execute(createTable(bench), elsewhere)
  await append(bench, 0, 10)
  await landIn(bench, 'replace-where')
  const earlier = await bench.saveState()
  await append(bench, 10, 10)
  await landIn(bench, 'replace-where')
  await bench.restoreState(earlier)
  await assert.rejects(landIn(bench, 'transaction'), unsupported(/rows of 1 blobs beyond the offset file/))
  await landIn(bench, 'auto')
  assert.deepEqual(await counted(bench), [20, 20])
  await append(bench, 20, 5)
  assert.equal(await landIn(bench, 'auto'), 5)
  assert.deepEqual(await counted(bench), [25, 25])
  const [authority] = await bench.warehouse.rows(
    `SELECT count(*)::INTEGER AS n FROM ${offsetsSql} WHERE source_blob = '' AND target <> ''`,
  )
  assert.equal(authority?.n, 1)
})

test('in a schema whose texts ignore case, a run takes the table that it creates, and compares blobs by bytes', async (t) => {
  const bench = await openWorkspaceBench(t, {}, { defaultCollation: 'UTF8_LCASE' })
  await append(bench, 0, 5)
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
