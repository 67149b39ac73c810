import assert from 'node:assert/strict'
import { access, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { systemClock } from '../../src/clock.ts'
import { isTailraceError } from '../../src/errors.ts'
import { silentLogger } from '../../src/reporting/logger.ts'
import { chooseEngine } from '../../src/run/inspection/choose-engine.ts'
import { openStatements, type Statements } from '../../src/run/inspection/statements.ts'
import type { TableMoment } from '../../src/sinks/query-session.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { landAll, lines, openBench } from './command-fixture.ts'

async function countOf(session: Statements, from: string): Promise<number> {
  let count = -1
  await session.run({
    sql: `SELECT count(*)::INTEGER FROM ${from}`,
    take: async ({ rows }) => {
      if (rows.length > 0) count = Number(rows[0]![0])
      return true
    },
  })
  return count
}

test('a session reads the log of a table again only when the table has a new version, or is there at last', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ one: {}, two: {} })
  const of = (moment: TableMoment, unsafe = false) =>
    openStatements(chooseEngine({ config, logger: silentLogger }, undefined), {
      unsafe,
      moment,
      clock: systemClock,
      logger: silentLogger,
    })
  const session = of({})
  t.after(() => session.close())
  const only = (name: string) => ({ ...config, pipelines: { [name]: config.pipelines[name]! } })
  await bench.storage.append('one', lines(0, 3))
  await landAll(only('one'))
  assert.equal(await countOf(session, 'one'), 3)
  await assert.rejects(countOf(session, 'two'), (error) => isTailraceError(error, 'QUERY_FAILED'))

  // Without its first commit the log cannot be read any more.
  const first = join(bench.directory, 'lakehouse/test/logs/one/_delta_log', `${'0'.padStart(20, '0')}.json`)
  await rename(first, `${first}.away`)
  for (const _ of [1, 2]) assert.equal(await countOf(session, 'one'), 3)
  await assert.rejects(countOf(of({}), 'one'), (error) => isTailraceError(error, 'TABLE_CORRUPT'))
  await rename(`${first}.away`, first)

  await bench.storage.append('one', lines(3, 2))
  await bench.storage.append('two', lines(0, 4))
  await landAll(config)
  assert.equal(await countOf(session, 'one'), 5)
  assert.equal(await countOf(session, '(FROM one UNION ALL FROM two)'), 9)

  // A moment stays as it is, whatever lands.
  const then = of({ timestampMs: Date.now() })
  t.after(() => then.close())
  assert.equal(await countOf(then, 'two'), 4)
  await bench.storage.append('two', lines(4, 1))
  await landAll(config)
  assert.equal(await countOf(then, 'two'), 4)
  assert.equal(await countOf(session, 'two'), 5)

  // Between the statements of a confined session nothing else is allowed than before.
  await writeFile(join(bench.directory, 'secret.csv'), 'a\n1\n')
  await assert.rejects(countOf(session, `'${join(bench.directory, 'secret.csv')}'`), (error) =>
    isTailraceError(error, 'QUERY_REFUSED'),
  )
  const unsafe = of({}, true)
  t.after(() => unsafe.close())
  for (const _ of [1, 2]) assert.equal(await countOf(unsafe, 'two'), 5)
})

test('a session knows every view, however a statement finds it, and proposes one for a name that it does not know', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ one: {} })
  await bench.storage.append('one', lines(0, 3))
  await landAll(config)
  const open = (unsafe: boolean): Statements => {
    const session = openStatements(chooseEngine({ config, logger: silentLogger }, undefined), {
      unsafe,
      moment: {},
      clock: systemClock,
      logger: silentLogger,
    })
    t.after(() => session.close())
    return session
  }
  const namesOf = async (session: Statements, sql: string): Promise<string[]> => {
    const names: string[] = []
    await session.run({
      sql,
      take: async ({ rows }) => {
        for (const [name] of rows) names.push(String(name))
        return true
      },
    })
    return names
  }
  const views = postgresLogs('a.b.c').views!.views()
  assert.ok(views.length > 10)
  for (const { name } of views) {
    const [count] = await namesOf(open(false), `SELECT count(*) FROM ${name.toUpperCase()}`)
    assert.match(count!, /^\d+$/, name)
  }
  for (const list of ['SHOW TABLES', 'SELECT view_name FROM duckdb_views()']) {
    const listed = await namesOf(open(false), list)
    assert.deepEqual(
      views.filter(({ name }) => !listed.includes(name)).map(({ name }) => name),
      [],
      list,
    )
  }
  assert.equal(await countOf(open(true), "query_table('log_' || 'records')"), 3)
  await assert.rejects(
    countOf(open(false), 'log_recods'),
    (error) => isTailraceError(error, 'QUERY_FAILED') && /log_records/.test(error.message),
  )
})

test('a statement that would write more to the disk than it may is ended, and leaves no file', {
  timeout: 120_000,
}, async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ one: {} })
  await bench.storage.append('one', lines(0, 3))
  await landAll(config)
  const { ability, targets } = chooseEngine({ config, logger: silentLogger }, undefined)
  const session = ability.openSession!(targets, {
    memoryMiB: 64,
    maxSpillMiB: 16,
    clock: systemClock,
    logger: silentLogger,
  })
  t.after(() => session.close())
  // Refused by its own limit, long before the disk is full.
  await assert.rejects(
    session.run({ sql: 'SELECT hash(range) AS h FROM range(30000000) ORDER BY h', take: async () => true }),
    (error) => isTailraceError(error, 'QUERY_FAILED') && /max_temp_directory_size/.test(error.message),
  )
  const path = join(bench.directory, 'result.parquet')
  const write = (sql: string) => session.writeParquet({ sql, maxBytes: 8 * 2 ** 20 }, path)
  await assert.rejects(
    write('SELECT hash(range) AS h FROM range(1000000000000)'),
    (error) => isTailraceError(error, 'QUERY_FAILED') && /larger than 8 MiB/.test(error.message),
  )
  await assert.rejects(access(path))
  await write('SELECT hash(range) AS h FROM range(1000)')
  await access(path)
})
