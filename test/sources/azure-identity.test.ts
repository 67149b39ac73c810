import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { builtScript } from '../support/built-script.ts'
import { selfSigned } from './self-signed.ts'
import { misbehavingServer, partHeaders } from './storage-fixture.ts'

const script = fileURLToPath(new URL('identity-process.ts', import.meta.url))

interface Outcome {
  readonly kind?: string
  readonly code?: string
  readonly message?: string
  readonly told?: string
}

interface Scenario {
  /** What the account says to the n-th request, counted from 1, by its bearer token; undefined to let it read. */
  readonly refuse: (token: string, request: number) => readonly [status: number, code: string] | undefined
  readonly reads: number
  readonly environment?: Readonly<Record<string, string>>
}

/** Runs the reads against an account that checks tokens, which a managed identity's endpoint hands out. */
async function readAll(t: TestContext, { refuse, reads, environment = {} }: Scenario) {
  const asked: URL[] = []
  const endpoint = await misbehavingServer(t, (request, response) => {
    assert.equal(request.headers['x-identity-header'], 'endpoint-SECRET')
    asked.push(new URL(request.url ?? '', 'http://endpoint'))
    const token = { access_token: `token-${asked.length}-SECRET`, token_type: 'Bearer' }
    const expires = { expires_on: String(Math.floor(Date.now() / 1000) + 86_400) }
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ ...token, ...expires, resource: asked.at(-1)?.searchParams.get('resource') }))
  })
  const certificate = await selfSigned(t, ['DNS:tailracetest.blob.core.windows.net'])
  const used: string[] = []
  const server = createServer(certificate, (request: IncomingMessage, response: ServerResponse) => {
    used.push(String(request.headers.authorization).replace(/^Bearer /, ''))
    const refused = refuse(used.at(-1) ?? '', used.length)
    if (refused === undefined)
      response.writeHead(206, partHeaders({ start: 0, bytes: 3, total: 3 })).end('abc')
    else response.writeHead(refused[0], { 'x-ms-error-code': refused[1] }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const { stdout } = await promisify(execFile)(process.execPath, builtScript(script), {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      NODE_EXTRA_CA_CERTS: certificate.file,
      IDENTITY_ENDPOINT: `${endpoint}/token`,
      IDENTITY_HEADER: 'endpoint-SECRET',
      account: `https://tailracetest.blob.core.windows.net:${port}`,
      reads: String(reads),
      ...environment,
    },
  })
  const outcomes = stdout
    .trimEnd()
    .split('\n')
    .map((line): Outcome => JSON.parse(line))
  assert.ok(!stdout.includes('SECRET'), stdout)
  return { outcomes, used, resources: asked.map(({ searchParams }) => searchParams.get('resource')), asked }
}

test('a managed identity reads with one token, and with a new one after storage refused the first', async (t) => {
  const { outcomes, used, resources } = await readAll(t, {
    reads: 4,
    // As a revoked token is refused: the machine's caches still hold it.
    refuse: (token, request) =>
      request > 2 && token === 'token-1-SECRET' ? [401, 'InvalidAuthenticationInfo'] : undefined,
  })
  assert.deepEqual(outcomes, Array(4).fill({ kind: 'bytes' }))
  assert.deepEqual(
    used.map((token) => token.slice(0, 7)),
    ['token-1', 'token-1', 'token-1', 'token-2', 'token-2'],
  )
  assert.deepEqual(resources, ['https://storage.azure.com', 'https://tailracetest.blob.core.windows.net'])
})

test('an identity without the role is refused after one fresh token, and the message names the role', async (t) => {
  const { outcomes, used } = await readAll(t, {
    reads: 2,
    environment: { clientId: '11111111-2222-3333-4444-555555555555' },
    refuse: () => [403, 'AuthorizationPermissionMismatch'],
  })
  for (const { code, message } of outcomes) {
    assert.equal(code, 'SOURCE_DENIED')
    assert.match(message ?? '', /grant the identity the role Storage Blob Data Reader on the container logs/)
  }
  assert.equal(used.length, 3, 'the second read is within the minute of the first renewal')
})

test('a user-assigned managed identity is asked for by its client id', async (t) => {
  const clientId = '11111111-2222-3333-4444-555555555555'
  const { outcomes, asked } = await readAll(t, {
    reads: 1,
    environment: { clientId },
    refuse: () => undefined,
  })
  assert.deepEqual(outcomes, [{ kind: 'bytes' }])
  assert.equal(asked[0]?.searchParams.get('client_id'), clientId)
})

test('an identity that had tokens and gets none for now is waited for', async (t) => {
  const { outcomes } = await readAll(t, {
    reads: 2,
    environment: { credential: 'loses its tokens' },
    refuse: () => undefined,
  })
  assert.equal(outcomes[0]?.kind, 'bytes')
  assert.equal(outcomes[1]?.code, 'SOURCE_UNAVAILABLE')
  assert.match(outcomes[1]?.message ?? '', /^No new token for reading logs\/a\.json/)
})
