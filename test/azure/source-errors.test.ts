import assert from 'node:assert/strict'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import {
  ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import type { AccountStorage } from '../../src/azure/account-storage.ts'
import { connectContainer } from '../../src/azure/connect-container.ts'
import { copied } from '../../src/azure/failure.ts'
import {
  type AzureRequest,
  type CredentialKind,
  refusal,
  type SasTerms,
} from '../../src/azure/source-errors.ts'
import { systemClock } from '../../src/clock.ts'
import { isTailraceError, type TailraceError } from '../../src/errors.ts'
import { maxRetryAfterMs } from '../../src/retry.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { ManualClock } from '../sources/manual-clock.ts'
import { selfSigned } from '../sources/self-signed.ts'
import { misbehavingReader } from '../sources/storage-fixture.ts'
import { startStorage } from '../support/storage.ts'

const nowMs = Date.UTC(2026, 10, 24)
const read = { offset: 0, maxBytes: 10 }

const request = (credential: CredentialKind, kind: 'read' | 'list' = 'read'): AzureRequest => ({
  kind,
  container: 'logs',
  name: kind === 'read' ? 'a.json' : 'primary/',
  credential,
  nowMs,
  wasAdmitted: false,
})

const failed = async (work: Promise<unknown>): Promise<TailraceError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(isTailraceError(error), String(error))
  return error
}

function terms(some: Partial<SasTerms>): SasTerms {
  return { startsAtMs: undefined, expiresAtMs: undefined, permissions: undefined, ...some }
}

test('each refusal says what is missing and what to do', () => {
  const cases: [number, string | undefined, AzureRequest, RegExp][] = [
    [
      403,
      'AuthorizationPermissionMismatch',
      request('identity'),
      /role Storage Blob Data Reader on the container logs/,
    ],
    [403, 'AuthorizationPermissionMismatch', request('sas'), /the SAS lacks the permission to read \(r\)/],
    [
      403,
      'AuthorizationPermissionMismatch',
      request('sas', 'list'),
      /to list \(l\).*a fixed blob name is read without/,
    ],
    [
      403,
      'AuthorizationFailure',
      request('key'),
      /the account's key is not.*, or the account's network rules/,
    ],
    [
      403,
      'AuthorizationFailure',
      { ...request('sas'), sas: terms({ startsAtMs: nowMs + 1000 }) },
      /the SAS is not valid before 2026-11-24T00:00:01.000Z; by this machine's clock it is 2026-11-24T00:00:00.000Z/,
    ],
    [
      403,
      'AuthenticationFailed',
      { ...request('sas'), sas: terms({ permissions: 'l' }) },
      /lacks .* read \(r\)/,
    ],
    [
      403,
      'AuthorizationFailure',
      { ...request('sas'), sas: terms({ permissions: 'rl' }) },
      /network rules do not allow this machine, or the signature of the SAS does not fit\.$/,
    ],
    [403, 'AuthorizationFailure', request('sas', 'list'), /network rules .*, or the SAS lacks .*list \(l\)/],
    [403, 'AuthorizationFailure', request('identity'), /network rules .*, or grant the identity the role/],
    [403, 'AuthenticationFailed', request('sas'), /expired or was revoked, its signature .* clock is wrong/],
    [403, 'AuthenticationFailed', request('key'), /the account's key is not/],
    [401, 'InvalidAuthenticationInfo', request('identity'), /the token is not for this account/],
    [
      403,
      'AuthenticationFailed',
      { ...request('sas'), sas: terms({ expiresAtMs: nowMs - 1000 }) },
      /the SAS expired at 2026-11-23T23:59:59.000Z/,
    ],
    [403, 'AuthorizationServiceMismatch', request('sas'), /ss=b/],
    [403, 'AuthorizationResourceTypeMismatch', request('sas'), /srt=co/],
    [403, 'AuthorizationProtocolMismatch', request('sas'), /https/],
    [403, 'AuthorizationSourceIPMismatch', request('sas'), /sip=/],
    [403, 'KeyBasedAuthenticationNotPermitted', request('key'), /use an identity/],
    [401, 'NoAuthenticationInformation', request('nothing'), /had no credential/],
    [404, 'ResourceNotFound', request('nothing'), /had no credential/],
    [409, 'PublicAccessNotPermitted', request('nothing'), /had no credential/],
    [403, 'AccountIsDisabled', request('key'), /the account is disabled/],
  ]
  for (const [status, service, asked, expected] of cases) {
    const message = refusal(status, service, asked)
    assert.match(message, expected)
    assert.match(
      message,
      /^Storage refused (?:reading logs\/a\.json|listing logs\/primary\/) \(\d{3} \w+\): .*\.$/,
    )
  }
  assert.equal(refusal(403, undefined, request('sas')), 'Storage refused reading logs/a.json (403).')
})

test('an anonymous request learns that it lacks a credential, and one with a SAS that the blob is missing', async (t) => {
  const hiding = await misbehavingReader(t, (_request, response) => {
    response.writeHead(404, { 'x-ms-error-code': 'ResourceNotFound' }).end()
  })
  assert.equal((await failed(hiding.read('a', read))).code, 'SOURCE_DENIED')
  const signed = await misbehavingReader(
    t,
    (_request, response) => void response.writeHead(404, { 'x-ms-error-code': 'ResourceNotFound' }).end(),
    { query: '?sv=2026&sig=abc' },
  )
  assert.deepEqual(await signed.read('a', read), { kind: 'missing', what: 'blob' })
})

test('storage may ask for a pause by seconds, an instant or milliseconds, and for five minutes at most', async (t) => {
  const answers: [Record<string, string>, number | undefined][] = [
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': 'Tue, 24 Nov 2026 00:00:09 GMT' }, 9000],
    [{ 'retry-after-ms': '1500', 'retry-after': '9' }, 1500],
    [{ 'x-ms-retry-after-ms': '250' }, 250],
    [{ 'retry-after': '31536000' }, maxRetryAfterMs],
    [{ 'retry-after': 'Wed, 24 Nov 2027 00:00:00 GMT' }, maxRetryAfterMs],
    [{ 'retry-after': 'Mon, 23 Nov 2026 00:00:00 GMT' }, undefined],
    [{ 'retry-after': '-3' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '' }, undefined],
    [{}, undefined],
  ]
  let next = 0
  const busy = await misbehavingReader(
    t,
    (_request, response) => void response.writeHead(503, answers[next++]?.[0]).end(),
    { clock: new ManualClock(nowMs) },
  )
  for (const [headers, retryAfterMs] of answers) {
    const error = await failed(busy.read('a', read))
    assert.equal(error.context.retryAfterMs, retryAfterMs, JSON.stringify(headers))
  }
  assert.equal(next, answers.length, 'the SDK repeats nothing on its own')
})

test('transient failures, permanent failures and refusals have different codes', async (t) => {
  const answers: [number, string | undefined, string, RegExp?][] = [
    ...[408, 429, 500, 502, 503, 504].map((status): [number, undefined, string] => [
      status,
      undefined,
      'SOURCE_UNAVAILABLE',
    ]),
    [412, 'ConditionNotMet', 'SOURCE_UNAVAILABLE'],
    [401, undefined, 'SOURCE_DENIED'],
    [403, 'Scripted', 'SOURCE_DENIED'],
    [400, 'InvalidAuthenticationInfo', 'SOURCE_DENIED'],
    [400, 'InvalidHeaderValue', 'SOURCE_UNSUPPORTED'],
    [409, 'BlobArchived', 'SOURCE_UNSUPPORTED', /logs\/a is in the archive tier: rehydrate it/],
    [409, 'BlobBeingRehydrated', 'SOURCE_UNSUPPORTED', /it is being rehydrated, which takes hours/],
  ]
  let next = 0
  const server = await misbehavingReader(t, (_request, response) => {
    const [status, service] = answers[next++] as (typeof answers)[number]
    response
      .writeHead(status, { 'x-ms-request-id': 'r-1', ...(service ? { 'x-ms-error-code': service } : {}) })
      .end()
  })
  for (const [status, service, code, told] of answers) {
    const error = await failed(server.read('a', read))
    assert.equal(error.code, code, `${status} ${service}`)
    assert.deepEqual([error.context.status, error.context.service], [status, service])
    assert.equal(error.context.requestId, 'r-1')
    // The SDK's id is in the request, so that it is there without an answer, too.
    assert.match(String(error.context.clientRequestId), /^[0-9a-f-]{36}$/)
    assert.match(error.message, told ?? /logs\/a/)
  }
})

test('a missing container is told from a missing name when listing', async (t) => {
  const codes = ['ContainerNotFound', 'BlobNotFound']
  const server = await misbehavingReader(
    t,
    (_request, response) => void response.writeHead(404, { 'x-ms-error-code': codes.shift() ?? '' }).end(),
  )
  const container = await failed(server.listPage({ prefix: 'p/' }))
  assert.equal(container.code, 'SOURCE_MISSING')
  assert.match(container.message, /There is no container logs/)
  assert.match((await failed(server.listPage({ prefix: 'p/' }))).message, /Not found while listing logs\/p\//)
})

test('a host that does not resolve may be a wrong account name, and is tried again', async () => {
  const client = new ContainerClient('https://nosuchaccount.blob.core.windows.invalid/logs', undefined, {
    retryOptions: { maxTries: 1 },
  })
  const error = await failed(new AzureBlobReader(client).read('a', read))
  assert.equal(error.code, 'SOURCE_UNAVAILABLE')
  assert.match(error.message, /the account name may be wrong|DNS does not answer/)
})

test('a port where nothing listens, and one that hangs up, are unavailable', async (t) => {
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const client = new ContainerClient(`http://127.0.0.1:${port}/account/logs`, undefined, {
    retryOptions: { maxTries: 1 },
  })
  const reader = new AzureBlobReader(client)
  assert.match((await failed(reader.read('a', read))).message, /the connection was reset/)
  await new Promise((resolve) => server.close(resolve))
  const refused = await failed(reader.read('a', read))
  assert.equal(refused.code, 'SOURCE_UNAVAILABLE')
  assert.match(refused.message, /nothing listens there/)
  t.diagnostic(refused.message)
})

test('a certificate that nobody vouches for is named, with its remedy', async (t) => {
  const server = createTlsServer(await selfSigned(t, ['IP:127.0.0.1']), (_request, response) =>
    response.end(),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  const client = new ContainerClient(`https://127.0.0.1:${port}/account/logs`, undefined, {
    retryOptions: { maxTries: 1 },
  })
  const error = await failed(new AzureBlobReader(client).read('a', read))
  assert.equal(error.code, 'SOURCE_UNAVAILABLE')
  assert.match(error.message, /not one that this machine trusts: name its authority in NODE_EXTRA_CA_CERTS/)
})

test('a connection that is not made in time is given up', async (t) => {
  // It takes the connection and never speaks TLS, as a host behind a broken balancer does.
  const silent = createServer((socket) => void t.after(() => socket.destroy()))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const { port } = silent.address() as AddressInfo
  const connection = connectContainer(
    { kind: 'shared-key', account: `https://127.0.0.1:${port}/account`, key: 'a2V5' },
    { container: 'logs', clock: { now: Date.now, sleep: async () => {}, after: soon }, connectMs: 10_000 },
  )
  const error = await failed(new AzureBlobReader(connection).read('a', read))
  assert.equal(error.code, 'SOURCE_UNAVAILABLE')
  assert.match(error.message, /no connection in time \(no connection for 10000 ms\)/)
})

test('an identity that never was is refused, one that was there is waited for, and a refused secret is refused', async (t) => {
  const named = (name: string, fields: object = {}): Error =>
    Object.assign(new Error('x'), { name, ...fields })
  let thrown: Error | undefined
  const credential = {
    getToken: async () => {
      throw thrown
    },
  }
  const client = new ContainerClient('https://127.0.0.1:1/account/logs', credential, {
    retryOptions: { maxTries: 1 },
  })
  const codeOf = async (error: Error): Promise<string> => {
    thrown = error
    return (await failed(new AzureBlobReader(client).read('a', read))).code
  }
  assert.equal(await codeOf(named('AggregateAuthenticationError')), 'SOURCE_DENIED')
  assert.equal(await codeOf(named('CredentialUnavailableError')), 'SOURCE_DENIED')
  assert.equal(await codeOf(named('AuthenticationError', { statusCode: 401 })), 'SOURCE_DENIED')
  assert.equal(await codeOf(named('AuthenticationError', { statusCode: 503 })), 'SOURCE_UNAVAILABLE')
  t.diagnostic('the admitted case is proved with a managed identity in azure-identity.test.ts')
})

test('a copied error keeps names and first lines, and nothing of the request', () => {
  const inner = Object.assign(new Error('inner ?sig=SECRET\nmore'), { request: { url: 'SECRET' } })
  const outer = new Error(
    "The MAC 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG=' is wrong\nString to sign: SECRET",
    {
      cause: inner,
    },
  )
  outer.name = 'RestError'
  const copy = copied(outer)
  assert.deepEqual([copy.name, copy.message], ['RestError', "The MAC '***' is wrong"])
  assert.equal((copy.cause as Error).message, 'inner ?sig=***')
  assert.ok(!`${copy.stack}${(copy.cause as Error).stack}`.includes('SECRET'))
})

function soon(_ms: number, fire: () => void): () => void {
  const timer = setTimeout(fire, 50)
  return () => clearTimeout(timer)
}

test('a wrong key, and a SAS that is too early, too late or lacks a right, are told apart', async (t) => {
  const { connectionString } = await startStorage(t)
  const key = /AccountKey=([^;]*)/.exec(connectionString)![1]!
  const url = `${/BlobEndpoint=([^;]*?)\/?;/.exec(connectionString)![1]}/logs`
  const hourMs = 3_600_000
  const sas = (startsInMs: number, endsInMs: number, permissions: string): AccountStorage => {
    const terms = generateBlobSASQueryParameters(
      {
        containerName: 'logs',
        permissions: ContainerSASPermissions.parse(permissions),
        startsOn: new Date(Date.now() + startsInMs),
        expiresOn: new Date(Date.now() + endsInMs),
      },
      new StorageSharedKeyCredential('devstoreaccount1', key),
    )
    return { kind: 'sas', url: async () => `${url}?${terms}` }
  }
  const cases: [AccountStorage, RegExp][] = [
    [
      {
        kind: 'connection-string',
        connectionString: connectionString.replace(key, Buffer.alloc(64, 7).toString('base64')),
      },
      /the account's key is not/,
    ],
    [sas(hourMs, 2 * hourMs, 'rl'), /the SAS is not valid before/],
    [sas(-2 * hourMs, -hourMs, 'rl'), /the SAS expired at/],
    [sas(-hourMs, hourMs, 'l'), /the SAS lacks the permission to read/],
  ]
  for (const [storage, expected] of cases) {
    const connection = connectContainer(storage, { container: 'logs', clock: systemClock })
    const error = await failed(new AzureBlobReader(connection).read('a', read))
    assert.equal(error.code, 'SOURCE_DENIED')
    assert.match(error.message, expected)
  }
})
