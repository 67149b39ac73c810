import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from './manual-clock.ts'
import { oneRow } from './scripted-engine.ts'
import { ask, connectedClient, type HttpAnswer, workspaceUnderTest } from './workspace-under-test.ts'

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const grant = 'grant_type=client_credentials&scope=all-apis'
const directory = '/api/2.0/fs/directories/Volumes/c/s/v'

test('the driver verifies the certificate, and connects with the CA it is given', async (t) => {
  const { workspace, engine } = await workspaceUnderTest(t)
  engine.on(/^SELECT/, () => oneRow('one', 'INT', 1))
  const { personal } = workspace.tokens
  const strict = await connectedClient(workspace, personal, { checkServerCertificate: true })
  await assert.rejects(strict.openSession(), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  const trusting = await connectedClient(workspace, personal, { customCaCert: workspace.ca })
  const session = await trusting.openSession()
  const operation = await session.executeStatement('SELECT 1')
  assert.deepEqual(await operation.fetchAll(), [{ one: 1 }])
})

test('requests without a token get 401, those with an unknown one 403, and neither has an effect', async (t) => {
  const { workspace } = await workspaceUnderTest(t)
  const client = await connectedClient(workspace, 'dapi-unknown')
  await assert.rejects(client.openSession(), { statusCode: 403 })
  const unknown = await ask(workspace, 'GET', directory, {
    headers: { authorization: 'Bearer dapi-unknown' },
  })
  const none = await ask(workspace, 'GET', directory, { headers: { authorization: '' } })
  assert.deepEqual([unknown.status, none.status], [403, 401])
  assert.deepEqual(JSON.parse(unknown.body.toString()), {
    error_code: '403',
    message: 'Invalid access token.',
  })
  assert.deepEqual(workspace.log.rpcs, [])
})

test('a service principal gets tokens that end', async (t) => {
  const clock = new ManualClock()
  const { workspace } = await workspaceUnderTest(t, { clock, tokenLifetimeMs: 60_000 })
  const { clientId, clientSecret } = workspace.tokens
  const authorization = basic(clientId, clientSecret)
  const answer = await ask(workspace, 'POST', '/oidc/v1/token', {
    headers: { ...form, authorization },
    body: grant,
  })
  const { access_token, ...rest } = JSON.parse(answer.body.toString())
  assert.deepEqual(rest, { scope: 'all-apis', token_type: 'Bearer', expires_in: 60 })
  const list = (): Promise<HttpAnswer> =>
    ask(workspace, 'GET', directory, { headers: { authorization: `Bearer ${access_token}` } })
  clock.advance(59_999)
  assert.equal((await list()).status, 200)
  clock.advance(1)
  assert.equal((await list()).status, 401)
  await assert.rejects((await connectedClient(workspace, access_token)).openSession(), { statusCode: 401 })
  assert.equal(workspace.tokens.issued, 1)
})

test('a wrong secret, grant or scope gets no token', async (t) => {
  const { workspace } = await workspaceUnderTest(t)
  const { clientId, clientSecret } = workspace.tokens
  const errors = []
  for (const [secret, body] of [
    ['wrong', grant],
    [clientSecret, 'grant_type=password&scope=all-apis'],
    [clientSecret, 'grant_type=client_credentials'],
  ] as const) {
    const headers = { ...form, authorization: basic(clientId, secret) }
    const answer = await ask(workspace, 'POST', '/oidc/v1/token', { headers, body })
    errors.push([answer.status, JSON.parse(answer.body.toString()).error])
  }
  assert.deepEqual(errors, [
    [401, 'invalid_client'],
    [400, 'unsupported_grant_type'],
    [400, 'invalid_scope'],
  ])
  assert.equal(workspace.tokens.issued, 0)
})

function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}
