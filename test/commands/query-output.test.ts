import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { type QueryOptions, query } from '../../src/commands/query.ts'
import type { ResolvedConfig } from '../../src/config/resolved.ts'
import { isTailraceError } from '../../src/errors.ts'
import { EmbeddedEngine, parquetSql } from '../../src/sinks/encoding/engine.ts'
import { builtCommand } from '../support/built-script.ts'
import { runTailrace } from '../support/run-tailrace.ts'
import { skipUnless } from '../support/skip-unless.ts'
import { startStorage } from '../support/storage.ts'
import { projectRoot } from '../support/tailrace-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { noTerminalReason, startOnTerminal } from '../support/terminal-process.ts'
import { writeProject } from '../support/test-project.ts'
import { landAll, lines, openBench, outputOf } from './command-fixture.ts'

const values =
  "SELECT * FROM (VALUES (1, 'a|b \"c\", <d>', NULL), (2, '', 'NULL'), (3, E'two\\nlines', '漢字')) AS t(n, x, y) ORDER BY n"

const expected: Readonly<Record<string, string>> = {
  table: [
    'n | x            | y',
    '--+--------------+-------',
    '1 | a|b "c", <d> | NULL',
    "2 |              | 'NULL'",
    '3 | two↵lines    | 漢字',
    '(3 rows)',
  ].join('\n'),
  json: [
    '[',
    ' {"n":1,"x":"a|b \\"c\\", <d>","y":null}',
    ',{"n":2,"x":"","y":"NULL"}',
    ',{"n":3,"x":"two\\nlines","y":"漢字"}',
    ']',
  ].join('\n'),
  ndjson: [
    '{"n":1,"x":"a|b \\"c\\", <d>","y":null}',
    '{"n":2,"x":"","y":"NULL"}',
    '{"n":3,"x":"two\\nlines","y":"漢字"}',
  ].join('\n'),
  csv: ['n,x,y', '1,"a|b ""c"", <d>",', '2,"",NULL', '3,"two\nlines",漢字'].join('\n'),
  markdown: [
    '| n | x | y |',
    '| --- | --- | --- |',
    '| 1 | a\\|b "c", <d> | NULL |',
    "| 2 |  | 'NULL' |",
    '| 3 | two↵lines | 漢字 |',
  ].join('\n'),
  html: [
    '<table>',
    '<thead><tr><th>n</th><th>x</th><th>y</th></tr></thead>',
    '<tbody>',
    '<tr><td>1</td><td>a|b &#34;c&#34;, &#60;d&#62;</td><td><em>NULL</em></td></tr>',
    '<tr><td>2</td><td></td><td>NULL</td></tr>',
    '<tr><td>3</td><td>two\nlines</td><td>漢字</td></tr>',
    '</tbody>',
    '</table>',
  ].join('\n'),
}

async function landedConfig(t: TestContext): Promise<ResolvedConfig> {
  const bench = await openBench(t)
  const config = bench.config({ primary: {} })
  await bench.storage.append('primary', lines(0, 20))
  await landAll(config)
  return config
}

/** For statements that read no table: without one, a session has no views to define. */
async function emptyConfig(t: TestContext): Promise<ResolvedConfig> {
  return (await openBench(t)).config({ primary: {} })
}

test('each format shows NULL apart from an empty text, and has the same bytes in a file', async (t) => {
  const config = await emptyConfig(t)
  const directory = await temporaryDirectory(t)
  const run = (options: QueryOptions) => outputOf(config, (context) => query(context, values, options))
  for (const [name, text] of Object.entries(expected)) {
    const format = name as NonNullable<QueryOptions['format']>
    assert.equal((await run({ format })).text, `${text}\n`, name)
    const output = join(directory, name)
    assert.equal((await run({ format, output })).text, '')
    assert.equal(await readFile(output, 'utf8'), `${text}\n`, name)
  }
  assert.deepEqual((await readdir(directory)).toSorted(), Object.keys(expected).toSorted())
})

test('before a table exists, a statement over it says that a run creates it', async (t) => {
  const config = await emptyConfig(t)
  for (const name of ['logs', 'slow_statements', 'nonsense'])
    await assert.rejects(
      outputOf(config, (context) => query(context, `FROM ${name}`, {})),
      (error) =>
        isTailraceError(error, 'QUERY_FAILED') &&
        /No table of primary exists yet: a run creates it\.$/.test(error.message),
      name,
    )
})

test('a result file is there whole or not at all', async (t) => {
  const config = await emptyConfig(t)
  const directory = await temporaryDirectory(t)
  const output = join(directory, 'result')
  await writeFile(output, 'older')
  const failing = "SELECT CASE WHEN range > 100000 THEN error('late') ELSE 1 END FROM range(200000)"
  for (const format of ['csv', 'parquet'] as const) {
    await assert.rejects(
      outputOf(config, (context) => query(context, failing, { format, output })),
      (error) => isTailraceError(error, 'QUERY_FAILED'),
    )
  }
  assert.deepEqual(await readdir(directory), ['result'])
  assert.equal(await readFile(output, 'utf8'), 'older')
  const nowhere = join(directory, 'missing', 'result')
  await assert.rejects(
    outputOf(config, (context) => query(context, 'SELECT 1', { format: 'csv', output: nowhere })),
    (error) => isTailraceError(error, 'OUTPUT_FAILED'),
  )
})

test('Parquet keeps the types of a SELECT, which stays confined', async (t) => {
  const config = await landedConfig(t)
  const output = join(await temporaryDirectory(t), 'rows.parquet')
  const run = (sql: string, options: QueryOptions = { format: 'parquet', output }) =>
    outputOf(config, (context) => query(context, sql, options))
  await run('SELECT event_time, source_offset, raw FROM test.logs.primary ORDER BY source_offset; -- all')
  const engine = await EmbeddedEngine.open({ temporaryDirectory: await temporaryDirectory(t) })
  t.after(() => engine.close())
  const types = await engine.rows(`DESCRIBE FROM ${parquetSql([output])}`)
  assert.deepEqual(
    types.map(({ column_type }) => column_type),
    ['TIMESTAMP WITH TIME ZONE', 'BIGINT', 'VARCHAR'],
  )
  const offsets = (await engine.rows(`FROM ${parquetSql([output])}`)).map((row) => Number(row.source_offset))
  assert.equal(offsets.length, 20)
  assert.deepEqual(
    offsets,
    offsets.toSorted((a, b) => a - b),
  )
  const { size } = await stat(output)
  for (const sql of [
    "FROM read_text('/etc/hostname')",
    'DESCRIBE test.logs.primary',
    'SELECT 1) TO (SELECT 2',
  ]) {
    await assert.rejects(
      run(sql),
      (error) => isTailraceError(error, 'QUERY_REFUSED') || isTailraceError(error, 'QUERY_FAILED'),
      sql,
    )
  }
  assert.equal((await stat(output)).size, size)
  await assert.rejects(
    run('SELECT 1', { format: 'parquet' }),
    (error) => isTailraceError(error, 'USAGE') && /needs --output/.test(error.message),
  )
})

test('cells are cut with a mark, at the width that a terminal shows, and --wide prints them whole', async (t) => {
  const config = await emptyConfig(t)
  const sql = "SELECT repeat('漢', 40) AS a, repeat('x', 61) AS b"
  const cut = await outputOf(config, (context) => query(context, sql, {}))
  assert.equal(cut.text.split('\n')[2], `${'漢'.repeat(29)}… | ${'x'.repeat(59)}…`)
  const wide = await outputOf(config, (context) => query(context, sql, { wide: true }))
  assert.equal(wide.text.split('\n')[2], `${'漢'.repeat(40)} | ${'x'.repeat(61)}`)
})

test('a catalog whose name the engine keeps for itself can be queried by the short name', async (t) => {
  const bench = await openBench(t)
  for (const catalog of ['main', 'Temp', 'system', 'memory']) {
    const config = bench.config({ primary: { table: `${catalog}.logs.pg` } })
    await bench.storage.append('primary', lines(0, 1))
    await landAll(config)
    const { text } = await outputOf(config, (context) =>
      query(context, 'SELECT count(*) > 0 AS found FROM pg', { json: true }),
    )
    assert.equal(text, '{"found":true}\n', catalog)
  }
})

test('a statement comes from the command line, from a file or from standard input', async (t) => {
  const directory = await temporaryDirectory(t)
  const { configPath } = await writeProject(directory, {
    storage: { kind: 'embedded' },
    pipelines: { primary: { blobs: 'primary' } },
  })
  const file = join(directory, 'one.sql')
  await writeFile(file, 'SELECT 1 AS one\n')
  const env = { TAILRACE_CONFIG: configPath }
  const fromFile = await runTailrace(t, ['query', '--file', file, '--json'], { env })
  assert.equal(fromFile.stdout, '{"one":1}\n', fromFile.stderr)
  const nothing = await runTailrace(t, ['query'], { env })
  assert.equal(nothing.code, 2)
  assert.match(nothing.stderr, /There is no statement in standard input\./)
  const both = await runTailrace(t, ['query', 'SELECT 2', '--file', file], { env })
  assert.match(both.stderr, /Found both a statement and --file; expected one of them\./)

  const command = builtCommand(join(projectRoot, 'src', 'cli.ts'), ['query', '--format', 'csv'], env)
  const piped = spawn(process.execPath, command.args, {
    env: { ...process.env, ...command.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  piped.stdin.end('SELECT 2 AS two')
  let text = ''
  for await (const part of piped.stdout.setEncoding('utf8')) text += part
  assert.equal(text, 'two\n2\n')
})

test('the prompt completes names, keeps its history, describes tables, and Ctrl-C cancels a statement', {
  skip: skipUnless(noTerminalReason),
}, async (t) => {
  const storage = await startStorage(t)
  await storage.append('primary', lines(0, 20))
  const project = await writeProject(await temporaryDirectory(t), {
    storage: { kind: 'connection-string', connectionString: storage.connectionString },
    pipelines: { primary: { blobs: 'primary' } },
  })
  const env = { TAILRACE_CONFIG: project.configPath }
  assert.equal((await runTailrace(t, ['start', '--once'], { env })).code, 0)
  const session = startOnTerminal(t, ['query'], env)
  await session.until(/tailrace> /)
  session.type('\\d\r')
  await session.until(/\ntest\.logs\.primary +\| +\d+\r\n/)
  session.type('\\d "pipeline primary"\r')
  await session.until(/event_time +\| TIMESTAMP WITH TIME ZONE \| When the server wrote/)
  await session.until(/tailrace> /)
  session.type('select count(*)::int as n\r')
  await session.until(/\.\.\.> /)
  session.type('from test.lo')
  session.type('\t')
  await session.until(/from test\.logs\.primary/)
  session.type(';\r')
  await session.until(/\r\n20\r\n\(1 row\)/)
  session.type('\\timing\r')
  await session.until(/Timing is on\./)
  session.type("select ';' as a;\r")
  await session.until(/Time: \d+ ms/)
  session.type('select nothing;\r')
  await session.until(/QUERY_FAILED: Binder Error/)
  session.type('select count(*) from range(1000000000000);\r')
  // The line has been taken, so the statement is running, which keeps every core busy.
  await session.until(/range\(1000000000000\);\r*\n/)
  await new Promise((resolve) => setTimeout(resolve, 200))
  session.type('\u0003')
  await session.until(/Canceled\./)
  session.type('\u0004')
  assert.equal(await session.exited, 0)
  assert.match(await readFile(join(project.stateDirectory, 'query-history'), 'utf8'), /^select count.*\n/)

  const next = startOnTerminal(t, ['query', '--format', 'csv'], env)
  await next.until(/tailrace> /)
  for (const _ of ['canceled', 'wrong', "';'"]) next.type('\u001b[A')
  await next.until(/select ';' as a;/)
  next.type('\r')
  await next.until(/a\r\n;\r\n/)
  next.type('\\q\r')
  assert.equal(await next.exited, 0)
})
