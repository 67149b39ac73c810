import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BytesRead, ReadPosition } from '../../../src/sources/tailing/read-position.ts'

function readOf(bytes: number): { readonly read: BytesRead; readonly releases: () => number } {
  let count = 0
  const read: BytesRead = {
    kind: 'bytes',
    bytes: Buffer.alloc(bytes, 'x'),
    release: () => {
      count += 1
    },
    totalBytes: 10_000_000,
    etag: '"1"',
    createdAt: '20261124T084700Z',
    blobType: 'append',
  }
  return { read, releases: () => count }
}

function position(): ReadPosition {
  return new ReadPosition({
    blob: 'logs/a.json',
    generation: undefined,
    offset: 0,
    createdAt: undefined,
    before: undefined,
    head: undefined,
  })
}

test('the memory of a range is released once, after the last of its chunks', () => {
  const { read, releases } = readOf(1_000_000)
  const chunks = position().take(read, 0, Number.POSITIVE_INFINITY)
  assert.ok(chunks.length > 2)
  for (const chunk of chunks.toReversed()) {
    assert.equal(releases(), 0)
    chunk.release?.()
  }
  assert.equal(releases(), 1)
})

test('the memory of a range without new bytes is released at once', () => {
  const { read, releases } = readOf(64)
  assert.deepEqual(position().take(read, 64, Number.POSITIVE_INFINITY), [])
  assert.equal(releases(), 1)
})
