import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { ContainerClient } from '@azure/storage-blob'
import { connectContainer } from '../../src/azure/connect-container.ts'
import { systemClock } from '../../src/clock.ts'
import type { TailraceConfig } from '../../src/config/options.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { createLogger } from '../../src/reporting/logger.ts'
import type { StorageConfig } from '../../src/sources/options.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { observedReader, StorageHealth } from '../../src/sources/readers/observed-reader.ts'
import { postgresLogs } from '../../src/tables/postgres/logs.ts'
import { misbehavingServer, partHeaders } from './storage-fixture.ts'

/** A key and a signature: neither has anything by which a text could be known to hold one. */
const secret = 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0cw'
const read = { offset: 0, maxBytes: 10 }

type RealStorage = Exclude<StorageConfig, { kind: 'embedded' }>

const kinds = (origin: string): RealStorage[] => {
  const account = `${origin}/account`
  const sas = `sv=2026-04-06&sr=c&sp=r&sig=${secret}%3D`
  return [
    {
      kind: 'connection-string',
      connectionString: `DefaultEndpointsProtocol=http;AccountName=account;AccountKey=${secret}==;BlobEndpoint=${account}`,
    },
    { kind: 'connection-string', connectionString: `BlobEndpoint=${account};SharedAccessSignature=${sas}` },
    { kind: 'shared-key', account, key: `${secret}==` },
    { kind: 'sas', url: `${account}/logs?${sas}` },
    { kind: 'sas', url: `${account}/logs/a?${sas.replace('sr=c', 'sr=b')}` },
    { kind: 'sas', url: () => `${account}/logs?${sas}` },
    { kind: 'sas', url: () => Promise.reject(new Error(`GET ${account}/logs?${sas} failed`)) },
    { kind: 'sas', url: () => `${secret} is no URL` },
    { kind: 'sas', url: `${account}/logs?${sas}&se=2020-01-01T00:00:00Z` },
  ]
}

/** Everything that can be reached from an error, whether it shows or not, and what the log makes of it. */
function everythingOf(error: unknown, logged: readonly string[]): string {
  const seen = new Set<unknown>()
  const texts: string[] = [inspect(error, { depth: 20, showHidden: true }), ...logged]
  const walk = (value: unknown): void => {
    if (typeof value === 'string') texts.push(value)
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    for (const key of Reflect.ownKeys(value)) walk(Reflect.get(value, key))
  }
  walk(error)
  return texts.join('\n')
}

test('no secret of any credential is in an error, its causes or the log, however a request fails', async (t) => {
  const answers = [400, 401, 403, 404, 409, 412, 429, 503, 'reset', 'broken body'] as const
  let answer: (typeof answers)[number] = 400
  const origin = await misbehavingServer(t, (request, response) => {
    // The service repeats what was signed, and with what.
    const quoted = `The signature '${secret}=' of ${request.url} is wrong: ${request.headers.authorization}`
    if (answer === 'reset') request.socket.destroy()
    else if (answer === 'broken body') {
      response.writeHead(206, partHeaders({ start: 0, bytes: 9, total: 9 }))
      response.flushHeaders()
      response.destroy()
    } else {
      response
        .writeHead(answer, { 'x-ms-error-code': 'Scripted', 'content-type': 'application/xml' })
        .end(`<Error><Code>Scripted</Code><Message>${quoted.replaceAll('&', '&amp;')}</Message></Error>`)
    }
  })
  let failures = 0
  for (const storage of kinds(origin)) {
    for (answer of answers) {
      const logged: string[] = []
      const logger = createLogger({
        level: 'trace',
        pretty: false,
        output: { write: (line) => void logged.push(line) },
      })
      const clock = { ...systemClock, now: () => nowMs }
      let nowMs = Date.now()
      const health = new StorageHealth({ account: 'account', clock, logger })
      const connection = connectContainer(storage, { container: 'logs', fixedBlob: 'a', clock })
      const reader = observedReader(new AzureBlobReader(connection), health)
      for (const request of [() => reader.read('a', read), () => reader.listPage({ prefix: '' })]) {
        const error = await request().then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        if (error === undefined) continue
        failures += 1
        nowMs += 20_000
        logger.error({ err: error }, 'failed')
        const told = everythingOf(error, logged)
        assert.ok(!told.includes(secret), `${storage.kind} ${answer}\n${told}`)
      }
      assert.ok(!`${connection.account} ${inspect(connection)}`.includes(secret))
    }
  }
  assert.ok(failures > 150, `${failures} failures`)
})

test('a bearer token stays out of errors too', async () => {
  const credential = { getToken: async () => ({ token: secret, expiresOnTimestamp: Date.now() + 3_600_000 }) }
  const client = new ContainerClient('https://127.0.0.1:1/account/logs', credential, {
    retryOptions: { maxTries: 1 },
  })
  const error = await new AzureBlobReader(client).read('a', read).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof Error)
  assert.ok(!everythingOf(error, []).includes(secret))
})

test('a mistake in a credential is told without the credential', () => {
  const storages: unknown[] = [
    { kind: 'shared-key', account: 'mylogs', key: `${secret}!` },
    { kind: 'shared-key', account: 'My Logs', key: secret },
    { kind: 'shared-key', account: `https://mylogs.blob.core.windows.net?sig=${secret}`, key: secret },
    { kind: 'shared_key', account: 'mylogs', key: secret },
    { kind: 'connection-string', connectionString: '', key: secret },
    { kind: 'sas', url: `mylogs/logs?sig=${secret}` },
    { kind: 'sas', url: { sig: 1, key: secret } },
    { kind: 'sas', url: `https://mylogs.blob.core.windows.net/other?sr=c&sig=${secret}` },
    { kind: 'account', account: 'http://mylogs.blob.core.windows.net' },
    { kind: 'account', account: 'mylogs', managedIdentityClientId: 'me' },
  ]
  for (const storage of storages) {
    const config = {
      pipelines: {
        one: {
          source: { storage, container: 'logs', blobs: 'a' },
          table: postgresLogs('a.b.c'),
          sink: { kind: 'delta', root: '.' },
        },
      },
    } as unknown as TailraceConfig
    let told = ''
    try {
      resolveConfig(config, '/')
    } catch (error) {
      told = everythingOf(error, [])
    }
    assert.match(told, /pipelines\.one\.source\.storage/)
    assert.ok(!told.includes(secret), told)
  }
})
