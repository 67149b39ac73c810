import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  AccountSASPermissions,
  BlobSASPermissions,
  BlobServiceClient,
  ContainerSASPermissions,
} from '@azure/storage-blob'
import { authorityHostOf, connectContainer } from '../../src/azure/connect-container.ts'
import { systemClock } from '../../src/clock.ts'
import { isTailraceError, type TailraceError } from '../../src/errors.ts'
import { EmbeddedStorage } from '../../src/sources/embedded/embedded-storage.ts'
import type { StorageConfig } from '../../src/sources/options.ts'
import { AzureBlobReader } from '../../src/sources/readers/azure-blob-reader.ts'
import { ManualClock } from '../sources/manual-clock.ts'
import { misbehavingServer, partHeaders } from '../sources/storage-fixture.ts'
import { sharedHooks } from '../support/shared-hooks.ts'

const blob = 'logs of/a server+1.json'
const read = { offset: 0, maxBytes: 100 }

const storage = await EmbeddedStorage.start()
sharedHooks().after(() => storage.stop())
const container = storage.containerClient('logs')
await container.create()
for (const name of [blob, 'other.json']) {
  const client = container.getAppendBlobClient(name)
  await client.create()
  await client.appendBlock('hello\n', 6)
}

type RealStorage = Exclude<StorageConfig, { kind: 'embedded' }>

const readerOf = (config: RealStorage, fixedBlob: string | undefined, clock = systemClock): AzureBlobReader =>
  new AzureBlobReader(connectContainer(config, { container: 'logs', fixedBlob, clock }))

const sas = (url: string | (() => string | Promise<string>)): RealStorage => ({ kind: 'sas', url })

async function textOf(reader: AzureBlobReader, name = blob): Promise<string> {
  const answer = await reader.read(name, read)
  assert.equal(answer.kind, 'bytes')
  return answer.kind === 'bytes' ? answer.bytes.toString() : ''
}

const failed = async (work: Promise<unknown>): Promise<TailraceError> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  assert.ok(isTailraceError(error), String(error))
  return error
}

// Azurite knows the signatures of this version.
const signed = { version: '2023-11-03', expiresOn: new Date(Date.now() + 3_600_000) }
const blobSas = (permissions = 'r', options: object = {}): Promise<string> =>
  container
    .getBlobClient(blob)
    .generateSasUrl({ ...signed, ...options, permissions: BlobSASPermissions.parse(permissions) })
const containerSas = (permissions: string): Promise<string> =>
  container.generateSasUrl({ ...signed, permissions: ContainerSASPermissions.parse(permissions) })
const accountSas = (): string =>
  BlobServiceClient.fromConnectionString(storage.connectionString).generateAccountSasUrl(
    signed.expiresOn,
    AccountSASPermissions.parse('rl'),
    'co',
    { version: signed.version },
  )

test('a connection string, a shared key and a SAS of the account read and list', async () => {
  const [, key = ''] = /AccountKey=([^;]+)/.exec(storage.connectionString) ?? []
  const { url } = BlobServiceClient.fromConnectionString(storage.connectionString)
  const configs: RealStorage[] = [
    { kind: 'connection-string', connectionString: storage.connectionString },
    { kind: 'shared-key', account: url, key },
    { kind: 'shared-key', account: `${url}/`, key },
    sas(accountSas()),
    {
      kind: 'connection-string',
      connectionString: `BlobEndpoint=${url};SharedAccessSignature=${new URL(accountSas()).search.slice(1)}`,
    },
  ]
  for (const config of configs) {
    const reader = readerOf(config, undefined)
    assert.equal(await textOf(reader), 'hello\n')
    const { blobs } = await reader.listPage({ prefix: '' })
    assert.deepEqual(
      blobs.map(({ name }) => name),
      [blob, 'other.json'],
    )
  }
})

test('a wrong key is refused', async () => {
  const { url } = BlobServiceClient.fromConnectionString(storage.connectionString)
  const reader = readerOf({ kind: 'shared-key', account: url, key: 'd3Jvbmc=' }, undefined)
  assert.equal((await failed(reader.read(blob, read))).code, 'SOURCE_DENIED')
})

test('a SAS of the container reads and lists, and without the right to list it still reads a fixed blob', async () => {
  const full = readerOf(sas(await containerSas('rl')), undefined)
  assert.equal(await textOf(full), 'hello\n')
  assert.equal((await full.listPage({ prefix: '' })).blobs.length, 2)
  const reading = readerOf(sas(await containerSas('r')), blob)
  assert.equal(await textOf(reading), 'hello\n')
  const error = await failed(reading.listPage({ prefix: '' }))
  assert.equal(error.code, 'SOURCE_DENIED')
  assert.match(
    error.message,
    /the SAS lacks the permission to list \(l\) on the container logs; a fixed blob name/,
  )
})

test('a SAS of one blob reads that blob, with no other right', async () => {
  const reader = readerOf(sas(await blobSas()), blob)
  assert.equal((await failed(reader.read('other.json', read))).code, 'SOURCE_DENIED')
  assert.equal((await failed(reader.listPage({ prefix: '' }))).code, 'SOURCE_DENIED')
  assert.equal(await textOf(reader), 'hello\n')
})

test('a SAS of another container or blob is a mistake of the config that names both', async () => {
  const cases: [string, string | undefined, RegExp][] = [
    [await blobSas(), undefined, /the one blob logs of\/a server\+1\.json, .* source\.blobs may be several/],
    [
      await blobSas(),
      'other.json',
      /of the blob logs of\/a server\+1\.json, expected source\.blobs \(other\.json\)/,
    ],
    [
      (await blobSas()).replace('/logs/', '/audit/'),
      blob,
      /the container audit, expected source\.container \(logs\)/,
    ],
    [
      (await containerSas('r')).replace('/logs?', '/audit?'),
      blob,
      /the container audit, expected .*\(logs\)/,
    ],
    [(await containerSas('r')).replace('/logs?', '/?'), blob, /without a container, expected logs/],
    ['https://mylogs.blob.core.windows.net/logs?sv=2026', blob, /is not a URL with a signature/],
  ]
  for (const [url, fixedBlob, expected] of cases) {
    assert.throws(
      () => readerOf(sas(url), fixedBlob),
      (error) => isTailraceError(error, 'CONFIG_INVALID') && expected.test(error.message),
      url,
    )
    const error = await failed(
      readerOf(
        sas(() => url),
        fixedBlob,
      ).read(blob, read),
    )
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.match(error.message, expected)
  }
})

test('a SAS that has ended is told with its instant before anything is asked, and again when it ends later', async (t) => {
  let requests = 0
  const server = await misbehavingServer(t, (_request, response) => {
    requests += 1
    if (requests === 1) response.writeHead(206, partHeaders({ start: 0, bytes: 3, total: 3 })).end('abc')
    else response.writeHead(403, { 'x-ms-error-code': 'AuthenticationFailed' }).end()
  })
  const clock = new ManualClock(Date.parse('2026-11-24T00:00:00Z'))
  const url = (end: string): RealStorage => sas(`${server}/account/logs?sr=c&se=${end}&sig=SECRET`)
  const ended = await failed(readerOf(url('2026-11-23T12:00:00Z'), undefined, clock).read('a', read))
  assert.equal(ended.code, 'SOURCE_DENIED')
  assert.match(ended.message, /the SAS expired at 2026-11-23T12:00:00\.000Z/)
  assert.equal(requests, 0)

  const reader = new AzureBlobReader(
    connectContainer(url('2026-11-24T00:30:00Z'), { container: 'logs', clock }),
    { clock },
  )
  assert.equal(await textOf(reader, 'a'), 'abc')
  clock.advance(3_600_000)
  assert.match((await failed(reader.read('a', read))).message, /the SAS expired at 2026-11-24T00:30:00\.000Z/)
  assert.equal(requests, 2, 'a plain SAS cannot be renewed')
})

test('a function is asked for a new SAS before the last one ends, and once for requests that come together', async (t) => {
  const used: (string | null)[] = []
  const server = await misbehavingServer(t, (request, response) => {
    used.push(new URL(request.url ?? '', 'http://x').searchParams.get('sig'))
    response.writeHead(206, partHeaders({ start: 0, bytes: 3, total: 3 })).end('abc')
  })
  const clock = new ManualClock()
  let asked = 0
  let broken = false
  const reader = readerOf(
    sas(async () => {
      if (broken) throw new Error('the vault is down: sig=SECRET')
      asked += 1
      const end = new Date(clock.now() + 3_600_000).toISOString()
      return `${server}/account/logs?sr=c&se=${end}&sig=n${asked}`
    }),
    undefined,
    clock,
  )
  await Promise.all([1, 2, 3, 4].map(() => textOf(reader, 'a')))
  clock.advance(54 * 60_000)
  await textOf(reader, 'a')
  clock.advance(60_000)
  await Promise.all([1, 2].map(() => textOf(reader, 'a')))
  assert.deepEqual(used, ['n1', 'n1', 'n1', 'n1', 'n1', 'n2', 'n2'])
  // A vault that is down costs nothing while the last SAS is good.
  broken = true
  clock.advance(56 * 60_000)
  await textOf(reader, 'a')
  assert.equal(used.at(-1), 'n2')
  broken = false
  clock.advance(60_000)
  await textOf(reader, 'a')
  assert.equal(used.at(-1), 'n3')
})

test('a function that fails, or never ends, is waited for like storage itself', async () => {
  const failing = await failed(
    readerOf(
      sas(() => {
        throw new Error('the vault is down: sig=SECRET')
      }),
      undefined,
    ).read('a', read),
  )
  assert.equal(failing.code, 'SOURCE_UNAVAILABLE')
  assert.match(String(failing.cause), /the vault is down: sig=\*\*\*/)
  const clock = new ManualClock()
  const hanging = readerOf(
    sas(() => new Promise<string>(() => {})),
    undefined,
    clock,
  ).read('a', read)
  await Promise.resolve()
  clock.advance(30_000)
  assert.equal((await failed(hanging)).code, 'SOURCE_UNAVAILABLE')
})

test('a refused SAS is renewed once, by one renewal for all, and then no more than once a minute', async (t) => {
  let good = 'n2'
  const used: (string | null)[] = []
  const server = await misbehavingServer(t, (request, response) => {
    const signature = new URL(request.url ?? '', 'http://x').searchParams.get('sig')
    used.push(signature)
    if (signature === good) response.writeHead(206, partHeaders({ start: 0, bytes: 3, total: 3 })).end('abc')
    else response.writeHead(403, { 'x-ms-error-code': 'AuthenticationFailed' }).end()
  })
  const clock = new ManualClock()
  let asked = 0
  const reader = readerOf(
    sas(() => {
      asked += 1
      return `${server}/account/logs?sr=c&sig=n${asked}`
    }),
    undefined,
    clock,
  )
  await Promise.all([1, 2, 3].map(() => textOf(reader, 'a')))
  assert.deepEqual([asked, used.toSorted()], [2, ['n1', 'n1', 'n1', 'n2', 'n2', 'n2']])

  good = 'none'
  used.length = 0
  for (let time = 0; time < 5; time += 1) {
    const error = await failed(reader.read('a', read))
    assert.equal(error.code, 'SOURCE_UNAVAILABLE')
  }
  assert.deepEqual([asked, used.length], [2, 5], 'the first renewal is less than a minute ago')
  clock.advance(60_000)
  for (let time = 0; time < 5; time += 1) await failed(reader.read('a', read))
  assert.deepEqual([asked, used.length], [3, 11])
  clock.advance(60_000)
  good = 'n4'
  assert.equal(await textOf(reader, 'a'), 'abc')
})

test('the account of a national cloud signs in there', () => {
  assert.equal(authorityHostOf('https://a.blob.core.windows.net'), undefined)
  assert.equal(authorityHostOf('https://a.blob.core.chinacloudapi.cn'), 'https://login.chinacloudapi.cn')
  assert.equal(authorityHostOf('https://a.blob.core.usgovcloudapi.net'), 'https://login.microsoftonline.us')
})
