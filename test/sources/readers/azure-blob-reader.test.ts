import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { getEventListeners } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { isTailraceError } from '../../../src/errors.ts'
import type { Chunk } from '../../../src/records.ts'
import { instantOf } from '../../../src/records.ts'
import { AppendBlobTailer } from '../../../src/sources/append-blob-tailer.ts'
import { EmbeddedStorage } from '../../../src/sources/embedded/embedded-storage.ts'
import { AzureBlobReader } from '../../../src/sources/readers/azure-blob-reader.ts'
import { VirtualClock } from '../../streams/virtual-clock.ts'
import { eventually } from '../../support/eventually.ts'
import { sharedHooks } from '../../support/shared-hooks.ts'
import { ManualClock } from '../manual-clock.ts'
import { misbehavingReader, partHeaders } from '../storage-fixture.ts'

const storage = await EmbeddedStorage.start()
sharedHooks().after(() => storage.stop())
const container = storage.containerClient('logs')
await container.create()
const reader = new AzureBlobReader(container)

async function append(name: string, ...texts: (string | Buffer)[]): Promise<void> {
  const client = container.getAppendBlobClient(name)
  await client.createIfNotExists()
  for (const text of texts) await client.appendBlock(text, Buffer.byteLength(text))
}

test('a read tells the bytes, the whole length, the generation and an ETag that makes the next one conditional', async () => {
  await append('read.ndjson', 'hello\n', 'world\n')
  const read = await reader.read('read.ndjson', { offset: 4, maxBytes: 5 })
  assert.equal(read.kind, 'bytes')
  if (read.kind !== 'bytes') return
  assert.equal(read.bytes.toString(), 'o\nwor')
  assert.equal(read.totalBytes, 12)
  assert.match(read.createdAt, /^\d{8}T\d{6}Z$/)
  const again = { offset: 4, maxBytes: 5, ifNoneMatch: read.etag }
  assert.deepEqual(await reader.read('read.ndjson', again), { kind: 'unchanged' })
  await append('read.ndjson', 'more\n')
  assert.equal((await reader.read('read.ndjson', again)).kind, 'bytes')
})

test('a range that reaches over the end gives what is there', async () => {
  await append('end.ndjson', 'hello\n')
  const read = await reader.read('end.ndjson', { offset: 3, maxBytes: 1000 })
  assert.equal(read.kind === 'bytes' && read.bytes.toString(), 'lo\n')
})

test('a missing blob and a missing container are missing; an empty blob and an offset behind the end hold nothing', async () => {
  const request = { offset: 0, maxBytes: 10 }
  assert.deepEqual(await reader.read('nowhere.ndjson', request), { kind: 'missing', what: 'blob' })
  const other = new AzureBlobReader(storage.containerClient('no-such-container'))
  assert.deepEqual(await other.read('a.ndjson', request), { kind: 'missing', what: 'container' })
  await append('empty.ndjson')
  assert.deepEqual(await reader.read('empty.ndjson', request), { kind: 'nothing-there' })
  await append('short.ndjson', 'abc')
  assert.deepEqual(await reader.read('short.ndjson', { offset: 50, maxBytes: 10 }), { kind: 'nothing-there' })
})

test('a listing names the blobs under a prefix in their order, with their lengths', async () => {
  for (const name of ['list/b', 'list/a', 'list2/c']) await append(name, name)
  const { blobs, next } = await reader.listPage({ prefix: 'list/' })
  assert.equal(next, undefined)
  const found = blobs.map(({ name, bytes }) => [name, bytes])
  assert.deepEqual(found, [
    ['list/a', 6],
    ['list/b', 6],
  ])
})

test('a tailer on the real protocol follows a growing blob byte by byte', async () => {
  const texts = ['{"a":1}\n{"b"', ':2}\n', `${'x'.repeat(5000)}\n`, 'ä\n']
  const clock = new VirtualClock(async (pause) => {
    const text = texts[pause - 1]
    if (text !== undefined) await append('tail.ndjson', text)
    else tailer.stop()
  })
  const tailer = new AppendBlobTailer({ reader, blobName: 'tail.ndjson', clock, rangeBytes: 1000 })
  const parts: Buffer[] = []
  let next = 0
  for await (const { span, bytes } of tailer as AsyncIterable<Chunk>) {
    assert.equal(span.start, next)
    next = span.end
    parts.push(bytes)
  }
  assert.equal(Buffer.concat(parts).toString(), texts.join(''))
})

test('a body that breaks off is a short read, and the tailer goes on from there', async (t) => {
  const content = Buffer.from(Array.from({ length: 100 }, (_, line) => `${line}\n`.padStart(10)).join(''))
  const broken = await misbehavingReader(t, (request, response) => {
    const [, start = 0, end = 0] =
      /bytes=(\d+)-(\d+)/.exec(String(request.headers['x-ms-range']))?.map(Number) ?? []
    const part = content.subarray(start, end + 1)
    response.writeHead(206, partHeaders({ start, bytes: part.length, total: content.length }))
    response.write(part.subarray(0, 97), () => {
      if (part.length > 97) response.destroy()
      else response.end()
    })
  })
  const read = await broken.read('a.ndjson', { offset: 0, maxBytes: 1000 })
  assert.deepEqual(read.kind === 'bytes' && read.bytes, content.subarray(0, 97))
  assert.equal(read.kind === 'bytes' && read.totalBytes, 1000)
  assert.equal(read.kind === 'bytes' && read.createdAt, '20261124T084700Z')

  const tailer = new AppendBlobTailer({
    reader: broken,
    blobName: 'a.ndjson',
    follow: false,
    clock: new VirtualClock(),
  })
  const chunks = (await tailer.toArray()) as Chunk[]
  assert.equal(Buffer.concat(chunks.map(({ bytes }) => bytes)).toString(), content.toString())
})

test('a server that never answers is SOURCE_UNAVAILABLE after the deadline', async (t) => {
  const silent = await misbehavingReader(t, () => {}, { firstByteMs: 50 })
  await assert.rejects(silent.read('a', { offset: 0, maxBytes: 10 }), (error) =>
    isTailraceError(error, 'SOURCE_UNAVAILABLE'),
  )
})

test('a body that stands still is SOURCE_UNAVAILABLE without a byte, and a short read with some', async (t) => {
  let sent = 0
  const stalling = await misbehavingReader(
    t,
    (_request, response) => {
      response.writeHead(206, partHeaders({ start: 0, bytes: 10, total: 10 }))
      response.flushHeaders()
      if (sent > 0) response.write('x'.repeat(sent))
    },
    { idleMs: 50 },
  )
  const request = { offset: 0, maxBytes: 10 }
  await assert.rejects(stalling.read('a', request), (error) => isTailraceError(error, 'SOURCE_UNAVAILABLE'))
  sent = 3
  const read = await stalling.read('a', request)
  assert.equal(read.kind === 'bytes' && read.bytes.toString(), 'xxx')
})

test('304, 404 and 416 are answers of storage, and of a proxy they are none', async (t) => {
  const answers: [number, string | undefined][] = [
    [304, 'ConditionNotMet'],
    [404, 'BlobNotFound'],
    [416, 'InvalidRange'],
    [304, 'ConditionNotMet'],
    [404, undefined],
    [416, undefined],
  ]
  const server = await misbehavingReader(t, (_request, response) => {
    const [status, code] = answers.shift() ?? [500, undefined]
    response.writeHead(status, code === undefined ? {} : { 'x-ms-error-code': code })
    response.end(code === undefined ? '<html><body>Not here</body></html>' : undefined)
  })
  const kinds: string[] = []
  for (const ifNoneMatch of ['"0x1"', '', '', '', '', '']) {
    const request = { offset: 0, maxBytes: 1, ...(ifNoneMatch === '' ? {} : { ifNoneMatch }) }
    kinds.push(
      await server.read('a', request).then(
        ({ kind }) => kind,
        (error) => error.code,
      ),
    )
  }
  // The second 304 answers a request without a condition.
  const failed = Array.from({ length: 3 }, () => 'SOURCE_UNAVAILABLE')
  assert.deepEqual(kinds, ['unchanged', 'missing', 'nothing-there', ...failed])
})

test('a connection that is refused or reset is SOURCE_UNAVAILABLE', async (t) => {
  const resetting = await misbehavingReader(t, (request) => request.socket.destroy())
  await assert.rejects(resetting.read('a', { offset: 0, maxBytes: 1 }), (error) =>
    isTailraceError(error, 'SOURCE_UNAVAILABLE'),
  )
})

test('a read returns the requested range and nothing else, or it fails', async (t) => {
  const content = Buffer.from('0123456789abcdefghij')
  const type = { 'content-type': 'text/html' }
  const html = '<html><body>Sign in</body></html>'
  const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('base64')
  const part = (start: number, bytes: number, total = 20) => partHeaders({ start, bytes, total })
  const asked = content.subarray(4, 10)
  /** Answers to a request for the six bytes from 4 on. */
  const lies: Readonly<
    Record<string, [status: number, headers: Record<string, string>, body: Buffer | string]>
  > = {
    'more bytes than the range has': [206, { ...part(4, 6), 'content-length': '9' }, content.subarray(4, 13)],
    'fewer bytes than the range has': [206, { ...part(4, 6), 'content-length': '3' }, content.subarray(4, 7)],
    'a longer range': [206, part(4, 9), content.subarray(4, 13)],
    'a shorter range': [206, part(4, 3), content.subarray(4, 7)],
    'another range': [206, part(5, 6), content.subarray(5, 11)],
    'a range behind the whole length': [206, part(4, 6, 9), asked],
    'no range': [206, { ...part(4, 6), 'content-range': '' }, asked],
    'the whole blob': [200, { ...part(0, 20), 'content-range': '' }, content],
    'as many bytes without a range': [200, { ...part(4, 6), 'content-range': '' }, asked],
    'a page of a proxy': [200, type, html],
    'a page of a proxy as a range': [206, { ...type, 'content-range': 'bytes 4-9/20', etag: '"1"' }, html],
    'other bytes': [206, { ...part(4, 6), 'content-md5': md5(asked) }, content.subarray(5, 11)],
    'bytes packed on the way': [
      206,
      { ...part(4, 6), 'content-encoding': 'gzip', 'content-length': '' },
      gzipSync(asked),
    ],
    'no length': [206, { ...part(4, 6), 'content-length': '' }, asked],
    'no creation instant': [206, { ...part(4, 6), 'x-ms-creation-time': '' }, asked],
  }
  const server = await misbehavingReader(t, (request, response) => {
    const [status, headers, body] = lies[decodeURIComponent(request.url?.split('/').at(-1) ?? '')] ?? [
      206,
      { ...part(4, 6), 'content-md5': md5(asked) },
      asked,
    ]
    response.writeHead(
      status,
      Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== '')),
    )
    response.end(body)
  })
  for (const name of [...Object.keys(lies), 'the truth']) {
    const read = await server.read(name, { offset: 4, maxBytes: 6 }).catch((error: unknown) => error)
    if (isTailraceError(read)) assert.deepEqual([name, read.code], [name, 'SOURCE_UNAVAILABLE'])
    else assert.deepEqual([name, (read as { bytes: Buffer }).bytes?.toString()], ['the truth', '456789'])
  }
})

test('an endless answer is left at once', async (t) => {
  let sent = 0
  const piece = Buffer.alloc(64 * 1024, 'x')
  const deaf = await misbehavingReader(t, (_request, response) => {
    response.writeHead(200, partHeaders({ start: 0, bytes: 2 ** 40, total: 2 ** 40 }))
    const more = (): void => {
      while (!response.destroyed) {
        sent += piece.length
        if (!response.write(piece)) break
      }
    }
    response.on('drain', more)
    more()
  })
  await assert.rejects(deaf.read('a', { offset: 0, maxBytes: 10 }), (error) =>
    isTailraceError(error, 'SOURCE_UNAVAILABLE'),
  )
  assert.ok(sent < 2 ** 26, `${sent} bytes were sent`)
})

test('a refusal of a request that storage granted before is retried for a quarter of an hour', async (t) => {
  const clock = new ManualClock()
  const answers: ['read' | 'list', number, string | undefined, code: string, laterMs?: number][] = [
    ['read', 403, 'AuthenticationFailed', 'SOURCE_DENIED'],
    ['read', 206, undefined, 'bytes'],
    ['read', 403, 'AuthenticationFailed', 'SOURCE_UNAVAILABLE'],
    // Whether listing is granted is not known yet: this code says that the right is missing, the next one does not.
    ['list', 403, 'AuthorizationPermissionMismatch', 'SOURCE_DENIED'],
    ['list', 403, undefined, 'SOURCE_UNAVAILABLE'],
    ['list', 416, undefined, 'SOURCE_UNAVAILABLE'],
    ['list', 416, 'InvalidRange', 'SOURCE_UNAVAILABLE'],
    ['read', 403, 'AuthorizationPermissionMismatch', 'SOURCE_UNAVAILABLE', 14 * 60_000],
    ['read', 403, 'AuthenticationFailed', 'SOURCE_DENIED', 60_000],
    ['read', 206, undefined, 'bytes'],
    ['read', 403, undefined, 'SOURCE_UNAVAILABLE'],
  ]
  let next = 0
  const server = await misbehavingReader(
    t,
    (_request, response) => {
      const [, status, code] = answers[next] ?? ['read', 500, undefined]
      const error: Record<string, string> = code === undefined ? {} : { 'x-ms-error-code': code }
      response.writeHead(status, status === 206 ? partHeaders({ start: 0, bytes: 1, total: 1 }) : error)
      response.end(status === 206 ? 'x' : undefined)
    },
    { clock },
  )
  for (; next < answers.length; next += 1) {
    const [kind, , , code, laterMs = 0] = answers[next]!
    clock.advance(laterMs)
    const asked =
      kind === 'read' ? server.read('a', { offset: 0, maxBytes: 1 }) : server.listPage({ prefix: '' })
    const found = await asked.then(
      (answer) => ('kind' in answer ? answer.kind : 'page'),
      (error) => error.code,
    )
    assert.equal(found, code, `request ${next + 1}`)
  }
})

test("the caller's abort ends a read with the caller's reason, before the answer and in the middle of it", async (t) => {
  const silent = await misbehavingReader(t, () => {})
  const aborting = new AbortController()
  const read = silent.read('a', { offset: 0, maxBytes: 1, signal: aborting.signal })
  setImmediate(() => aborting.abort(new Error('the pipeline ends')))
  await assert.rejects(read, /the pipeline ends/)
  await assert.rejects(silent.listPage({ prefix: '', signal: aborting.signal }), /the pipeline ends/)

  const midway = new AbortController()
  const stalling = await misbehavingReader(t, (_request, response) => {
    response.writeHead(206, partHeaders({ start: 0, bytes: 10, total: 10 }))
    response.write('abc', () => setTimeout(() => midway.abort(new Error('it ends now')), 20))
  })
  await assert.rejects(stalling.read('a', { offset: 0, maxBytes: 10, signal: midway.signal }), /it ends now/)
})

test('no connection and no listener outlives its request, however it ends', async (t) => {
  const open = new Set<Socket>()
  const caller = new AbortController()
  const endings = new Map<string, (response: ServerResponse) => void>([
    [
      'whole',
      (response) => void response.writeHead(206, partHeaders({ start: 0, bytes: 3, total: 3 })).end('abc'),
    ],
    ['unchanged', (response) => void response.writeHead(304).end()],
    ['refused', (response) => void response.writeHead(403).end('<Error/>')],
    ['busy', (response) => void response.writeHead(503).end('x'.repeat(100_000))],
    ['reset', (response) => void response.socket?.destroy()],
    ['silent', () => {}],
    [
      'stalled',
      (response) => void response.writeHead(206, partHeaders({ start: 0, bytes: 9, total: 9 })).write('abc'),
    ],
    [
      'never read',
      (response) => void response.writeHead(206, partHeaders({ start: 7, bytes: 2, total: 9 })).write('a'),
    ],
  ])
  const reader = await misbehavingReader(
    t,
    ({ socket, url }, response) => {
      if (!open.has(socket)) socket.once('close', () => open.delete(socket))
      open.add(socket)
      endings.get(decodeURIComponent(url?.split('/').at(-1) ?? ''))?.(response)
    },
    { firstByteMs: 50, idleMs: 50 },
  )
  for (const name of endings.keys()) {
    for (let time = 0; time < 5; time += 1)
      await reader.read(name, { offset: 0, maxBytes: 10, signal: caller.signal }).catch(() => {})
  }
  assert.equal(getEventListeners(caller.signal, 'abort').length, 0)
  // Those that ended well are kept for the next request; of the others none.
  await eventually(async () => open.size <= 1, 'end of the connections')
})

test('a page of a listing has a time of its own, and late pages are left', async (t) => {
  const clock = new ManualClock()
  let arrived: () => void = () => {}
  const asked = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const slow = await misbehavingReader(t, () => arrived(), { firstByteMs: 1000, idleMs: 500, clock })
  const page = slow.listPage({ prefix: '' })
  await asked
  clock.advance(1500)
  await assert.rejects(
    page,
    (error) => isTailraceError(error, 'SOURCE_UNAVAILABLE') && /no page for 1500 ms/.test(error.message),
  )
})

test('a listing that is refused is SOURCE_DENIED, and of a missing container SOURCE_MISSING', async (t) => {
  const refusing = await misbehavingReader(t, (_request, response) => void response.writeHead(403).end())
  await assert.rejects(refusing.listPage({ prefix: '' }), (error) => isTailraceError(error, 'SOURCE_DENIED'))
  const missing = new AzureBlobReader(storage.containerClient('no-such-container'))
  await assert.rejects(missing.listPage({ prefix: '' }), (error) => isTailraceError(error, 'SOURCE_MISSING'))
})

test('a generation is the creation instant to the second', () => {
  assert.equal(instantOf(new Date('2026-11-24T08:47:00.123Z')), '20261124T084700Z')
  assert.equal(instantOf(undefined), 'unknown')
})
