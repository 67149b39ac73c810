import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { About, ApiFailure, SqlResult, TableCatalog } from '../../src/page/api.ts'
import { servePage } from '../page/served-page.ts'
import { jsonlogLine, linesAsBytes } from '../support/log-lines.ts'
import { landAll, openWorkspaceBench } from './workspace-bench.ts'

test('the page asks a warehouse what a person runs and nothing else, reads only, and can cancel', {
  timeout: 120_000,
}, async (t) => {
  const bench = await openWorkspaceBench(t)
  const config = bench.config()
  const lines = ['one', 'two', 'three'].map((message, index) => jsonlogLine(index, message))
  await bench.storage.append('primary.ndjson', linesAsBytes(lines))
  await landAll(config)
  const sent = (): number => Array.from(bench.warehouse.statements.values()).reduce((sum, n) => sum + n, 0)
  const landing = sent()
  const page = await servePage(t, config)

  const { unavailable, ask, limits } = await page.json<About>('/api/about')
  assert.match(unavailable ?? '', /costs money, so they ask nothing\. Ask and tailrace query run/)
  assert.equal(ask.isAvailable, true)
  assert.match(ask.note ?? '', /costs money/)
  assert.equal(limits.maxSqlMs, 600_000, 'a warehouse that starts takes minutes')
  const { relations } = await page.json<TableCatalog>('/api/tables')
  const table = relations[0]!.name
  assert.ok(relations[0]!.columns.some(({ name }) => name === 'message'))
  await page.json('/api/operate')
  assert.equal((await page.fetch('/api/histogram')).status, 400)
  assert.equal(sent(), landing, 'the page sends nothing by itself')

  const post = async (id: string, sql: string): Promise<{ status: number; body: unknown }> => {
    const response = await page.fetch('/api/sql', { method: 'POST', body: JSON.stringify({ id, sql }) })
    return { status: response.status, body: await response.json() }
  }
  const read = await post('read', `SELECT message FROM ${table} ORDER BY message; `)
  const { columns, rows } = read.body as SqlResult
  assert.deepEqual([columns.map(({ name }) => name), rows], [['message'], [['one'], ['three'], ['two']]])
  for (const end of [" -- the day's", ' /* a /+ b */', ';;', '; -- all of them; really', ' /* ; */ ;\n']) {
    const counted = await post('end', `SELECT 'ai_query()' FROM ${table} LIMIT 1${end}`)
    assert.deepEqual((counted.body as SqlResult).rows, [['ai_query()']], JSON.stringify(counted.body))
  }
  assert.equal(
    await (
      await page.fetch(
        `/api/sql/export?format=csv&sql=${encodeURIComponent(`SELECT count(*) AS n FROM ${table}`)}`,
      )
    ).text(),
    'n\n3\n',
  )

  for (const sql of [
    `DELETE FROM ${table}`,
    `DROP TABLE ${table}`,
    `SELECT 1) AS one; DROP TABLE ${table}; SELECT * FROM (SELECT 1`,
    `WITH one AS (SELECT 1) INSERT INTO ${table} SELECT * FROM one`,
  ]) {
    const { status, body } = await post('write', sql)
    const expected = { STATEMENT_FAILED: 400, QUERY_REFUSED: 403 }[(body as ApiFailure).error.code]
    assert.equal(status, expected, sql)
  }
  const before = sent()
  for (const call of [
    "http_request('c', 'POST', '/', message)",
    "HTTP_REQUEST /* '*/ ('c')",
    "`ai_query`('m', message)",
    'ai_summarize(message)',
    "r'\\', http_request('c'), 'x'",
    "'\\\n', ai_gen('x'), ''",
    "IDENTIFIER('http' || '_request')('c')",
    "1 /* /* */ ' */ , http_request(conn => 'c', path => '/') -- '",
    "/*+ hint('*/') */ http_request('c') /*' */ AS one",
    "1 -- \\\n ' \n , http_request('c') -- '",
    "1 /* ' , http_request('c') -- '",
  ]) {
    const { status, body } = await post('call', `SELECT ${call} FROM ${table}`)
    assert.deepEqual([status, (body as ApiFailure).error.code], [403, 'QUERY_REFUSED'], call)
  }
  assert.equal((await post('call', "SELECT * FROM remote_query('c', query => 'x')")).status, 403)
  assert.equal(sent(), before, 'no refused statement is sent')
  assert.deepEqual(((await post('count', `SELECT count(*) FROM ${table}`)).body as SqlResult).rows, [['3']])

  const hold = bench.warehouse.holdNext(/held/)
  const held = post('held', `SELECT 'held' FROM ${table}`)
  await hold.reached
  assert.equal((await page.fetch('/api/sql/held', { method: 'DELETE' })).status, 204)
  assert.equal(((await held).body as ApiFailure).error.code, 'CANCELED')
  hold.release()
})
