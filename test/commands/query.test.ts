import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { query } from '../../src/commands/query.ts'
import { rejects } from '../../src/commands/rejects.ts'
import { printViews } from '../../src/commands/tables.ts'
import { isTailraceError } from '../../src/errors.ts'
import { EmbeddedEngine, filePathSql, parquetSql, sqlString } from '../../src/sinks/encoding/engine.ts'
import { logViews } from '../../src/tables/postgres/views/log-views.ts'
import { startTailrace } from '../support/run-tailrace.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { writeProject } from '../support/test-project.ts'
import { landAll, lines, openBench, outputOf } from './command-fixture.ts'

/** A name with everything that SQL, a pattern or a list of paths could take for its own. */
const oddName = "o'dd [x], *?{a} %41"

test('a confined engine reads the files below its directories, whatever their names, spills, and reaches nothing else', async (t) => {
  const root = await realpath(await temporaryDirectory(t))
  const [odd, spill, outside] = [join(root, oddName), join(root, 'spill'), join(root, 'outside')]
  for (const directory of [join(odd, oddName), spill, outside]) await mkdir(directory, { recursive: true })
  await writeFile(join(outside, 'secret.csv'), 'a,b\n1,2\n')
  await symlink(outside, join(odd, 'link'))
  await symlink(odd, join(root, 'linked root'))
  const engine = await EmbeddedEngine.open({ temporaryDirectory: spill, memoryMiB: 60 })
  t.after(() => engine.close())
  const file = join(odd, oddName, 'a.parquet')
  await engine.run(`COPY (SELECT range AS a FROM range(3)) TO ${sqlString(file)} (FORMAT parquet)`)

  const link = join(odd, 'link', 'secret.csv')
  assert.equal((await engine.rows(`FROM read_text(${sqlString(link)})`)).length, 1)

  await engine.confine([spill, odd])
  const counted = async (relation: string): Promise<unknown> =>
    (await engine.rows(`SELECT count(*)::INTEGER AS n FROM ${relation}`))[0]?.n
  assert.equal(await counted(parquetSql([file])), 3)
  assert.equal(await counted(parquetSql([join(root, 'linked root', oddName, 'a.parquet')])), 3)
  const sorted =
    'SELECT range AS a, md5(range::VARCHAR) AS b, repeat(md5(range::VARCHAR), 3) AS c FROM range(400000)'
  assert.equal(await counted(`(${sorted} ORDER BY b LIMIT 399999)`), 399_999)

  const secret = join(outside, 'secret.csv')
  const escapes = [
    secret,
    join(outside, '*'),
    `${odd}/../outside/secret.csv`,
    `${odd}/link/secret.csv`,
    `file://${secret}`,
    `file:${secret}`,
    `${odd}x`,
    '/proc/self/environ',
    '/dev/stdin',
    '~/.bashrc',
    'package.json',
    'http://127.0.0.1:9/x.csv',
    's3://bucket/x.csv',
  ]
  const statements = [
    ...escapes.flatMap((path) => [
      ...[
        'read_text',
        'read_blob',
        'read_csv',
        'read_json',
        'read_parquet',
        'parquet_metadata',
        'sniff_csv',
      ].map((name) => `FROM ${name}(${sqlString(path)})`),
      `FROM ${filePathSql(path)}`,
    ]),
    `FROM glob(${sqlString(join(outside, '*'))})`,
    `COPY (SELECT 1) TO ${sqlString(join(outside, 'written.csv'))}`,
    `COPY (SELECT 1) TO ${sqlString(`${odd}/link/written.csv`)}`,
    "COPY (SELECT 1) TO '/dev/stderr'",
    `ATTACH ${sqlString(join(outside, 'written.db'))}`,
    `EXPORT DATABASE ${sqlString(join(outside, 'written'))}`,
    `IMPORT DATABASE ${sqlString(outside)}`,
    'INSTALL httpfs',
    'LOAD httpfs',
    "CREATE PERSISTENT SECRET s (TYPE http, BEARER_TOKEN 'x')",
    'SET lock_configuration = false',
    'RESET lock_configuration',
    'SET enable_external_access = true',
    "SET allowed_directories = ['/']",
    "SET allowed_paths = ['/etc/passwd']",
    "SET allowed_configs = ['temp_directory']",
    "SET temp_directory = '/'",
    "SET file_search_path = '/'",
    "SET secret_directory = '/'",
    "PRAGMA profiling_output = '/written'",
  ]
  for (const sql of statements) await assert.rejects(engine.run(sql), sql)
  assert.deepEqual(await readdir(outside), ['secret.csv'])
})

test('a query reads the tables, whatever their directory is called, and can neither read nor write anything else', async (t) => {
  const bench = await openBench(t)
  const root = join(bench.directory, oddName)
  const config = bench.config({ primary: { root } })
  await bench.storage.append('primary', lines(0, 20))
  await landAll(config)
  const run = (sql: string, unsafe = false) =>
    outputOf(config, (context) => query(context, sql, { json: true, unsafe }))
  const count = 'SELECT count(*)::INTEGER AS n FROM test.logs.primary'
  assert.equal((await run(count)).text, '{"n":20}\n')

  const table = join(root, 'test', 'logs', 'primary')
  const before = await readdir(table, { recursive: true })
  const [file] = before.filter((name) => name.endsWith('.parquet'))
  const bytes = await readFile(join(table, file!))
  for (const sql of [
    "FROM read_text('/etc/hostname')",
    "FROM '/etc/hosts.csv'",
    `COPY (SELECT 1) TO ${sqlString(join(table, file!))}`,
    `EXPLAIN ANALYZE COPY (SELECT 1) TO ${sqlString(join(table, file!))}`,
    `ATTACH ${sqlString(join(table, 'new.db'))} AS new`,
    `FROM enable_logging(storage = 'file', storage_config = {'path': ${sqlString(table)}})`,
    `FROM enable_profiling(format = 'json', save_location = ${sqlString(join(table, 'new.json'))})`,
    `${count}; ${count}`,
  ]) {
    await assert.rejects(run(sql), (error) => isTailraceError(error, 'QUERY_REFUSED'), sql)
  }
  assert.deepEqual(await readdir(table, { recursive: true }), before)
  assert.deepEqual(await readFile(join(table, file!)), bytes)

  const copy = join(bench.directory, 'copy.csv')
  const unsafe = await run(
    `COPY (${count}) TO ${sqlString(copy)}; FROM read_csv(${sqlString(copy)}); ${count}`,
    true,
  )
  assert.match(unsafe.text, /\{"n":"20"\}\n\{"n":20\}\n$/)
})

test('results of any length are printed while they are read, as rows of JSON and as a table', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  const sql = "SELECT range AS a, 'x' AS b FROM range(130000)"
  const json = await outputOf(config, (context) => query(context, sql, { json: true }))
  const rows = json.text.trimEnd().split('\n')
  assert.equal(rows.length, 130_000)
  assert.deepEqual(JSON.parse(rows.at(-1)!), { a: '129999', b: 'x' })
  const table = await outputOf(config, (context) => query(context, sql, { json: false }))
  assert.match(table.text, /^ +a \| b\n/)
  assert.match(table.text, /\n129999 \| x\n\(130000 rows\)\n$/)

  await bench.storage.append('primary', Buffer.from('no JSON \u009b\n'.repeat(3_000)))
  await landAll(config)
  const listed = await outputOf(config, (context) => rejects(context, { limit: 2_500, json: true }))
  const flawed = listed.text.trimEnd().split('\n')
  assert.equal(flawed.length, 2_500)
  const { pipeline, source_index, raw } = JSON.parse(flawed[0]!)
  assert.deepEqual([pipeline, source_index, raw], ['primary', '0', 'no JSON \u009b'])
})

test('a reader that goes away ends a command quietly, and its text is escaped on the way', async (t) => {
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'embedded' },
    pipelines: { primary: { blobs: 'primary' } },
  })
  const config = ['--config', project.configPath]
  const started = startTailrace(t, [
    'query',
    'SELECT chr(155) || chr(8238) || range FROM range(100000000)',
    '--json',
    ...config,
  ])
  await started.until(() => started.stdout.length > 100_000, 'output')
  started.stopReading()
  assert.deepEqual(await started.exited, { code: 0, signal: null }, started.stderr)
  assert.equal(started.stderr, '')
  assert.match(started.stdout, /"\\u009b\\u202e1"/)

  const refused = startTailrace(t, ['query', 'SELECT "\u001b[2J\u202e"', ...config])
  assert.deepEqual(await refused.exited, { code: 1, signal: null })
  assert.match(refused.stderr, /^tailrace: QUERY_FAILED: .*\\u001b\[2J\\u202e/)

  for (const command of [['history'], ['--help']]) {
    const deaf = startTailrace(t, [...command, ...config])
    deaf.stopReading()
    assert.deepEqual(await deaf.exited, { code: 0, signal: null }, deaf.stderr)
    assert.equal(deaf.stderr, '')
  }
})

test('a statement reads the views over the tables of all pipelines, and only the files that it needs', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ one: {}, two: {}, sessions: { table: 'test.logs.sessions' } })
  for (const name of ['one', 'two', 'sessions']) {
    const blob = bench.storage.container.getAppendBlobClient(name)
    await blob.create()
    const error = {
      timestamp: '2026-11-24 09:00:00.000 UTC',
      pid: 1,
      error_severity: 'ERROR',
      state_code: '22012',
      message: 'division by zero',
    }
    const line = Buffer.from(`${JSON.stringify({ ...error, dbname: name })}\n`)
    await blob.appendBlock(line, line.length)
  }
  await landAll(config)
  const { text } = await outputOf(config, (context) =>
    query(context, 'SELECT sqlstate, count(*)::INTEGER AS n FROM errors GROUP BY sqlstate', { json: true }),
  )
  assert.deepEqual(JSON.parse(text), { sqlstate: '22012', n: 3 })
  // The table has the name of a view, and hides it.
  const own = await outputOf(config, (context) =>
    query(context, 'SELECT db_name FROM sessions', { json: true }),
  )
  assert.deepEqual(JSON.parse(own.text), { db_name: 'sessions' })
})

test('the printed views name every table of their schema, and depend on no current schema', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ one: {}, two: {}, elsewhere: { table: 'test.other.logs' } })
  const { text } = await outputOf(config, (context) => printViews(context))
  const statements = text.split(';\n\n').filter((statement) => statement !== '')
  assert.equal(statements.length, 2 * (logViews.functions.length + 1 + logViews.views().length))
  assert.match(text, /FROM `test`\.`logs`\.`one`\nUNION ALL\nSELECT .* FROM `test`\.`logs`\.`two`;/)
  assert.match(text, /VIEW `test`\.`other`\.`statements`[^;]* FROM `test`\.`other`\.`statement_timings`/)
  assert.doesNotMatch(text, /(?:FROM|JOIN) (?:logs|plans|statement_timings)\b|[^.]\bnormalize_sql\(/)
})
