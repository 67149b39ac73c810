import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { BlobServiceClient, ContainerClient } from '@azure/storage-blob'
import { isTailraceError } from '../../../../src/errors.ts'
import { maxRetryAfterMs } from '../../../../src/retry.ts'
import {
  AzureDeltaStorage,
  type AzureDeltaStorageOptions,
} from '../../../../src/sinks/delta/storage/azure.ts'
import { ManualClock } from '../../../sources/manual-clock.ts'
import { misbehavingServer } from '../../../sources/storage-fixture.ts'
import { accountClient } from '../../../support/account-client.ts'
import { eventually } from '../../../support/eventually.ts'
import { faultyProxy, type NetworkFault } from '../../../support/faulty-proxy.ts'
import { hurriedClock, placeInAzure, sharedStorage, stopSharedStorage } from '../on-each-storage.ts'
import { committerOf, encode, offsetsOf, span, workbench } from '../support.ts'

stopSharedStorage()

/** A table behind a network that can be told to fail, and the same table without it. */
async function behindFaults(t: TestContext, options: Partial<AzureDeltaStorageOptions> = {}) {
  const { connectionString, container } = await sharedStorage()
  const port = Number(new URL(container.url).port)
  const proxy = await faultyProxy(t, port)
  const client = accountClient(
    connectionString.replace(`127.0.0.1:${port}`, `127.0.0.1:${proxy.port}`),
  ).getContainerClient(container.containerName)
  const bench = await workbench(t, placeInAzure(container))
  const storage = new AzureDeltaStorage({
    container: client,
    folder: bench.table,
    downloadDirectory: join(bench.directory, 'downloads'),
    retry: { clock: hurriedClock, policy: { maxAttempts: 20 } },
    firstByteMs: 2_000,
    idleMs: 2_000,
    ...options,
  })
  return { proxy, bench, storage }
}

/** Faults for the next requests of one kind, in order. */
function nextOf(method: string, ...faults: readonly NetworkFault[]) {
  const left = [...faults]
  return (seen: { readonly method: string }) => (seen.method === method ? left.shift() : undefined)
}

for (const fault of ['lost-reply', 'done-but-500'] as const) {
  test(`a creation whose answer is lost (${fault}) is known to be its own`, async (t) => {
    const { proxy, storage } = await behindFaults(t)
    proxy.plan(nextOf('PUT', fault))
    assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('mine')), 'created')
    assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('mine')), 'exists')
  })
}

test('a creation whose answer is lost and whose path another writer has is lost for certain', async (t) => {
  const { proxy, bench, storage } = await behindFaults(t)
  await bench.storage.putIfAbsent('_delta_log/0.json', Buffer.from('mine'))
  proxy.plan(nextOf('PUT', 'lost-reply'))
  assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('mine')), 'exists')
})

test('a creation that may still arrive is in doubt, and at most one of two arrives', async (t) => {
  const { proxy, bench, storage } = await behindFaults(t)
  proxy.plan(nextOf('PUT', 'late-request', 'lost-request', 'busy'))
  for (let attempt = 0; attempt < 3; attempt += 1) {
    assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('mine')), 'unknown')
  }
  assert.equal(await bench.storage.read('_delta_log/0.json'), undefined)
  await proxy.releaseLate()
  assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('mine')), 'exists')
})

test('a creation is unknown when the path cannot be read either', async (t) => {
  const { proxy, storage } = await behindFaults(t)
  proxy.plan(({ method }) => (method === 'PUT' ? 'lost-reply' : 'busy'))
  assert.equal(await storage.putIfAbsent('_delta_log/0.json', Buffer.from('mine')), 'unknown')
})

test('a server that does not answer is given up in time, for every kind of request', async (t) => {
  const { proxy, bench, storage } = await behindFaults(t, {
    firstByteMs: 100,
    idleMs: 100,
    retry: { clock: hurriedClock, policy: { maxAttempts: 2 } },
  })
  const local = join(bench.staging, 'a')
  await writeFile(local, 'rows')
  proxy.plan(() => 'stalled')
  const isUnavailable = (error: unknown) => isTailraceError(error, 'TABLE_UNAVAILABLE')
  const requests: (() => Promise<unknown>)[] = [
    () => storage.prepare(),
    () => storage.put('a', Buffer.from('x')),
    () => storage.read('a'),
    () => storage.list('a'),
    () => storage.remove('a'),
    () => storage.putFile(local, 'a'),
    () => storage.localFile('a'),
  ]
  for (const request of requests) await assert.rejects(request, isUnavailable)
  assert.equal(await storage.putIfAbsent('a', Buffer.from('x')), 'unknown')
  assert.deepEqual(await readdir(join(bench.directory, 'downloads')), [])
})

test('a large file travels in blocks through every fault and arrives as it was', async (t) => {
  const { proxy, bench, storage } = await behindFaults(t, { blockBytes: 50_000 })
  const bytes = Buffer.from(Array.from({ length: 1_234_567 }, (_, index) => (index * index) % 251))
  const local = join(bench.staging, 'a.parquet')
  await writeFile(local, bytes)
  const faults: NetworkFault[] = [
    'lost-reply',
    'damaged-body',
    'busy',
    'short-body',
    'done-but-500',
    'lost-request',
  ]
  let count = 0
  proxy.plan(() => {
    count += 1
    return count % 3 === 0 ? faults[(count / 3) % faults.length] : undefined
  })
  await storage.putFile(local, 'p/a.parquet')
  assert.deepEqual(await bench.storage.read('p/a.parquet'), bytes)
  const copy = await storage.localFile('p/a.parquet')
  assert.deepEqual(await readFile(copy.path), bytes)
  await copy.release()
  assert.deepEqual(await storage.read('p/a.parquet'), bytes)
  assert.deepEqual(await readdir(join(bench.directory, 'downloads')), [])
})

test('an upload that never succeeds leaves no visible file', async (t) => {
  const { proxy, bench, storage } = await behindFaults(t, {
    blockBytes: 50_000,
    retry: { clock: hurriedClock, policy: { maxAttempts: 3 } },
  })
  const local = join(bench.staging, 'a.parquet')
  await writeFile(local, Buffer.alloc(400_000, 7))
  proxy.plan(({ url }) => (url.includes('comp=blocklist') ? 'busy' : undefined))
  await assert.rejects(storage.putFile(local, 'p/a.parquet'), (error) =>
    isTailraceError(error, 'TABLE_UNAVAILABLE'),
  )
  assert.deepEqual(await bench.dataFiles(), [])
  assert.deepEqual(await bench.storage.list('p'), [])
})

test('bytes that are not those of the checksum are refused', async (t) => {
  const { container } = await sharedStorage()
  // Of a range the emulator computes the checksum; of a whole blob it gives the stored one.
  const { bench, storage } = await behindFaults(t, { blockBytes: 3 })
  const client = container.getBlockBlobClient(`${bench.table}/a`)
  await client.upload('right', 5)
  await client.setHTTPHeaders({ blobContentMD5: Buffer.alloc(16) })
  await assert.rejects(storage.read('a'), (error) => isTailraceError(error, 'TABLE_CORRUPT'))
  await assert.rejects(storage.localFile('a'), (error) => isTailraceError(error, 'TABLE_CORRUPT'))
  assert.deepEqual(await readdir(join(bench.directory, 'downloads')), [])
})

test('a long folder is listed page by page, whatever happens to a page', async (t) => {
  const { proxy, bench, storage } = await behindFaults(t)
  const { container } = await sharedStorage()
  const names = Array.from({ length: 40 }, (_, index) => `${String(index).padStart(20, '0')}.json`)
  for (const name of names) await bench.storage.put(`_delta_log/${name}`, Buffer.from(name))
  // What a listing of a hierarchical account has besides: its folders as empty blobs.
  const folder = container.getBlockBlobClient(`${bench.table}/_delta_log/_sidecars`)
  await folder.upload('', 0, { metadata: { hdi_isfolder: 'true' } })
  await container.getBlockBlobClient(`${bench.table}/_delta_log/`).upload('', 0)
  await bench.storage.put('_delta_log/_staged_commits/x.json', Buffer.from(''))
  await container.getBlockBlobClient(`${bench.table}/_delta_log/_staged_commits`).upload('', 0)
  proxy.plan(nextOf('GET', 'busy', 'short-body', 'lost-reply'))
  assert.deepEqual(await storage.list('_delta_log'), names)
})

test('copies that are not released have a limit', async (t) => {
  const { bench, storage } = await behindFaults(t, { maxCopyBytes: 1_000 })
  await bench.storage.put('a', Buffer.alloc(600))
  const copy = await storage.localFile('a')
  await assert.rejects(storage.localFile('a'), (error) => isTailraceError(error, 'TABLE_TOO_LARGE'))
  await copy.release()
  await copy.release()
  await (await storage.localFile('a')).release()
})

test('a missing object, container or right is named, and no signature is', async (t) => {
  const { container } = await sharedStorage()
  const { bench } = await behindFaults(t)
  await assert.rejects(
    bench.storage.localFile('p/gone.parquet'),
    (error) => isTailraceError(error, 'TABLE_CORRUPT') && error.message.includes('p/gone.parquet'),
  )
  const other = (client: ContainerClient) =>
    new AzureDeltaStorage({ container: client, folder: 'x', downloadDirectory: bench.directory })
  const options = { retryOptions: { maxTries: 1 } }
  const url = new URL(container.url)
  url.search = '?sv=2022-11-02&sr=c&sp=rl&sig=SECRET&se=2020-01-01T00%3A00%3A00Z'
  const denied = other(new ContainerClient(url.href, undefined, options))
  assert.equal(denied.location, `${container.url}/x`)
  for (const request of ['prepare', 'putIfAbsent', 'read'] as const) {
    await assert.rejects(
      denied[request]('a', Buffer.from('x')),
      (error) =>
        isTailraceError(error, 'TABLE_DENIED') &&
        /Storage Blob Data Contributor/.test(error.message) &&
        !error.message.includes('SECRET'),
    )
  }
  const { connectionString } = await sharedStorage()
  const missing = other(
    BlobServiceClient.fromConnectionString(connectionString, options).getContainerClient('absent'),
  )
  for (const request of ['prepare', 'putIfAbsent'] as const) {
    await assert.rejects(
      missing[request]('a', Buffer.from('x')),
      (error) => isTailraceError(error, 'TABLE_UNSUPPORTED') && /container/.test(error.message),
    )
  }
})

test('a path that a foreign kind of blob takes is taken', async (t) => {
  const { container } = await sharedStorage()
  const { bench } = await behindFaults(t)
  await container.getAppendBlobClient(`${bench.table}/_delta_log/0.json`).create()
  assert.equal(await bench.storage.putIfAbsent('_delta_log/0.json', Buffer.from('x')), 'exists')
})

test('opening a table takes as many listings as its log behind the checkpoint has thousands of versions', async (t) => {
  const { proxy, bench, storage } = await behindFaults(t)
  const committer = committerOf(bench)
  await committer.open()
  for (let start = 0; start < 230; start += 10) {
    const source = span('logs/a', start, start + 10)
    await committer.land([source], await encode(bench, source, [{ offset: start, seed: start }]))
  }
  await committer.close()
  const again = committerOf(bench, { storage })
  await again.open()
  assert.equal(again.tableVersion, 23)
  const listings = proxy.seen.flatMap(({ url }) => {
    const { searchParams } = new URL(url, 'http://storage')
    return searchParams.get('comp') === 'list' ? searchParams.get('prefix') : []
  })
  const log = `${bench.table}/_delta_log/`
  // The first one asks for one name only, and whether it is allowed to.
  assert.deepEqual(listings, [log, `${log}${'0'.repeat(17)}`, `${log}${'0'.repeat(16)}1`])
  assert.equal(
    proxy.seen.filter(({ method, url }) => method === 'GET' && !url.includes('comp=list')).length,
    6,
  )
})

test('a stop ends what waits for an answer, a credential or the next attempt, with its own reason', async (t) => {
  const isStop = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError'
  const stopping = new AbortController()
  const { signal } = stopping
  let pauses = 0
  // Times that the test would not live to see.
  const retry = {
    signal,
    policy: { baseMs: 10 ** 6, capMs: 10 ** 6 },
    random: () => 1,
    onRetry: () => {
      pauses += 1
    },
  }
  const patient = { firstByteMs: 10 ** 6, idleMs: 10 ** 6, retry }
  const { proxy, bench, storage } = await behindFaults(t, patient)
  proxy.plan(({ url }) => (url.includes('pausing') ? 'busy' : 'stalled'))
  const never = new Promise<never>(() => {})
  const withoutCredential = new AzureDeltaStorage({
    container: { current: () => never, renewed: () => never },
    folder: 'x',
    downloadDirectory: bench.directory,
    ...patient,
  })
  const waiting = [
    storage.prepare(),
    storage.read('stalled'),
    storage.list('stalled'),
    storage.put('stalled', Buffer.from('x')),
    storage.localFile('stalled'),
    storage.read('pausing'),
    withoutCredential.prepare(),
  ].map((work) => assert.rejects(work, isStop))
  const creation = storage.putIfAbsent('created', Buffer.from('x'))
  await eventually(async () => pauses === 1 && proxy.seen.length === 7, 'request of each')
  stopping.abort()
  await Promise.all(waiting)
  assert.equal(await creation, 'unknown', 'it may have arrived')
  const seen = proxy.seen.length
  await assert.rejects(storage.read('a'), isStop)
  assert.equal(proxy.seen.length, seen, 'nothing is asked any more')
})

/** A table's storage at a server that answers as a test likes, without repetitions. */
async function answeredBy(
  t: TestContext,
  handle: Parameters<typeof misbehavingServer>[1],
  retry: AzureDeltaStorageOptions['retry'],
): Promise<AzureDeltaStorage> {
  const origin = await misbehavingServer(t, handle)
  const container = new ContainerClient(`${origin}/account/lake`, undefined, {
    retryOptions: { maxTries: 1 },
  })
  return new AzureDeltaStorage({ container, folder: 'x', downloadDirectory: '/nowhere', retry: retry ?? {} })
}

test('storage may ask for a pause by seconds, an instant or milliseconds, and for five minutes at most', async (t) => {
  const nowMs = Date.UTC(2026, 10, 24)
  const answers: [Record<string, string>, number | undefined][] = [
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': 'Tue, 24 Nov 2026 00:00:09 GMT' }, 9000],
    [{ 'retry-after-ms': '1500', 'retry-after': '9' }, 1500],
    [{ 'retry-after': '31536000' }, maxRetryAfterMs],
    [{ 'retry-after': 'Mon, 23 Nov 2026 00:00:00 GMT' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
  ]
  let next = 0
  const storage = await answeredBy(
    t,
    (_request, response) => void response.writeHead(503, answers[next++]?.[0]).end(),
    {
      clock: new ManualClock(nowMs),
      policy: { maxAttempts: 1 },
    },
  )
  for (const [headers, retryAfterMs] of answers) {
    await assert.rejects(
      storage.read('a'),
      (error) => isTailraceError(error, 'TABLE_UNAVAILABLE') && error.context.retryAfterMs === retryAfterMs,
      JSON.stringify(headers),
    )
  }
})

test("an error's code is the service's own, and a connection fault has none", async (t) => {
  const storage = await answeredBy(
    t,
    (request, response) => {
      if (request.url?.includes('gone')) request.destroy()
      else response.writeHead(403, { 'x-ms-error-code': 'AuthorizationFailure' }).end()
    },
    { policy: { maxAttempts: 1 } },
  )
  await assert.rejects(
    storage.put('a', Buffer.from('x')),
    (error) => isTailraceError(error, 'TABLE_DENIED') && error.context.service === 'AuthorizationFailure',
  )
  await assert.rejects(
    storage.read('gone'),
    (error) => isTailraceError(error, 'TABLE_UNAVAILABLE') && error.context.service === undefined,
  )
})

test("a page that is cut short, or a proxy's own, is asked for again", async (t) => {
  const blob =
    '<Blob><Name>x/_delta_log/0.json</Name><Properties><Last-Modified>Tue, 24 Nov 2026 09:47:00 GMT</Last-Modified><Content-Length>7</Content-Length></Properties></Blob>'
  const page = `<EnumerationResults><Blobs>${blob}</Blobs><NextMarker /></EnumerationResults>`
  const answers = ['<html><body>Sign in</body></html>', page.slice(0, -30), page]
  const told: string[] = []
  const storage = await answeredBy(
    t,
    (_request, response) =>
      void response.writeHead(200, { 'content-type': 'application/xml' }).end(answers.shift()),
    { clock: hurriedClock, onRetry: ({ error }) => told.push((error as Error).message) },
  )
  assert.deepEqual(await storage.contentsOf('_delta_log'), {
    objects: [{ name: '0.json', bytes: 7, modifiedMs: Date.UTC(2026, 10, 24, 9, 47) }],
    folders: [],
  })
  assert.equal(told.length, 2)
  for (const message of told)
    assert.match(message, /No answer while listing _delta_log: the answer is no listing/)
})

/** A generator of numbers in [0, 1) that a seed repeats: https://en.wikipedia.org/wiki/Linear_congruential_generator */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

test('through a network that loses a third of everything, two writers land every batch exactly once', async (t) => {
  const seed = Number(process.env.TAILRACE_SEED ?? Date.now() % 1_000_000)
  t.diagnostic(`TAILRACE_SEED=${seed}`)
  const { proxy, bench, storage } = await behindFaults(t, { blockBytes: 2_000 })
  const faults: NetworkFault[] = [
    'lost-reply',
    'lost-request',
    'done-but-500',
    'late-request',
    'busy',
    'short-body',
    'damaged-body',
  ]
  const random = seeded(seed)
  proxy.plan(() => (random() < 1 / 3 ? faults[Math.floor(random() * faults.length)] : undefined))
  await Promise.all(
    ['logs/a', 'logs/b'].map(async (blob) => {
      const committer = committerOf(bench, { storage })
      await committer.open()
      for (let start = 0; start < 240; start += 20) {
        const rows = [start, start + 10].map((offset) => ({ offset, seed: offset }))
        const source = span(blob, start, start + 20)
        await committer.land([source], await encode(bench, source, rows))
        if (start % 60 === 0) await proxy.releaseLate()
      }
    }),
  )
  await proxy.releaseLate()
  const expected = Array.from({ length: 24 }, (_, index) => index * 10)
  for (const blob of ['logs/a', 'logs/b']) assert.deepEqual(await offsetsOf(bench, blob), expected)
  const again = committerOf(bench)
  await again.open()
  assert.equal(again.tableVersion, 24)
})
