import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { isTailraceError } from '../../src/errors.ts'
import type { About } from '../../src/page/api.ts'
import { Access } from '../../src/page/http/access.ts'
import { landAll, lines, openBench } from '../commands/command-fixture.ts'
import { sharedHooks } from '../support/shared-hooks.ts'
import { type ServedPage, servePage } from './served-page.ts'

const token = 'a token of some length'

const hooks = sharedHooks()
const bench = await openBench(hooks)
await bench.storage.append('primary', lines(0, 50))
const config = bench.config({ primary: {} })
await landAll(config)
const open = await servePage(hooks, config, { hosts: ['Logs.example.com'] })
const closed = await servePage(hooks, config, { host: '0.0.0.0', token })

/** `fetch` sets some headers by itself and refuses to set others. */
async function ask(
  { port }: ServedPage,
  path: string,
  headers: Record<string, string> = {},
  { method = 'GET', body = '' } = {},
): Promise<{ status: number; headers: IncomingMessage['headers']; text: string }> {
  const sent = request({ port, host: '127.0.0.1', path, method, headers, agent: false }).end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  for await (const part of response.setEncoding('utf8')) text += part
  return { status: response.statusCode!, headers: response.headers, text }
}

test('a page that other machines can reach is not opened without a token', async () => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'logs.example.com']) {
    await assert.rejects(
      servePage(hooks, bench.config({ primary: {} }), { host }),
      (error) => isTailraceError(error, 'PAGE_UNAVAILABLE') && /TAILRACE_PAGE_TOKEN/.test(error.message),
    )
  }
})

test('names that somebody else can make lead here are refused, addresses and listed names are served', async () => {
  const port = open.port
  for (const host of [
    `localhost:${port}`,
    '127.0.0.1',
    `[::1]:${port}`,
    'LOGS.EXAMPLE.COM',
    'logs.example.com:443',
  ])
    assert.equal((await ask(open, '/api/about', { host })).status, 200, host)
  for (const host of [
    'evil.example',
    `localhost.evil.example:${port}`,
    '192.0.2.1',
    'a@localhost',
    ' ',
    'localhost:x',
  ])
    assert.ok([400, 403].includes((await ask(open, '/api/about', { host })).status), host)
  for (const path of ['/', '/api/sql/x', '/anything'])
    assert.equal((await ask(open, path, { host: 'evil.example' })).status, 403, path)
})

test('requests that another site sends are refused, those of the page and of programs are not', async () => {
  const host = `127.0.0.1:${open.port}`
  const status = async (headers: Record<string, string>) =>
    (await ask(open, '/api/operate', { host, ...headers })).status
  assert.equal(await status({}), 200)
  assert.equal(await status({ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }), 200)
  assert.equal(await status({ origin: 'https://logs.example.com', 'sec-fetch-site': 'same-origin' }), 200)
  assert.equal(await status({ 'sec-fetch-site': 'none' }), 200)
  for (const origin of [
    'https://evil.example',
    'null',
    `http://${host}.evil.example`,
    'http://127.0.0.1:1',
    'logs.example.com',
  ])
    assert.equal(await status({ origin }), 403, origin)
  for (const site of ['cross-site', 'same-site']) assert.equal(await status({ 'sec-fetch-site': site }), 403)
})

test('without the token, a page with one answers only whether it needs it', async () => {
  const about = await closed.json<About>('/api/about')
  assert.equal(about.needsToken, true)
  assert.equal(about.records, undefined)
  for (const path of [
    'operate',
    'tables',
    'histogram',
    'records',
    'record',
    'facets',
    'rejects',
    'verify',
    'report',
    'report.html',
    'live',
    'sql/export?sql=from+logs&format=csv',
  ]) {
    const { status } = await ask(closed, `/api/${path}`)
    assert.equal(status, 401, path)
  }
  assert.equal((await ask(closed, '/api/sql', {}, { method: 'POST', body: '{}' })).status, 401)
  assert.equal((await ask(closed, '/api/sql/x', {}, { method: 'DELETE' })).status, 401)
  for (const authorization of [
    'Bearer',
    'Bearer x',
    `Basic ${token}`,
    `Bearer ${token}x`,
    `Bearer ${token.slice(1)}`,
  ])
    assert.equal((await ask(closed, '/api/operate', { authorization })).status, 401)
  assert.equal(
    (await ask(closed, '/api/operate', { cookie: `tailrace=${encodeURIComponent(token)}` })).status,
    401,
  )
})

test('the token opens the page as a bearer, and by a cookie that is not the token and outlives a restart', async () => {
  assert.equal((await ask(closed, '/api/operate', { authorization: `Bearer ${token}` })).status, 200)
  const login = (given: string) =>
    ask(
      closed,
      '/api/login',
      { 'x-forwarded-proto': 'https' },
      { method: 'POST', body: JSON.stringify({ token: given }) },
    )
  assert.equal((await login('wrong')).status, 401)
  const { status, headers } = await login(token)
  assert.equal(status, 204)
  const [cookie = ''] = headers['set-cookie'] ?? []
  assert.ok(!cookie.includes(token) && !cookie.includes(encodeURIComponent(token)))
  assert.match(cookie, /^tailrace=[\w-]+; Path=\/; HttpOnly; Secure; SameSite=Strict$/)
  const [pair = ''] = cookie.split(';')
  const again = await servePage(hooks, bench.config({ primary: {} }), { host: '0.0.0.0', token })
  for (const page of [closed, again])
    assert.equal((await ask(page, '/api/operate', { cookie: pair })).status, 200)
  const other = await servePage(hooks, bench.config({ primary: {} }), { host: '0.0.0.0', token: `${token}2` })
  assert.equal((await ask(other, '/api/operate', { cookie: pair })).status, 401)
})

test('wrong tokens are answered slowly, and one after the other', async () => {
  const login = { method: 'POST', body: '{"token":"1"}' }
  for (const guess of [
    () => ask(closed, '/api/login', {}, login),
    () => ask(closed, '/api/operate', { authorization: 'Bearer 1' }),
    () => ask(closed, '/api/about', { cookie: 'tailrace=1' }),
  ]) {
    const begunAtMs = performance.now()
    await Promise.all([guess(), guess(), guess()])
    assert.ok(performance.now() - begunAtMs >= 1_400)
  }
})

test('a right token waits for the wrong ones before it, so that none is found by giving up slow answers', async () => {
  const begunAtMs = performance.now()
  const gone = new AbortController()
  const guess = closed.fetch('/api/login', { method: 'POST', body: '{"token":"1"}', signal: gone.signal })
  const wrong = [guess, closed.fetch('/api/operate', { headers: { authorization: 'Bearer 1' } })]
  guess.catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 100))
  gone.abort()
  const right = [
    ask(closed, '/api/operate', { authorization: `Bearer ${token}` }),
    ask(closed, '/api/login', {}, { method: 'POST', body: JSON.stringify({ token }) }),
  ]
  assert.deepEqual(
    (await Promise.all(right)).map(({ status }) => status),
    [200, 204],
  )
  assert.ok(performance.now() - begunAtMs >= 900)
  await Promise.allSettled(wrong)
})

test('many wrong tokens are refused without a verdict, and keep out others for seconds only', {
  timeout: 30_000,
}, async () => {
  const guesses = Array.from({ length: 60 }, () =>
    ask(closed, '/api/login', {}, { method: 'POST', body: '{"token":"1"}' }),
  )
  const statuses = (await Promise.all(guesses)).map(({ status }) => status)
  const judged = statuses.filter((status) => status === 401).length
  assert.equal(statuses.filter((status) => status === 503).length, guesses.length - judged)
  // The one that is judged, 16 that wait, and those that came when some of these had been judged.
  assert.ok(judged >= 17 && judged < 30, `${judged} judged`)
  assert.equal((await ask(closed, '/api/operate', { authorization: `Bearer ${token}` })).status, 200)
})

test('a token in a wrong form is refused', () => {
  const access = new Access({ host: '0.0.0.0', hosts: [], token })
  assert.equal(access.login(''), undefined)
  assert.equal(access.isAllowed({ authorization: undefined, cookie: '' }), false)
  assert.equal(
    access.isAllowed({ authorization: undefined, cookie: access.sessionOf('another token') }),
    false,
  )
})

test('every answer forbids scripts of others, frames, and guesses of its type', async () => {
  for (const path of ['/', '/api/about', '/api/nothing', '/api/records?limit=x']) {
    const { headers } = await ask(open, path)
    const policy = String(headers['content-security-policy'])
    assert.match(policy, /^default-src 'none'; script-src 'self';/, path)
    assert.ok(!policy.includes('unsafe'), path)
    assert.match(policy, /frame-ancestors 'none'/)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.equal(headers['access-control-allow-origin'], undefined)
    assert.equal(headers['cache-control'], path === '/' ? headers['cache-control'] : 'no-store')
  }
})

test('the page changes nothing: only logging in, and running and canceling a statement, are no GET', async () => {
  for (const path of [
    '/',
    '/api/operate',
    '/api/verify',
    '/api/records',
    '/api/report',
    '/api/tables',
    '/api/rejects',
  ])
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      assert.equal((await ask(open, path, {}, { method })).status, 404, `${method} ${path}`)
})

test('a body that is too large, and one that is no JSON, are refused', async () => {
  const post = (body: string) => ask(open, '/api/sql', {}, { method: 'POST', body })
  assert.equal((await post('{')).status, 400)
  assert.equal((await post(JSON.stringify({ id: 'a', sql: 'x'.repeat(60_000) }))).status, 400)
  assert.equal((await post(' '.repeat(300_000))).status, 413)
})

test('windows that follow the page are limited, and those that are closed count no more', {
  timeout: 30_000,
}, async () => {
  const follow = async () => {
    const ending = new AbortController()
    const { status } = await open.fetch('/api/live', { signal: ending.signal })
    return { status, ending }
  }
  const some = await Promise.all(Array.from({ length: 24 }, follow))
  assert.deepEqual(new Set(some.map(({ status }) => status)), new Set([200]))
  assert.equal((await follow()).status, 503)
  for (const { ending } of some) ending.abort()
  for (;;) {
    const { status, ending } = await follow()
    ending.abort()
    if (status === 200) break
  }
})

test('a client that sends no request is cut off', { timeout: 40_000 }, async () => {
  const socket = connect(open.port, '127.0.0.1')
  socket.write('GET /api/about HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
  socket.resume()
  await once(socket, 'close')
})
