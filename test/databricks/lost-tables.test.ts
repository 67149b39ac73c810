import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { check } from '../../src/commands/check.ts'
import { createTables } from '../../src/commands/tables.ts'
import { isTailraceError } from '../../src/errors.ts'
import { createLogger } from '../../src/reporting/logger.ts'
import { outputOf } from '../commands/command-fixture.ts'
import { elsewhere, plainColumnsSql } from './plain-table.ts'
import {
  appendLines,
  catalog,
  landAll,
  openWorkspaceBench,
  schema,
  tableSql,
  volume,
  type WorkspaceBench,
} from './workspace-bench.ts'

const table = `${catalog}.${schema}.primary_logs`
const offsetsName = `${catalog}.${schema}.tailrace_offsets`
const offsetsSql = `"${catalog}"."${schema}"."tailrace_offsets"`
const mode = 'transaction'

async function loseState({ directory }: WorkspaceBench): Promise<void> {
  await rm(join(directory, 'state'), { recursive: true })
}

async function dropTable({ warehouse }: WorkspaceBench): Promise<void> {
  await warehouse.execute(`DROP TABLE ${table}`, elsewhere)
}

async function createAgain(bench: WorkspaceBench): Promise<void> {
  await dropTable(bench)
  const columns = plainColumnsSql(bench.config().pipelines.primary!.table)
  const properties = "'delta.feature.catalogManaged' = 'supported'"
  await bench.warehouse.execute(`CREATE TABLE ${table} (${columns}) TBLPROPERTIES (${properties})`, elsewhere)
}

/** @returns the messages of the warnings of a run that lands everything */
async function warningsOf(bench: WorkspaceBench): Promise<readonly string[]> {
  const messages: string[] = []
  const output = { write: (line: string) => void messages.push(JSON.parse(line).msg) }
  await landAll(bench.config({ mode }), createLogger({ level: 'warn', pretty: false, output }))
  return messages
}

const missing = (error: unknown): boolean => isTailraceError(error, 'TABLE_MISSING')

// The offsets are beside the table and outlive it: rows of a table that is gone are not landed again by themselves.
for (const [what, lose] of [
  ['dropped', dropTable],
  ['dropped and created again', createAgain],
] as const) {
  for (const next of [mode, 'replace-where'] as const) {
    test(`a table that somebody ${what} stops a start in mode ${next} that has lost its state directory, after transactions`, async (t) => {
      const bench = await openWorkspaceBench(t)
      await appendLines(bench, 0, 10)
      await landAll(bench.config({ mode }))
      await lose(bench)
      await loseState(bench)
      await appendLines(bench, 10, 5)
      await assert.rejects(landAll(bench.config({ mode: next })), missing)
      await assert.rejects(landAll(bench.config({ mode: next })), missing, 'the next start halts, too')
      assert.equal(bench.warehouse.tableDefinition(table) === undefined, what === 'dropped')
    })
  }
}

test('a table that somebody dropped is not created by tables create, and check says so, without a state directory', async (t) => {
  const bench = await openWorkspaceBench(t)
  await appendLines(bench, 0, 10)
  await landAll(bench.config({ mode }))
  await dropTable(bench)
  await loseState(bench)
  const config = bench.config({ mode })
  await assert.rejects(
    outputOf(config, (context) => createTables(context, { printsOnly: false })),
    missing,
  )
  await assert.rejects(
    outputOf(config, (context) => check(context)),
    missing,
  )
})

test('a table that somebody restored is reported by a start by transactions that has lost its state directory', async (t) => {
  const bench = await openWorkspaceBench(t)
  await appendLines(bench, 0, 10)
  await landAll(bench.config({ mode }))
  await bench.warehouse.changedByOthers(table, 'RESTORE', `DELETE FROM ${tableSql} WHERE source_offset > 0`)
  await loseState(bench)
  await appendLines(bench, 10, 5)
  const warnings = await warningsOf(bench)
  assert.ok(warnings.some((text) => /somebody has changed or restored the table/.test(text)))
  assert.deepEqual(await warningsOf(bench), [])
})

/** What somebody does to the offsets table alone. */
const setBacks = {
  restored: `UPDATE ${offsetsSql} SET landed_to = 120 WHERE source_blob <> ''`,
  'removed rows from': `DELETE FROM ${offsetsSql} WHERE source_blob <> ''`,
} as const

for (const [what, sql] of Object.entries(setBacks)) {
  test(`an offsets table that somebody ${what} stops a start by transactions, and check says so, before rows are landed again`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const config = bench.config({ mode })
    const count = async (): Promise<readonly number[]> => {
      const [found] = await bench.warehouse.rows(
        `SELECT count(*)::INTEGER AS n, count(DISTINCT source_offset)::INTEGER AS places FROM ${tableSql}`,
      )
      return [Number(found?.n), Number(found?.places)]
    }
    await appendLines(bench, 0, 10)
    await landAll(config)
    await bench.warehouse.rows(`CREATE TABLE newest_offsets AS SELECT * FROM ${offsetsSql}`)
    await bench.warehouse.changedByOthers(offsetsName, 'RESTORE', sql)
    await appendLines(bench, 10, 5)
    const setBack = { code: 'OFFSETS_SET_BACK', message: /DELETE FROM .*tailrace_offsets` WHERE target = / }
    await assert.rejects(landAll(config), setBack)
    await assert.rejects(
      outputOf(config, (context) => check(context)),
      setBack,
    )
    assert.deepEqual(await count(), [10, 10])
    await bench.warehouse.rows(`DELETE FROM ${offsetsSql}`)
    await bench.warehouse.rows(`INSERT INTO ${offsetsSql} SELECT * FROM newest_offsets`)
    await landAll(config)
    assert.deepEqual(await count(), [15, 15])
  })
}

for (const upload of ['files-api', 'put'] as const) {
  test(`a start by stage-only with ${upload} that has lost its state directory halts instead of staging everything again, and check says so`, async (t) => {
    const bench = await openWorkspaceBench(t)
    const config = bench.config({ mode: 'stage-only', upload })
    const files = async (): Promise<number> => (await bench.volumes.list(volume)).length
    await outputOf(config, (context) => check(context))
    await appendLines(bench, 0, 10)
    await landAll(config)
    await appendLines(bench, 10, 5)
    await landAll(config)
    assert.equal(await files(), 2)
    await loseState(bench)
    const unclear = {
      code: 'LOAD_UNCLEAR',
      message: /no offset file, and files were staged in .*restore the file/,
    }
    await assert.rejects(landAll(config), unclear)
    await assert.rejects(
      outputOf(config, (context) => check(context)),
      unclear,
    )
    assert.equal(await files(), 2)
  })
}
