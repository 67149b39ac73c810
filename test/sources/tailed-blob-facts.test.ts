import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { TailraceError } from '../../src/errors.ts'
import type { BlobRead } from '../../src/sources/blob-reader.ts'
import { ByteBudget } from '../../src/sources/tailing/byte-budget.ts'
import { type Fault, ScriptedReader, unavailable } from './scripted-reader.ts'
import { drain, ended, tail } from './tail-blob.ts'

const instant = '20261124T084700Z'

function answer(bytes: string, totalBytes: number, etag = '"1"'): Fault {
  const read = { kind: 'bytes', bytes: Buffer.from(bytes), totalBytes, etag } as const
  return { kind: 'answer', read: { ...read, createdAt: instant, blobType: 'append' } }
}

test('a tailer states the length of the blob, the last bytes read, and when the blob grew since the first answer', async () => {
  const reader = new ScriptedReader('0123456789'.repeat(10))
  const facts: unknown[] = []
  const { tailer, clock } = tail(reader, [
    () => {
      facts.push([tailer.totalBytes, tailer.grewAtMs, tailer.createdAt, tailer.before.toString()])
      clock.advance(7)
      reader.append('abc')
    },
    () => facts.push([tailer.totalBytes, tailer.grewAtMs, clock.now()]),
  ])
  assert.deepEqual([tailer.totalBytes, tailer.grewAtMs, tailer.createdAt], [0, undefined, undefined])
  const startedAtMs = clock.now()
  await drain(tailer)
  const grewAtMs = startedAtMs + 7 + 1_000
  assert.deepEqual(facts, [
    [100, undefined, instant, '0123456789'.repeat(10).slice(-64)],
    [103, grewAtMs, grewAtMs],
  ])
  assert.equal(tailer.before.toString(), `${'0123456789'.repeat(10)}abc`.slice(-64))
})

test('with a listener for failures, the listener gets the error and the stream ends in order', async () => {
  const reader = new ScriptedReader('abc')
  const denied = new TailraceError('SOURCE_DENIED', 'scripted')
  reader.faults.push(undefined, { kind: 'error', error: denied })
  const failures: unknown[] = []
  const { tailer } = tail(reader, [], { onFailure: (error) => failures.push(error) })
  assert.equal((await drain(tailer)).toString(), 'abc')
  assert.deepEqual([failures, tailer.errored, tailer.endedBy], [[denied], null, undefined])
})

test('a tailer that is destroyed reports no failure to its listener', async () => {
  const failures: unknown[] = []
  const { tailer } = tail(new ScriptedReader('abc'), [], { onFailure: (error) => failures.push(error) })
  tailer.read()
  tailer.destroy()
  await once(tailer, 'close')
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(failures, [])
})

test('the retry policy and the decision to give up are those given', async () => {
  const reader = new ScriptedReader('abc')
  reader.faults.push(unavailable(), unavailable(), unavailable())
  const { tailer, clock } = tail(reader, [() => {}, () => {}, () => {}], { retry: { capMs: 0 } })
  assert.equal((await drain(tailer)).toString(), 'abc')
  assert.deepEqual(clock.pauses.slice(0, 3), [0, 0, 0])

  reader.faults.push(unavailable(), unavailable())
  const attempts: number[] = []
  const giveUp = ({ attempt }: { readonly attempt: number }): boolean => attempts.push(attempt) === 2
  await assert.rejects(drain(tail(reader, [() => {}], { giveUp }).tailer), { code: 'SOURCE_UNAVAILABLE' })
  assert.deepEqual(attempts, [1, 2])
})

test('the default budget has room for the range that is handed on and two ahead of it', async () => {
  const reader = new ScriptedReader('0123456789'.repeat(30))
  const read = reader.read.bind(reader)
  let underWay = 0
  let most = 0
  reader.read = async (...request) => {
    most = Math.max(most, ++underWay)
    return read(...request).finally(() => {
      underWay -= 1
    })
  }
  const { tailer } = tail(reader, [], { rangeBytes: 100, follow: false })
  await drain(tailer)
  assert.equal(most, 2)
})

test('of the budget, no more is held than the bytes that were handed on and not yet taken', async () => {
  const budget = new ByteBudget(1_000)
  const content = '012345678\n'.repeat(30)
  const { tailer } = tail(new ScriptedReader(content), [], {
    budget,
    readsAhead: 0,
    rangeBytes: 50,
    offset: 100,
    before: Buffer.from(content.slice(36, 100)),
    follow: false,
  })
  for (let read = 100; read < 300; read += 50) {
    assert.equal((await tailer.readNext()).nextOffset, read + 50)
    assert.equal(budget.heldBytes, 50)
  }
  await tailer.readNext()
  assert.equal(budget.heldBytes, 0)
})

test('an answer to a request made ahead that is older than the bytes read since is asked for again', async () => {
  const now = 'a'.repeat(12) + 'b'.repeat(18)
  const reader = new ScriptedReader(now)
  // The second and the third range are requested together, and the third is answered from the content before.
  reader.faults.push(answer('a'.repeat(10), 30), undefined, answer('a'.repeat(30), 30))
  const { tailer } = tail(reader, [], { rangeBytes: 10, readsAhead: 2 })
  assert.equal((await drain(tailer)).toString(), now)
  ended(tailer, 'stopped')
})

test('a blob that ends below the bytes read last is missing, replaced or unchanged, as its head says', async () => {
  const content = '0123456789'.repeat(20)
  const cut = new ScriptedReader(content)
  const { tailer: replaced } = tail(cut, [() => cut.cutTo(100), () => cut.append('more')])
  assert.equal((await drain(replaced)).toString(), content)
  ended(replaced, 'replaced')

  const nothing: Fault = { kind: 'answer', read: { kind: 'nothing-there' } }
  const missing: BlobRead = { kind: 'missing', what: 'blob' }
  const deleted = new ScriptedReader(content)
  deleted.faults.push(undefined, nothing, { kind: 'answer', read: missing })
  const { tailer: gone } = tail(deleted, [() => {}, () => {}])
  await drain(gone)
  ended(gone, 'missing')

  const healthy = new ScriptedReader(content)
  healthy.faults.push(undefined, nothing)
  const { tailer } = tail(healthy, [() => {}, () => healthy.append('more')])
  assert.equal((await drain(tailer)).toString(), `${content}more`)
  ended(tailer, 'stopped')
})

test('once: a blob that ends before the end offset is read to its own end', async () => {
  const reader = new ScriptedReader('0123456789')
  const { tailer } = tail(reader, [], { follow: false, endOffset: 100 })
  assert.equal((await drain(tailer)).toString(), '0123456789')
  ended(tailer, 'end')
  assert.equal(reader.requests.at(-1)?.ifNoneMatch === undefined, false)
})

test('once: a healthy blob that is said not to have changed before anything was read is read after a pause', async () => {
  const reader = new ScriptedReader('0123456789')
  reader.faults.push({ kind: 'answer', read: { kind: 'unchanged' } })
  const { tailer, clock } = tail(reader, [() => {}], { follow: false })
  assert.equal((await drain(tailer)).toString(), '0123456789')
  ended(tailer, 'end')
  assert.equal(clock.pauses.length, 1)
})

test('an answer without an ETag leads to no conditional request', async () => {
  const reader = new ScriptedReader('0123456789')
  reader.faults.push(answer('0123456789', 10, ''))
  const { tailer } = tail(reader, [() => {}])
  await drain(tailer)
  assert.deepEqual(
    reader.requests.slice(0, 3).map(({ ifNoneMatch }) => ifNoneMatch !== undefined),
    [false, false, true],
  )
})

test('readNext goes on returning nothing at the end, without a request', async () => {
  const reader = new ScriptedReader('{"a":1}\n')
  const { tailer } = tail(reader, [], { follow: false })
  await tailer.readNext()
  for (const _ of ['once', 'again']) assert.deepEqual(await tailer.readNext(), { records: [], nextOffset: 8 })
  assert.equal(reader.requests.length, 1)

  const { tailer: missing } = tail(new ScriptedReader(), [], { follow: false })
  for (const _ of ['once', 'again'])
    assert.deepEqual(await missing.readNext(), { records: [], nextOffset: 0 })
  ended(missing, 'missing')
})
