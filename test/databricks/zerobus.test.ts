import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { pino } from 'pino'
import { AccessControl } from '../../doubles/workspace/access-control.ts'
import { check } from '../../src/commands/check.ts'
import { verify } from '../../src/commands/verify.ts'
import { loadConfig } from '../../src/config/load.ts'
import { isTailraceError } from '../../src/errors.ts'
import type { DatabricksSinkConfig } from '../../src/sinks/databricks/options.ts'
import { outputOf } from '../commands/command-fixture.ts'
import { jsonlogLine } from '../support/log-lines.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import type { TailraceProcess } from '../support/tailrace-process.ts'
import { type TestProject, writeProject } from '../support/test-project.ts'
import { assertVerified } from './assert-verified.ts'
import { assertEachLineOnce, rowsIn } from './landed-lines.ts'
import { assertNothingTold } from './nothing-told.ts'
import {
  appendLines,
  catalog,
  landAll,
  openWorkspaceBench,
  schema,
  tableSql,
  type WorkspaceBench,
} from './workspace-bench.ts'

const blob = 'primary.ndjson'
const onceSql = `"${catalog}"."${schema}"."primary_logs_once"`
const inserts = /^POST \/zerobus\//
const zerobus = { mode: 'zerobus' } as const

/** Rows of the table, and of the view of single rows. */
async function counted({ warehouse, workspace }: WorkspaceBench): Promise<readonly number[]> {
  await workspace.zerobusSettled()
  const [found] = await warehouse.rows(
    `SELECT (SELECT count(*) FROM ${tableSql})::INTEGER AS sent, (SELECT count(*) FROM ${onceSql})::INTEGER AS once`,
  )
  return [Number(found?.sent), Number(found?.once)]
}

async function assertOnce(bench: WorkspaceBench, lines: number): Promise<void> {
  await bench.workspace.zerobusSettled()
  const rows = await rowsIn(bench.warehouse, onceSql)
  assert.equal(rows.length, lines)
  const offsetPath = join(bench.directory, 'state', 'primary.offset.json')
  await assertEachLineOnce(bench.storage, [blob], { rows, offsetPath })
  assert.deepEqual(bench.workspace.log.failures, [])
}

test('a table without a warehouse gets every line with the values that a load gives it', async (t) => {
  const bench = await openWorkspaceBench(t, { zerobusShowAfterMs: 50 })
  await landAll(bench.config(zerobus))
  const statements = bench.workspace.log.statements.length
  await appendLines(bench, 0, 50)
  const summary = await landAll(bench.config({ ...zerobus, httpPath: undefined }))
  assert.equal(summary.pipelines.primary?.rows, 50)
  assert.equal(bench.workspace.log.statements.length, statements, 'no statement was sent')
  await assertOnce(bench, 50)
  assert.deepEqual(await counted(bench), [50, 50])
  const loaded = await openWorkspaceBench(t)
  await appendLines(loaded, 0, 50)
  await landAll(loaded.config({ mode: 'replace-where' }))
  const values = `SELECT * EXCLUDE (source_generation, ingest_ts) FROM ${tableSql} ORDER BY source_offset`
  assert.deepEqual(await bench.warehouse.rows(values), await loaded.warehouse.rows(values))
})

test('requests whose answers are lost or refused are sent again, and the view shows their rows once', async (t) => {
  const bench = await openWorkspaceBench(t)
  const { faults } = bench.workspace
  faults.add({ route: inserts, fault: { kind: 'drop-after' } })
  faults.add({ route: inserts, fault: { kind: 'drop-before' } })
  faults.add({ route: inserts, fault: { kind: 'status', status: 429, retryAfterSeconds: 0 } })
  faults.add({ route: inserts, fault: { kind: 'cut-upload', afterBytes: 100 } })
  await appendLines(bench, 0, 30)
  await landAll(bench.config(zerobus))
  assert.deepEqual(await counted(bench), [60, 30])
  await assertOnce(bench, 30)
  await appendLines(bench, 30, 10)
  await landAll(bench.config(zerobus))
  await assertOnce(bench, 40)
  await assertVerified(bench.config(zerobus), 1)
})

test('a token that expires is renewed within a batch', async (t) => {
  const bench = await openWorkspaceBench(t, { tokenLifetimeMs: 1_000 })
  for (let from = 0; from < 30; from += 10) {
    await appendLines(bench, from, 10)
    await landAll(bench.config(zerobus))
  }
  await assertOnce(bench, 30)
})

test('a line whose row is larger than a record may be becomes a rejected row', async (t) => {
  const bench = await openWorkspaceBench(t)
  const message = 'x'.repeat(6 * 1024 * 1024)
  const record = { time: '2026-11-24T08:54:36Z', category: 'PostgreSQLLogs', properties: { message } }
  await bench.storage.append(blob, Buffer.from(`${JSON.stringify(record)}\n`))
  await appendLines(bench, 1, 3)
  await landAll(bench.config(zerobus))
  await bench.workspace.zerobusSettled()
  const rows = await bench.warehouse.rows(
    `SELECT parse_status, parse_error, length(raw)::INTEGER AS kept FROM ${onceSql} ORDER BY source_offset`,
  )
  assert.equal(rows.length, 4)
  assert.equal(rows[0]?.parse_status, 'rejected')
  assert.match(
    String(rows[0]?.parse_error),
    /^not_encodable: the row has \d+ bytes, expected at most 10485760/,
  )
  assert.equal(rows[0]?.kept, 64 * 1024)
})

test('a text that is cut keeps whole characters, wherever they begin', async (t) => {
  const bench = await openWorkspaceBench(t)
  // One of both is cut in the middle of a character of four bytes.
  for (const begin of ['', 'x']) {
    const message = begin + '😀'.repeat(1.5 * 1024 * 1024)
    const record = { time: '2026-11-24T08:54:36Z', category: 'PostgreSQLLogs', properties: { message } }
    await bench.storage.append(blob, Buffer.from(`${JSON.stringify(record)}\n`))
  }
  await landAll(bench.config(zerobus))
  await bench.workspace.zerobusSettled()
  const rows = await bench.warehouse.rows(`SELECT raw FROM ${onceSql} ORDER BY length(raw)`)
  const raws = rows.map(({ raw }) => String(raw))
  assert.deepEqual(raws.map((raw) => raw.length).toSorted(), [64 * 1024 - 1, 64 * 1024])
  for (const raw of raws) assert.ok(raw.endsWith('😀😀'))
})

/** A table that an administrator has made, for a principal that may read and write it and create nothing. */
async function administered(t: TestContext) {
  const access = new AccessControl()
  const bench = await openWorkspaceBench(t, { access })
  await landAll(bench.config(zerobus))
  access.disown()
  access.deny(
    `CREATE TABLE on Schema '${catalog}.${schema}'`,
    `MANAGE on Table '${catalog}.${schema}.primary_logs_once'`,
  )
  return bench
}

/** Runs a statement with every right. */
async function asOwner({ warehouse }: WorkspaceBench, statement: string): Promise<void> {
  const { signal } = new AbortController()
  await warehouse.execute(statement, { parameters: [], catalog: undefined, schema: undefined, signal })
}

const viewStatements = ({ workspace }: WorkspaceBench): readonly string[] =>
  workspace.log.statements.filter(({ text }) => /^CREATE OR REPLACE VIEW/.test(text)).map(({ text }) => text)

test('a table and a view of an administrator take rows with SELECT and MODIFY alone, and the view is left as it is', async (t) => {
  const bench = await administered(t)
  const before = viewStatements(bench).length
  await appendLines(bench, 0, 5)
  await landAll(bench.config(zerobus))
  assert.equal(viewStatements(bench).length, before)
  await assertOnce(bench, 5)
})

test('rows land without the view where it cannot be created, and its statement is in the log', async (t) => {
  const bench = await administered(t)
  await asOwner(bench, `DROP VIEW ${catalog}.${schema}.primary_logs_once`)
  await appendLines(bench, 0, 5)
  for (const createTable of [true, false]) {
    const log: string[] = []
    const logger = pino({ base: null }, { write: (line: string) => log.push(line) })
    await landAll(bench.config({ ...zerobus, createTable }), logger)
    const warning = log.find((line) => line.includes('primary_logs_once'))
    assert.match(warning ?? '', /"sql":"CREATE OR REPLACE VIEW/)
    assert.match(warning ?? '', /is missing, or the principal cannot see it: its owner has to run/)
  }
  await bench.workspace.zerobusSettled()
  assert.equal((await rowsIn(bench.warehouse, tableSql)).length, 5)
  const checked = await outputOf(bench.config({ ...zerobus, createTable: false }), check)
  assert.match(checked.text, /the view .*primary_logs_once.* is missing.*: run tailrace tables create/)
  await assert.rejects(
    assertVerified(bench.config(zerobus), 1),
    failure('TABLE_MISSING', /primary_logs_once.*run tailrace tables create/),
  )
})

test('the view is replaced after columns were added, and not at other starts', async (t) => {
  const bench = await openWorkspaceBench(t)
  await landAll(bench.config(zerobus))
  await landAll(bench.config(zerobus))
  assert.equal(viewStatements(bench).length, 1)
  await asOwner(bench, `ALTER TABLE ${catalog}.${schema}.primary_logs ADD COLUMNS (team STRING)`)
  await landAll(bench.config(zerobus))
  assert.equal(viewStatements(bench).length, 2)
  const [found] = await bench.warehouse.rows(`SELECT count(team)::INTEGER AS teams FROM ${onceSql}`)
  assert.equal(found?.teams, 0)
})

test('tables that Zerobus cannot write, and an offset file that is lost, are refused by name', async (t) => {
  const bench = await openWorkspaceBench(t)
  await appendLines(bench, 0, 5)
  await landAll(bench.config({ mode: 'transaction' }))
  await assert.rejects(
    landAll(bench.config(zerobus)),
    failure('TABLE_UNSUPPORTED', /catalog-managed commits/),
  )
  // Without a warehouse the service itself refuses the rows.
  await appendLines(bench, 5, 5)
  await assert.rejects(
    landAll(bench.config({ ...zerobus, httpPath: undefined })),
    failure(
      'STATEMENT_FAILED',
      /INVALID_PARAMETER_VALUE.*tailrace check compares the table.*another sink\.mode/,
    ),
  )
  const other = await openWorkspaceBench(t)
  await appendLines(other, 0, 5)
  await assert.rejects(
    landAll(other.config({ ...zerobus, httpPath: undefined })),
    failure('TABLE_MISSING', /Zerobus does not find the table/),
  )
  await landAll(other.config(zerobus))
  await writeFile(join(other.directory, 'state', 'primary.offset.json'), 'no JSON')
  await assert.rejects(landAll(other.config(zerobus)), failure('OFFSET_FILE_CORRUPT', /the view shows once/))
})

test('a lost state directory sends everything again, and the view shows it once', async (t) => {
  const bench = await openWorkspaceBench(t)
  await appendLines(bench, 0, 10)
  await landAll(bench.config(zerobus))
  await rm(join(bench.directory, 'state'), { recursive: true })
  await landAll(bench.config(zerobus))
  assert.deepEqual(await counted(bench), [20, 10])
  await assertOnce(bench, 10)
})

test('with the state directory a grown document comes again beside its parts: the log says so, and verify finds it', async (t) => {
  const bench = await openWorkspaceBench(t)
  const record = (line: number): string => jsonlogLine(line).trimEnd()
  // Of blocks, as Azure's own writers do, because the creation instant stays then.
  const write = async (...records: readonly string[]): Promise<void> => {
    const client = bench.storage.container.getBlockBlobClient(blob)
    const text = `{"records":[${records.join(',')}]}\n`
    const id = Buffer.from('block').toString('base64')
    await client.stageBlock(id, text, Buffer.byteLength(text))
    await client.commitBlockList([id])
  }
  const log: string[] = []
  const logger = pino({ base: null }, { write: (line: string) => log.push(line) })
  await write(record(0), record(1))
  await landAll(bench.config(zerobus), logger)
  await write(record(0), record(1), record(2))
  await landAll(bench.config(zerobus), logger)
  assert.deepEqual(await counted(bench), [3, 3])
  await assertVerified(bench.config(zerobus), 1)
  const warnings = (): readonly string[] => log.filter((line) => line.includes('there is no offset file'))
  assert.deepEqual(warnings(), [], 'the table was new')
  await rm(join(bench.directory, 'state'), { recursive: true })
  await landAll(bench.config(zerobus), logger)
  assert.equal(warnings().length, 1)
  assert.deepEqual(await counted(bench), [6, 4])
  const verified = await outputOf(bench.config(zerobus), (context) => verify(context, undefined, true))
  assert.equal(verified.code, 1)
  assert.match(verified.text, /"overlappingRows":1/)
})

test('a refused token names every right that Zerobus needs', async (t) => {
  const access = new AccessControl()
  const bench = await openWorkspaceBench(t, { access })
  await landAll(bench.config(zerobus))
  access.disown()
  access.deny(`MODIFY on Table '${catalog}.${schema}.primary_logs'`)
  await appendLines(bench, 0, 5)
  await assert.rejects(
    landAll(bench.config({ ...zerobus, httpPath: undefined })),
    failure(
      'WAREHOUSE_DENIED',
      /access_denied.*GRANT USE CATALOG ON CATALOG `.+`; GRANT USE SCHEMA ON SCHEMA .+; GRANT SELECT, MODIFY ON TABLE .+`primary_logs` TO `.+`;$/,
    ),
  )
  const { clientId } = bench.workspace.tokens
  const wrongSecret = { auth: { kind: 'oauth', clientId, clientSecret: 'another' } } as const
  await assert.rejects(
    landAll(bench.config({ ...zerobus, ...wrongSecret, httpPath: undefined })),
    failure('WAREHOUSE_DENIED', /invalid_client(?!.*GRANT)/),
  )
})

interface Setup extends WorkspaceBench {
  readonly project: TestProject
  readonly configArgs: readonly string[]
}

async function setUp(t: TestContext, more: Partial<DatabricksSinkConfig> = {}): Promise<Setup> {
  const bench = await openWorkspaceBench(t)
  const { storage, directory } = bench
  const project = await writeProject(directory, {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: blob } },
    table: 'primary_logs',
    batch: { maxAgeMs: 100 },
    sink: bench.sink({ ...zerobus, ...more }),
    schema: `${catalog}.${schema}`,
  })
  return { ...bench, project, configArgs: ['--config', project.configPath] }
}

function begin(t: TestContext, { configArgs }: Setup, args: readonly string[]): TailraceProcess {
  return startTailrace(t, [...args, ...configArgs], { env: { LOG_LEVEL: 'debug' } })
}

test('a process killed between an acknowledgement and its offsets sends the rows again, and the view has each line once', async (t) => {
  const setup = await setUp(t)
  const { workspace, warehouse, storage, project } = setup
  await appendLines(setup, 0, 60)
  const times = Number.POSITIVE_INFINITY
  const lost = workspace.faults.add({ route: inserts, fault: { kind: 'drop-after' }, times })
  const killed = begin(t, setup, ['start'])
  const ended = await Promise.race([lost.struck, killed.exited])
  assert.equal(ended, undefined, killed.stderr.slice(-4_000))
  killed.kill('SIGKILL')
  assert.deepEqual(await killed.exited, { code: null, signal: 'SIGKILL' })
  lost.release()
  const last = begin(t, setup, ['start', '--once'])
  assert.deepEqual(await last.exited, { code: 0, signal: null }, last.stderr.slice(-4_000))
  const [sent = 0, once] = await counted(setup)
  assert.ok(sent >= 120, `${sent} rows were sent`)
  assert.equal(once, 60)
  const rows = await rowsIn(warehouse, onceSql)
  await assertEachLineOnce(storage, [blob], { rows, offsetPath: project.offsetPath('primary') })
  await assertVerified(await loadConfig(project.configPath), 1)
  assertNothingTold(killed.stderr + killed.stdout + last.stderr + last.stdout, workspace)
})

function failure(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTailraceError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  }
}
