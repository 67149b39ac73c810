import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ContainerClient } from '@azure/storage-blob'
import { isTailraceError, type TailraceError } from '../../src/errors.ts'
import type { Chunk } from '../../src/records.ts'
import { AppendBlobTailer } from '../../src/sources/append-blob-tailer.ts'
import { AzureBlobReader, instantOf } from '../../src/sources/azure-blob-reader.ts'
import { EmbeddedStorage } from '../../src/sources/embedded-storage.ts'
import { VirtualClock } from '../streams/virtual-clock.ts'
import { misbehavingReader, partHeaders } from './storage-fixture.ts'

let storage: EmbeddedStorage
let container: ContainerClient
let reader: AzureBlobReader

before(async () => {
  storage = await EmbeddedStorage.start()
  container = storage.containerClient('logs')
  await container.create()
  reader = new AzureBlobReader(container)
})
after(() => storage.stop())

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
  const content = Buffer.from('0123456789abcdefghij')
  const broken = await misbehavingReader(t, (request, response) => {
    const [, start = 0, end = 0] =
      /bytes=(\d+)-(\d+)/.exec(String(request.headers['x-ms-range']))?.map(Number) ?? []
    const part = content.subarray(start, end + 1)
    response.writeHead(206, partHeaders({ start, bytes: part.length, total: content.length }))
    response.write(part.subarray(0, 7), () => {
      if (part.length > 7) response.destroy()
      else response.end()
    })
  })
  const read = await broken.read('a.ndjson', { offset: 0, maxBytes: 20 })
  assert.equal(read.kind === 'bytes' && read.bytes.toString(), '0123456')
  assert.equal(read.kind === 'bytes' && read.totalBytes, 20)
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

test('what may pass is SOURCE_UNAVAILABLE and says how long storage wants to be left alone', async (t) => {
  const answers: [number, Record<string, string>, number | undefined][] = [
    [503, { 'retry-after': '7' }, 7000],
    [429, { 'retry-after': '2' }, 2000],
    [429, { 'retry-after-ms': '1500', 'retry-after': '9' }, 1500],
    [503, { 'x-ms-retry-after-ms': '250' }, 250],
    [500, {}, undefined],
    [502, {}, undefined],
    [504, { 'retry-after': 'Wed, 25 Nov 2026 00:00:00 GMT' }, undefined],
    [408, { 'retry-after': '-3' }, undefined],
  ]
  let next = 0
  const busy = await misbehavingReader(t, (_request, response) => {
    const [status, headers] = answers[next++] as (typeof answers)[number]
    response.writeHead(status, headers).end()
  })
  for (const [status, , retryAfterMs] of answers) {
    const error = await busy.read('a', { offset: 0, maxBytes: 1 }).catch((thrown: unknown) => thrown)
    assert.ok(isTailraceError(error, 'SOURCE_UNAVAILABLE'), String(error))
    assert.deepEqual([error.context.status, error.context.retryAfterMs], [status, retryAfterMs])
  }
  assert.equal(next, answers.length, 'the SDK repeats nothing on its own')
})

test('a refusal is SOURCE_DENIED, and anything unknown is SOURCE_UNSUPPORTED', async (t) => {
  const codes = new Map([
    [401, 'SOURCE_DENIED'],
    [403, 'SOURCE_DENIED'],
    [400, 'SOURCE_UNSUPPORTED'],
    [409, 'SOURCE_UNSUPPORTED'],
    [412, 'SOURCE_UNSUPPORTED'],
  ])
  const statuses = [...codes.keys()]
  const refusing = await misbehavingReader(t, (_request, response) => {
    response.writeHead(statuses.shift() ?? 500, { 'x-ms-error-code': 'Scripted' }).end()
  })
  for (const code of codes.values()) {
    const error = await refusing
      .read('a', { offset: 0, maxBytes: 1 })
      .catch((thrown: TailraceError) => thrown)
    assert.equal((error as TailraceError).code, code)
  }
})

test('304, 404 and 416 are answers, not errors', async (t) => {
  const statuses = [304, 404, 416]
  const server = await misbehavingReader(t, (_request, response) => {
    response.writeHead(statuses.shift() ?? 500).end()
  })
  const kinds: string[] = []
  for (let time = 0; time < 3; time += 1)
    kinds.push((await server.read('a', { offset: 0, maxBytes: 1 })).kind)
  assert.deepEqual(kinds, ['unchanged', 'missing', 'nothing-there'])
})

test('a connection that is refused or reset is SOURCE_UNAVAILABLE', async (t) => {
  const resetting = await misbehavingReader(t, (request) => request.socket.destroy())
  await assert.rejects(resetting.read('a', { offset: 0, maxBytes: 1 }), (error) =>
    isTailraceError(error, 'SOURCE_UNAVAILABLE'),
  )
})

test('more bytes than were asked for are left out', async (t) => {
  const generous = await misbehavingReader(t, (_request, response) => {
    response.writeHead(206, {
      ...partHeaders({ start: 0, bytes: 9, total: 9 }),
      'content-range': 'bytes 0-3/9',
    })
    response.end('123456789')
  })
  const read = await generous.read('a', { offset: 0, maxBytes: 4 })
  assert.equal(read.kind === 'bytes' && read.bytes.toString(), '1234')
})

test("the caller's abort ends a read with the caller's reason", async (t) => {
  const silent = await misbehavingReader(t, () => {})
  const aborting = new AbortController()
  const read = silent.read('a', { offset: 0, maxBytes: 1, signal: aborting.signal })
  setImmediate(() => aborting.abort(new Error('the pipeline ends')))
  await assert.rejects(read, /the pipeline ends/)
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
