import assert from 'node:assert/strict'
import test from 'node:test'
import { history } from '../../src/commands/history.ts'
import { type QueryOptions, query } from '../../src/commands/query.ts'
import { isTailraceError } from '../../src/errors.ts'
import { landAll, lines, openBench, outputOf } from './command-fixture.ts'

test('history lists the commits of each table, and its times lead query to the rows of then', async (t) => {
  const bench = await openBench(t)
  const config = bench.config({ one: {}, two: {}, none: {} })
  const both = { pipelines: { one: config.pipelines.one!, two: config.pipelines.two! } }
  for (const count of [3, 4]) {
    for (const name of ['one', 'two']) await bench.storage.append(name, lines(0, count))
    await landAll({ ...config, ...both })
  }

  const table = (await outputOf(config, (context) => history(context, { limit: 9, json: false }))).text
  assert.match(table, /^one: the log has versions 0 to 2\n/)
  assert.match(table, /2 \| 20\S+Z \| STREAMING UPDATE \| outputMode=Append \| \+4 +\| \+1 -0 \| tailrace\//)
  assert.match(table, /\nnone: the table does not exist yet\n$/)
  const listed = await outputOf(config, (context) =>
    history(context, { pipeline: 'two', limit: 2, json: true }),
  )
  const commits = listed.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    commits.map(({ pipeline, version, addedRows }) => [pipeline, version, addedRows]),
    [
      ['two', 2, 4],
      ['two', 1, 3],
    ],
  )

  const counted = async (from: string, options: Omit<QueryOptions, 'json'>): Promise<number> => {
    const sql = `SELECT count(*)::INTEGER AS n FROM ${from}`
    const { text } = await outputOf(config, (context) => query(context, sql, { ...options, json: true }))
    return JSON.parse(text).n
  }
  assert.equal(await counted('two', {}), 7)
  assert.equal(await counted('test.logs.two', { pipeline: 'two', version: 1 }), 3)
  assert.equal(
    await counted('"pipeline two"', { pipeline: 'two', timestampMs: Date.parse(commits[1].time) }),
    3,
  )
  // Each table is as it was at that time, at a version of its own.
  assert.equal(await counted('two', { timestampMs: Date.parse(commits[0].time) - 1 }), 3)
  assert.equal(await counted('(FROM one UNION ALL FROM two)', { timestampMs: Date.now() }), 14)

  await assert.rejects(
    counted('two', { version: 1 }),
    (error) =>
      isTailraceError(error, 'USAGE') &&
      error.message === '--table-version needs --pipeline: the config has one, two, none.',
  )
  await assert.rejects(
    counted('two', { pipeline: 'two', version: 3 }),
    (error) => isTailraceError(error, 'TABLE_VERSION_UNAVAILABLE') && / has 0 to 2\.$/.test(error.message),
  )
  await assert.rejects(counted('one', { pipeline: 'two' }), (error) => isTailraceError(error, 'QUERY_FAILED'))
})
