import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { withEngine } from '../../../../src/sinks/encoding/engine-session.ts'
import { logViews } from '../../../../src/tables/postgres/views/log-views.ts'
import { sqlString } from '../../../../src/tables/sql.ts'
import { createLogViews } from './create-log-views.ts'

const docker = (text: string): object => ({
  log: `2026-11-24 08:54:35.875 UTC [4138] ${text}\n`,
  stream: 'stderr',
})
const azure = (category: string, properties: object): object => ({
  category,
  time: '2026-11-24T08:54:35Z',
  resourceId: '/SERVERS/PG',
  properties,
})

const records: readonly (readonly [
  record: object,
  kind: string,
  event: string | null,
  level: string | null,
])[] = [
  [docker('LOG:  connection received: host=10.0.0.1 port=5000'), 'server_log', 'connection_received', 'LOG'],
  [docker('LOG:  duration: 12.5 ms  statement: SELECT 1'), 'server_log', 'duration', 'LOG'],
  [docker('LOG:  duration: 12.5 ms  plan:\nQuery Text: SELECT 1'), 'server_log', 'plan', 'LOG'],
  [docker('LOG:  checkpoint starting: time'), 'server_log', 'checkpoint', 'LOG'],
  [docker('LOG:  restartpoint starting: time'), 'server_log', 'restartpoint', 'LOG'],
  [docker('LOG:  automatic analyze of table "a.b.c"'), 'server_log', 'autoanalyze', 'LOG'],
  [docker('LOG:  automatic aggressive vacuum of table "a.b.c"'), 'server_log', 'autovacuum', 'LOG'],
  [docker('FEHLER:  Relation „x“ existiert nicht'), 'server_log', 'error', 'ERROR'],
  [docker('日志:  数据库系统准备接受连接'), 'server_log', null, 'LOG'],
  [
    docker('FATAL:  password authentication failed for user "x"'),
    'server_log',
    'authentication_failed',
    'FATAL',
  ],
  [docker('LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,select 1,<none>'), 'audit', 'audit', 'LOG'],
  [
    azure('PostgreSQLLogs', {
      message: 'deadlock detected',
      errorLevel: 'ERROR',
      sqlerrcode: '40P01',
      processId: 7,
    }),
    'server_log',
    'deadlock',
    'ERROR',
  ],
  [
    azure('PostgreSQLFlexQueryStoreRuntime', { Datname: 'shop', Queryid_str: '5' }),
    'query_store',
    null,
    null,
  ],
  [azure('PostgreSQLFlexSessions', { datname: 'shop', pid: 7 }), 'session', null, null],
  [azure('PostgreSQLFlexTableStats', { datname: 'shop' }), 'table_stats', null, null],
  [{ action: 'I', schema: 'public', table: 't', columns: [] }, 'change', null, null],
  [
    { level: 'info', logger: 'instance-manager', msg: 'started', logging_pod: 'pg-1' },
    'operator',
    null,
    'INFO',
  ],
]

test('the view log_events gives each record its kind, its event and a level in English, whoever wrote it, also of rows without these columns', async () => {
  await withEngine(async (engine, directory) => {
    const file = join(directory, 'lines.ndjson')
    await writeFile(file, records.map(([record]) => `${JSON.stringify(record)}\n`).join(''))
    const table = await createLogViews(engine, file, 'primary')
    const landedBefore = `SELECT * REPLACE (NULL AS record_kind, NULL AS event, NULL AS severity_level) FROM ${table}`
    for (const rows of [`FROM ${table}`, landedBefore]) {
      for (const [record, ...expected] of records) {
        const raw = JSON.stringify(record)
        await engine.run(`CREATE OR REPLACE VIEW logs AS ${rows} WHERE raw = ${sqlString(raw)}`)
        const [row] = await engine.rows('SELECT record_kind, event, severity_level FROM log_events')
        assert.deepEqual([row?.record_kind, row?.event, row?.severity_level], expected, raw)
      }
    }
    await engine.run(`CREATE OR REPLACE VIEW logs AS FROM ${table}`)
    const errors = await engine.rows('SELECT severity FROM errors ORDER BY severity')
    assert.deepEqual(
      errors.map(({ severity }) => severity),
      ['ERROR', 'FATAL', 'FEHLER'],
    )
  })
})

test('the view log_records joins the lines of a text log with the record of their process', async () => {
  await withEngine(async (engine, directory) => {
    const line = (pid: number, text: string): string =>
      JSON.stringify({ log: `2026-11-24 08:54:35.875 UTC [${pid}] ${text}\n`, stream: 'stderr' })
    const file = join(directory, 'lines.ndjson')
    const lines = [
      line(9, 'DETAIL:  of a record before the first line'),
      line(1, 'ERROR:  one'),
      line(2, 'FEHLER:  two'),
      line(1, 'DETAIL:  detail of one'),
      line(2, 'ANWEISUNG:  select 2'),
      line(1, 'STATEMENT:  select 1'),
      line(1, 'LOG:  three'),
      line(1, 'CONTEXT:  context of three'),
      JSON.stringify({ level: 'info', logger: 'instance-manager', msg: 'no record of the server' }),
    ]
    await writeFile(file, lines.map((one) => `${one}\n`).join(''))
    await createLogViews(engine, file, 'primary')
    const rows = await engine.rows(
      `SELECT concat_ws('|', source_offset, pid, severity, message, detail, context, statement, joined_lines) AS row
        FROM log_records ORDER BY source_offset`,
    )
    assert.deepEqual(
      rows.map(({ row }) => row),
      [
        '1|9|of a record before the first line|1',
        '2|1|ERROR|one|detail of one|select 1|2',
        '3|2|FEHLER|two|select 2|1',
        '7|1|LOG|three|context of three|1',
      ],
    )
  })
})

test('log_records of a table without further lines has the same rows and columns without a join', async () => {
  await withEngine(async (engine, directory) => {
    const file = join(directory, 'records.ndjson')
    await writeFile(file, records.map(([record]) => `${JSON.stringify(record)}\n`).join(''))
    const table = await createLogViews(engine, file, 'primary')
    const { view, unless, sql } = logViews.simpler!
    await engine.run(`CREATE OR REPLACE VIEW logs AS FROM ${table} WHERE (${unless}) IS NOT TRUE`)
    await engine.run(`CREATE VIEW alone AS ${sql()}`)
    const columnsOf = async (name: string): Promise<unknown> =>
      engine.rows(`SELECT column_name, column_type FROM (DESCRIBE ${name}) ORDER BY ALL`)
    assert.deepEqual(await columnsOf('alone'), await columnsOf(view))
    const rowsOf = (name: string) => engine.rows(`FROM ${name} ORDER BY source_offset`)
    const found = await rowsOf(view)
    assert.equal(found.length, 12)
    assert.deepEqual(await rowsOf('alone'), found)
    assert.doesNotMatch(JSON.stringify(await engine.rows('EXPLAIN FROM alone')), /JOIN/)
  })
})

test('no function of the views makes a join of its words, which every row would pass', async () => {
  await withEngine(async (engine) => {
    await engine.run(
      'CREATE TABLE texts AS SELECT i::VARCHAR AS s, [i::VARCHAR] AS list FROM range(10) AS numbers(i)',
    )
    for (const { name, body } of logViews.functions) {
      await engine.run(`CREATE OR REPLACE MACRO ${name}(s) AS ${body.duckdb}`)
      const argument = name === 'further_lines' ? 'list' : 's'
      const plan = await engine.rows(
        `EXPLAIN SELECT ${name}(${argument}) AS value FROM texts WHERE value <> ''`,
      )
      assert.doesNotMatch(JSON.stringify(plan), /JOIN/, name)
    }
  })
})
