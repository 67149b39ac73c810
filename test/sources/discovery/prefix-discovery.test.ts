import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTailraceError, TailraceError } from '../../../src/errors.ts'
import type { BlobReader, ListedBlob, ListedPage, ListRequest } from '../../../src/sources/blob-reader.ts'
import { type BlobsUnder, selectionOf } from '../../../src/sources/discovery/blob-selection.ts'
import { PrefixDiscovery } from '../../../src/sources/discovery/prefix-discovery.ts'
import { VirtualClock } from '../../streams/virtual-clock.ts'
import { ListedContainer, namesOf } from './listed-container.ts'

function discovery(reader: BlobReader, blobs: string, startTimeMs?: number): PrefixDiscovery {
  return new PrefixDiscovery(selectionOf(blobs) as BlobsUnder, { reader, startTimeMs })
}

/** Answers with these pages, one after the other, whatever is asked. */
function pagesOf(pages: readonly (readonly string[])[]): BlobReader & { readonly requests: ListRequest[] } {
  const requests: ListRequest[] = []
  return {
    container: 'logs',
    requests,
    read: () => Promise.reject(new Error('Discovery reads no blob.')),
    listPage: async (request): Promise<ListedPage> => {
      const index = request.marker === undefined ? 0 : Number(request.marker)
      requests.push(request)
      return {
        blobs: (pages[index] ?? []).map(
          (name): ListedBlob => ({ name, bytes: 1, createdAt: '', modifiedAtMs: 0 }),
        ),
        folders: [],
        next: index + 1 < pages.length ? String(index + 1) : undefined,
      }
    },
  }
}

/** 200,000 blobs that exist only while they are listed. */
function hugeContainer(): BlobReader & { readonly requests: ListRequest[] } {
  const pageNames = 5_000
  return pagesOf(
    Array.from({ length: 200_000 / pageNames }, (_, page) => ({
      map: <T>(make: (name: string) => T): T[] =>
        Array.from({ length: pageNames }, (_, index) =>
          make(`pg/${String(page * pageNames + index).padStart(7, '0')}`),
        ),
    })) as unknown as string[][],
  )
}

test('only what matches is told, in name order, and only names below the base are asked for', async () => {
  const reader = new ListedContainer()
  for (const name of ['pg/b.json', 'pg/a.json', 'pg/a.txt', 'pg/x/a.json', 'other/a.json', 'PG/a.json']) {
    reader.put(name, 1_000)
  }
  const looked = discovery(reader, 'pg/**/*.json')
  assert.equal(looked.described, 'logs/pg/**/*.json')
  assert.deepEqual(looked.lastScan, { listings: 0, reads: 0, named: 0, isWhole: false })
  assert.deepEqual(await namesOf(looked.scan(0, {})), ['pg/a.json', 'pg/b.json', 'pg/x/a.json'])
  assert.deepEqual(reader.takePrefixes(), ['pg/'])
  assert.deepEqual(looked.lastScan, { listings: 1, reads: 0, named: 0, isWhole: true })
  assert.deepEqual(await namesOf(discovery(reader, 'pg/').scan(0, {})), [
    'pg/a.json',
    'pg/a.txt',
    'pg/b.json',
    'pg/x/a.json',
  ])
})

test('blobs last modified before the start are left out until they change', async () => {
  const reader = new ListedContainer()
  reader.put('pg/a', 999)
  reader.put('pg/b', 1_000)
  const looked = discovery(reader, 'pg/', 1_000)
  assert.deepEqual(await namesOf(looked.scan(5_000, {})), ['pg/b'])
  reader.put('pg/a', 2_000)
  assert.deepEqual(await namesOf(looked.scan(6_000, {})), ['pg/a', 'pg/b'])
})

test('200,000 blobs take 40 requests, each made when the page before it is used up', async () => {
  const reader = hugeContainer()
  const looked = discovery(reader, 'pg/')
  let count = 0
  let before = ''
  for await (const { name } of looked.scan(0, {})) {
    assert.ok(name > before)
    before = name
    assert.equal(reader.requests.length, Math.floor(count / 5_000) + 1)
    count += 1
  }
  assert.equal(count, 200_000)
  assert.equal(reader.requests.length, 40)
  assert.deepEqual(looked.lastScan, { listings: 40, reads: 0, named: 0, isWhole: true })
})

test('names that a changing container repeats on a page or the next one come once, and earlier pages are forgotten', async () => {
  const pages = [
    ['a', 'b', 'b', 'c'],
    ['b', 'c', 'd'],
    ['d', 'c2', 'a'],
  ]
  assert.deepEqual(await namesOf(discovery(pagesOf(pages), '**').scan(0, {})), [
    'a',
    'b',
    'c',
    'd',
    'c2',
    'a',
  ])
})

test('a page that fails for now is asked for again, alone, and both requests count', async () => {
  const reader = new ListedContainer()
  for (let index = 0; index < 5_001; index += 1) reader.put(`pg/${10_000 + index}`, 0)
  reader.faults.push(undefined, new TailraceError('SOURCE_UNAVAILABLE', 'scripted'))
  const looked = discovery(reader, 'pg/')
  assert.equal((await namesOf(looked.scan(0, { clock: new VirtualClock() }))).length, 5_001)
  assert.deepEqual(looked.lastScan, { listings: 3, reads: 0, named: 0, isWhole: true })
  assert.deepEqual(reader.requests[1], reader.requests[2])
})

test('a page that names itself as the next one is asked for again after a pause', async () => {
  const reader = new ListedContainer()
  for (let index = 0; index < 10_001; index += 1) reader.put(`pg/${10_000 + index}`, 0)
  let isFaulty = true
  const faulty: BlobReader = {
    container: 'logs',
    read: reader.read,
    listPage: async (request) => {
      const page = await reader.listPage(request)
      if (request.marker === undefined || !isFaulty) return page
      isFaulty = false
      return { ...page, blobs: [], next: request.marker }
    },
  }
  const clock = new VirtualClock()
  assert.equal((await namesOf(discovery(faulty, 'pg/').scan(0, { clock }))).length, 10_001)
  assert.equal(clock.pauses.length, 1)
})

test('a missing container and a denied listing end the look', async () => {
  const reader = new ListedContainer()
  const looked = discovery(reader, 'pg/')
  reader.exists = false
  await assert.rejects(namesOf(looked.scan(0, {})), (error) => isTailraceError(error, 'SOURCE_MISSING'))
  reader.faults.push(new TailraceError('SOURCE_DENIED', 'scripted'))
  await assert.rejects(namesOf(looked.scan(0, {})), (error) => isTailraceError(error, 'SOURCE_DENIED'))
  assert.deepEqual(looked.lastScan, { listings: 0, reads: 0, named: 0, isWhole: false })
})

test('a stop ends a look between two pages', async () => {
  const reader = hugeContainer()
  const stop = new AbortController()
  const looking = (async () => {
    for await (const _blob of discovery(reader, 'pg/').scan(0, { signal: stop.signal })) stop.abort()
  })()
  await assert.rejects(looking, { name: 'AbortError' })
  assert.equal(reader.requests.length, 1)
})
