import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Workspace } from '../../../../doubles/workspace/workspace.ts'
import { tokenSource } from '../../../../src/sinks/databricks/open-workspace.ts'
import { WorkspaceHttp } from '../../../../src/sinks/databricks/workspace/http.ts'
import { RenewedToken, type Token } from '../../../../src/sinks/databricks/workspace/renewed-token.ts'
import { EntraTokenSource } from '../../../../src/sinks/databricks/workspace/tokens-entra.ts'
import { OAuthTokenSource } from '../../../../src/sinks/databricks/workspace/tokens-oauth.ts'
import { ManualClock } from '../../../doubles/workspace/manual-clock.ts'
import { MemoryFiles } from '../../../doubles/workspace/memory-files.ts'
import { ScriptedEngine } from '../../../doubles/workspace/scripted-engine.ts'
import { addressOf } from '../warehouse-under-test.ts'

const hourMs = 3_600_000

test('a personal token is given as it is', async (t) => {
  const { http, clock } = await workspaceWithTokens(t)
  const source = tokenSource({ kind: 'token', token: 'dapi00' }, { http, clock })
  assert.deepEqual(await source.token({ rejected: 'dapi00' }), { value: 'dapi00', expiresAtMs: undefined })
})

test("a service principal's token is kept until five minutes before its end", async (t) => {
  const { source, workspace, clock } = await workspaceWithTokens(t)
  const first = await source.token()
  assert.equal(first.expiresAtMs, clock.now() + hourMs)
  clock.advance(hourMs - 300_001)
  assert.deepEqual(await source.token(), first)
  clock.advance(1)
  assert.notEqual((await source.token()).value, first.value)
  assert.equal(workspace.tokens.issued, 2)
})

test('a refused token is replaced before its time, once for all who had it', async (t) => {
  const { source, workspace } = await workspaceWithTokens(t)
  const { value: rejected } = await source.token()
  const replaced = await Promise.all([1, 2, 3].map(() => source.token({ rejected })))
  assert.equal(new Set(replaced.map(({ value }) => value)).size, 1)
  assert.deepEqual(await source.token({ rejected }), replaced[0])
  assert.equal(workspace.tokens.issued, 2)
})

test('a wrong secret is denied, and the message does not contain it', async (t) => {
  const { workspace, http, clock } = await workspaceWithTokens(t)
  const source = new OAuthTokenSource({
    clientId: workspace.tokens.clientId,
    clientSecret: 'wrong-secret',
    http,
    clock,
  })
  await assert.rejects(source.token(), (error: Error & { code: string }) => {
    assert.equal(error.code, 'WAREHOUSE_DENIED')
    assert.match(error.message, /invalid_client/)
    assert.doesNotMatch(error.message, /wrong-secret/)
    return true
  })
})

test('a transient failure of the token service is reported with its pause, and the next call asks again', async (t) => {
  const { source, workspace } = await workspaceWithTokens(t)
  const fault = { kind: 'status', status: 503, retryAfterSeconds: 5 } as const
  workspace.faults.add({ route: /oidc/, fault })
  await assert.rejects(source.token(), {
    code: 'WAREHOUSE_UNAVAILABLE',
    context: { status: 503, errorClass: 'TEMPORARILY_UNAVAILABLE', retryAfterMs: 5000 },
  })
  workspace.faults.add({ route: /oidc/, fault: { kind: 'drop-before' } })
  await assert.rejects(source.token(), { code: 'WAREHOUSE_UNAVAILABLE' })
  await source.token()
})

test('a short-lived token is renewed at half of its life', async () => {
  const clock = new ManualClock()
  let asked = 0
  const renewed = new RenewedToken(clock, async () => ({
    value: String(++asked),
    expiresAtMs: clock.now() + 60_000,
  }))
  await renewed.token()
  clock.advance(29_999)
  assert.equal((await renewed.token()).value, '1')
  clock.advance(1)
  assert.equal((await renewed.token()).value, '2')
})

test('a caller that stops waiting for a token leaves the request to the others', async () => {
  const clock = new ManualClock()
  let answer = (_token: Token): void => {}
  const renewed = new RenewedToken(clock, () => new Promise((resolve) => (answer = resolve)))
  const abort = new AbortController()
  const given = renewed.token({ signal: abort.signal })
  const other = renewed.token()
  abort.abort(new Error('enough'))
  await assert.rejects(given, { message: 'enough' })
  answer({ value: 'a', expiresAtMs: undefined })
  assert.equal((await other).value, 'a')
})

test('Entra ID is asked for Databricks, and by another credential once a token was refused', async () => {
  const clock = new ManualClock()
  const scopes: unknown[] = []
  let opened = 0
  const source = new EntraTokenSource({
    clock,
    open: async () => {
      const value = `token-${++opened}`
      return {
        getToken: async (scope) => {
          scopes.push(scope)
          return { token: value, expiresOnTimestamp: clock.now() + hourMs }
        },
      }
    },
  })
  assert.deepEqual(await source.token(), { value: 'token-1', expiresAtMs: clock.now() + hourMs })
  assert.equal((await source.token({ rejected: 'token-1' })).value, 'token-2')
  assert.deepEqual([...new Set(scopes)], ['2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default'])
})

test('no identity is denied; an identity service that fails or is silent may answer later', async () => {
  const clock = new ManualClock()
  const failing = (error: Error) =>
    new EntraTokenSource({ clock, open: async () => ({ getToken: () => Promise.reject(error) }) }).token()
  const named = (name: string, statusCode?: number): Error =>
    Object.assign(new Error('eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.sig'), { name, statusCode })
  await assert.rejects(failing(named('CredentialUnavailableError')), { code: 'WAREHOUSE_DENIED' })
  await assert.rejects(failing(named('AuthenticationError', 401)), { code: 'WAREHOUSE_DENIED' })
  await assert.rejects(failing(named('AuthenticationError', 503)), { code: 'WAREHOUSE_UNAVAILABLE' })
  await assert.rejects(failing(named('RestError')), { code: 'WAREHOUSE_UNAVAILABLE' })
  const silent = new EntraTokenSource({
    clock,
    answerMs: 1000,
    open: async () => ({
      getToken: (_scope, options) =>
        new Promise((_resolve, reject) => {
          options?.abortSignal?.addEventListener('abort', () => reject(new Error('aborted')))
        }),
    }),
  }).token()
  await new Promise((resolve) => setImmediate(resolve))
  clock.advance(1000)
  await assert.rejects(silent, { code: 'WAREHOUSE_UNAVAILABLE' })
})

async function workspaceWithTokens(t: TestContext) {
  const clock = new ManualClock()
  const files = new MemoryFiles()
  const workspace = await Workspace.start({ engine: new ScriptedEngine(files), volumes: files, clock })
  const http = new WorkspaceHttp({ address: addressOf(workspace), clock })
  t.after(async () => {
    await http.close()
    await workspace.close()
  })
  const { clientId, clientSecret } = workspace.tokens
  const source = new OAuthTokenSource({ clientId, clientSecret, http, clock })
  return { workspace, http, clock, source }
}
