import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TailraceError } from '../../../src/errors.ts'
import type { BlobRead, BlobReader, ListedPage } from '../../../src/sources/blob-reader.ts'
import { countedReader, RequestCounter } from '../../../src/sources/readers/counted-reader.ts'

const none = { read: 0, unchanged: 0, empty: 0, missing: 0, list: 0, failed: 0, bytes: 0 }
const emptyPage: ListedPage = { blobs: [], folders: [], next: undefined }

/** A reader that gives these answers, in order; an error is thrown. */
function readerOf(...answers: readonly (BlobRead | ListedPage | Error)[]): BlobReader {
  const left = [...answers]
  const next = async (): Promise<never> => {
    const answer = left.shift()
    if (answer === undefined) throw new Error('no answer is left')
    if (answer instanceof Error) throw answer
    return answer as never
  }
  return { container: 'logs', read: next, listPage: next }
}

function bytesRead(length: number): BlobRead {
  return {
    kind: 'bytes',
    bytes: Buffer.alloc(length),
    totalBytes: 1_000,
    etag: '"1"',
    createdAt: '20261124T084700Z',
    blobType: 'append',
  }
}

const request = { offset: 0, maxBytes: 100 }

test('each answer counts once, by what it told, and bodies by their bytes', async () => {
  const counter = new RequestCounter()
  const reader = countedReader(
    readerOf(
      bytesRead(100),
      bytesRead(7),
      { kind: 'unchanged' },
      { kind: 'nothing-there' },
      { kind: 'missing', what: 'blob' },
      { kind: 'missing', what: 'container' },
    ),
    counter,
  )
  assert.equal(reader.container, 'logs')
  for (let left = 6; left > 0; left -= 1) await reader.read('a', request)
  assert.deepEqual(counter.counts, { ...none, read: 2, unchanged: 1, empty: 1, missing: 2, bytes: 107 })
})

test('a page counts as a listing, and a container that is not there as missing', async () => {
  const counter = new RequestCounter()
  const missing = new TailraceError('SOURCE_MISSING', 'Not found while listing logs/.')
  const reader = countedReader(readerOf(emptyPage, emptyPage, missing), counter)
  assert.equal(await reader.listPage({ prefix: '' }), emptyPage)
  await reader.listPage({ prefix: 'a/' })
  await assert.rejects(reader.listPage({ prefix: '' }), missing)
  assert.deepEqual(counter.counts, { ...none, list: 2, missing: 1 })
})

test('a request that throws counts as failed, and its error passes as it is', async () => {
  const counter = new RequestCounter()
  const denied = new TailraceError('SOURCE_DENIED', 'Storage refused reading logs/a (403).')
  const aborted = new DOMException('The operation was aborted.', 'AbortError')
  const reader = countedReader(readerOf(denied, aborted, denied), counter)
  await assert.rejects(reader.read('a', request), denied)
  await assert.rejects(reader.read('a', request), aborted)
  await assert.rejects(reader.listPage({ prefix: '' }), denied)
  assert.deepEqual(counter.counts, { ...none, failed: 3 })
})

test('two counters on one reader count apart, and counts that were taken do not change', async () => {
  const shared = readerOf(bytesRead(3), bytesRead(5), { kind: 'unchanged' })
  const [one, other] = [new RequestCounter(), new RequestCounter()]
  await countedReader(shared, one).read('a', request)
  const before = one.counts
  await countedReader(shared, other).read('a', request)
  await countedReader(shared, one).read('a', request)
  assert.deepEqual(before, { ...none, read: 1, bytes: 3 })
  assert.deepEqual(one.counts, { ...none, read: 1, unchanged: 1, bytes: 3 })
  assert.deepEqual(other.counts, { ...none, read: 1, bytes: 5 })
})
