import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import type { SqlResult } from '../../src/page/api.ts'
import { landAll, lines, openBench } from '../commands/command-fixture.ts'
import { eventually } from '../support/eventually.ts'
import { sharedHooks } from '../support/shared-hooks.ts'
import { servePage } from './served-page.ts'

const endless = 'SELECT count(*) FROM range(100000000000) a'

const hooks = sharedHooks()
const bench = await openBench(hooks)
await bench.storage.append('primary', lines(0, 700))
await landAll(bench.config({ primary: {} }))
const page = await servePage(hooks, bench.config({ primary: {} }))

let ids = 0

function run(sql: string, options: object = {}, init: RequestInit = {}): Promise<Response> {
  ids += 1
  const body = JSON.stringify({ id: `statement-${ids}`, sql, ...options })
  return page.fetch('/api/sql', { method: 'POST', body, ...init })
}

async function failure(response: Response): Promise<{ status: number; code: string }> {
  const { error } = (await response.json()) as { error: { code: string } }
  return { status: response.status, code: error.code }
}

test('a statement returns its columns with their types, and its rows up to the limit', async () => {
  const sql = 'SELECT pid, query_id, message, event_time, [1, 2] AS list FROM pg_logs ORDER BY line_num'
  const response = await run(sql.replace('pg_logs', 'test.logs.primary'), { maxRows: 3 })
  const result = (await response.json()) as SqlResult
  assert.deepEqual(result.columns, [
    { name: 'pid', type: 'INTEGER' },
    { name: 'query_id', type: 'BIGINT' },
    { name: 'message', type: 'VARCHAR' },
    { name: 'event_time', type: 'TIMESTAMP WITH TIME ZONE' },
    { name: 'list', type: 'INTEGER[]' },
  ])
  assert.equal(result.rows.length, 3)
  assert.equal(result.isCut, true)
  assert.equal(result.rows[0]![1], String(2n ** 60n))
  const whole = (await (await run('SELECT 1 AS one')).json()) as SqlResult
  assert.deepEqual([whole.rows, whole.isCut], [[[1]], false])
})

test('statements are confined as those of tailrace query', async () => {
  for (const sql of [
    "COPY (SELECT 1) TO '/tmp/tailrace-page-test'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/hostname')",
    'CREATE TABLE t (a INTEGER)',
    'SET threads = 1',
    "ATTACH '/tmp/x.db'",
    'SELECT 1; SELECT 2',
    'INSTALL httpfs',
  ])
    assert.deepEqual(await failure(await run(sql)), { status: 403, code: 'QUERY_REFUSED' }, sql)
  assert.deepEqual(await failure(await run('SELECT nothing')), { status: 400, code: 'QUERY_FAILED' })
  assert.deepEqual(await failure(await run('SELEC')), { status: 400, code: 'QUERY_FAILED' })
})

test('a statement is canceled by its id, and by closing its request', { timeout: 60_000 }, async () => {
  const running = run(endless)
  let status = 404
  while (status === 404) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    status = (await page.fetch(`/api/sql/statement-${ids}`, { method: 'DELETE' })).status
  }
  assert.equal(status, 204)
  assert.deepEqual(await failure(await running), { status: 499, code: 'CANCELED' })
  assert.equal((await page.fetch(`/api/sql/statement-${ids}`, { method: 'DELETE' })).status, 404)
  // More than there are engines: those that were closed must have given theirs back.
  for (let n = 0; n < 3; n += 1) {
    const closing = new AbortController()
    const closed = run(endless, {}, { signal: closing.signal }).catch((error: Error) => error.name)
    await new Promise((resolve) => setTimeout(resolve, 150))
    closing.abort()
    assert.equal(await closed, 'AbortError')
  }
  assert.equal((await run('SELECT 1')).status, 200)
})

test('an id of a statement that runs is not given to another one', { timeout: 60_000 }, async () => {
  const running = run(endless, { id: 'same' })
  let second = { status: 200, code: '' }
  while (second.code !== 'BAD_REQUEST') {
    const response = await run('SELECT 1', { id: 'same' })
    if (response.status !== 200) second = await failure(response)
  }
  await page.fetch('/api/sql/same', { method: 'DELETE' })
  assert.equal((await running).status, 499)
})

test('a result of many bytes is cut, so that a page can hold it', async () => {
  const response = await run("SELECT repeat('x', 1000000) FROM range(100)")
  const { rows, isCut } = (await response.json()) as SqlResult
  assert.ok(isCut && rows.length >= 10 && rows.length <= 20, String(rows.length))
})

test('a result is exported whole, in each format, and its failure is an answer', async () => {
  const sql = encodeURIComponent('SELECT line_num, message FROM test.logs.primary ORDER BY line_num')
  const get = (format: string, text = sql) =>
    page.fetch(`/api/sql/export?format=${format}&name=my "result"&sql=${text}`)
  const csv = await get('csv')
  assert.equal(csv.headers.get('content-disposition'), 'attachment; filename="my-result-.csv"')
  assert.equal((await csv.text()).trim().split('\n').length, 701)
  assert.equal(((await (await get('json')).json()) as unknown[]).length, 700)
  const parquet = Buffer.from(await (await get('parquet')).arrayBuffer())
  assert.equal(parquet.subarray(0, 4).toString(), 'PAR1')
  assert.equal(parquet.subarray(-4).toString(), 'PAR1')
  assert.equal((await get('csv', 'SELECT+nothing')).status, 400)
  assert.equal((await get('parquet', "COPY+x+TO+'y'")).status, 403)
})

test('no text of an exported CSV is a formula for a spreadsheet, and numbers stay numbers', async () => {
  const values = [
    ["'=HYPERLINK(1)'", "'=HYPERLINK(1)"],
    ["'+1+2'", "'+1+2"],
    ["'-2+3'", "'-2+3"],
    ["'@a'", "'@a"],
    ["'a=1'", 'a=1'],
    ['-5', '-5'],
    ['-1.5e300', '-1.5e+300'],
    ['(-12345678901234567890)::DECIMAL(30, 2)', '-12345678901234567890.00'],
  ] as const
  const sql = encodeURIComponent(`SELECT ${values.map(([value], n) => `${value} AS c${n}`).join(', ')}`)
  const csv = await (await page.fetch(`/api/sql/export?format=csv&sql=${sql}`)).text()
  assert.equal(csv.trim().split('\n')[1], values.map(([, text]) => text).join(','))
})

test('an export that nobody reads on, and one that is closed, leave no engine and no file behind', {
  timeout: 60_000,
}, async () => {
  // Other processes of this machine export, too.
  const exports = async (): Promise<string[]> =>
    (await readdir(tmpdir())).filter((name) => name.startsWith('tailrace-export-'))
  const before = await exports()
  for (let n = 0; n < 3; n += 1) {
    const closing = new AbortController()
    const sql = encodeURIComponent("SELECT range, repeat('x', 1000) FROM range(10000000)")
    const response = await page.fetch(`/api/sql/export?format=csv&sql=${sql}`, { signal: closing.signal })
    await response.body!.getReader().read()
    closing.abort()
  }
  assert.equal((await run('SELECT 1')).status, 200)
  await eventually(
    async () => (await exports()).every((name) => before.includes(name)),
    'end of the files of exports',
  )
})

test('exports whose files nobody reads are limited, and those that are closed count no more', {
  timeout: 60_000,
}, async () => {
  const sql = encodeURIComponent('SELECT hash(range) AS h FROM range(3000000)')
  const begin = async () => {
    const closing = new AbortController()
    // Kept: the collection of a reply that nobody reads ends it.
    const reply = await page.fetch(`/api/sql/export?format=parquet&sql=${sql}`, { signal: closing.signal })
    return { reply, closing }
  }
  const begun = [await begin(), await begin(), await begin(), await begin()]
  assert.deepEqual(
    begun.map(({ reply }) => reply.status),
    [200, 200, 200, 200],
  )
  assert.equal((await begin()).reply.status, 503)
  for (const { closing } of begun) closing.abort()
  await eventually(async () => {
    const { reply, closing } = await begin()
    closing.abort()
    return reply.status === 200
  }, 'a free place for an export')
})

test('statements beyond those that may wait are refused', { timeout: 60_000 }, async () => {
  const closing = new AbortController()
  let refused = 0
  const sixRefused = new Promise<void>((resolve) => {
    for (let n = 0; n < 40; n += 1) {
      run(endless, {}, { signal: closing.signal })
        .then(({ status }) => {
          if (status === 503) refused += 1
          if (refused === 6) resolve()
        })
        .catch(() => {})
    }
  })
  // Two run and 32 wait.
  await sixRefused
  closing.abort()
  let status = 503
  while (status === 503) status = (await run('SELECT 1')).status
  assert.equal(status, 200)
  assert.equal(refused, 6)
})
