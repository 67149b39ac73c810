import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LandedOffsets } from '../../src/offsets/landed-offsets.ts'

const [first, second] = ['20261124T084700Z', '20261125T000000Z']

test('each generation of a blob has its own offset, and the generations are in their order', () => {
  const offsets = new LandedOffsets()
  assert.deepEqual(
    [offsets.blobCount, offsets.get({ blob: 'a', generation: first }), offsets.of('a')],
    [0, undefined, []],
  )
  offsets.set({ blob: 'a', generation: second, offset: 2 })
  assert.equal(offsets.get({ blob: 'a', generation: first }), undefined)
  assert.deepEqual(offsets.of('a'), [{ blob: 'a', generation: second, offset: 2 }])
  offsets.set({ blob: 'a', generation: first, offset: 1 })
  assert.deepEqual(
    offsets.of('a').map(({ offset }) => offset),
    [1, 2],
  )
  assert.equal(offsets.get({ blob: 'a', generation: '20261126T000000Z' }), undefined)
  offsets.set({ blob: 'b', generation: first, offset: 3 })
  offsets.set({ blob: 'a', generation: second, offset: 7 })
  assert.equal(offsets.blobCount, 2)
  assert.deepEqual(
    offsets.of('a').map(({ generation, offset }) => [generation, offset]),
    [
      [first, 1],
      [second, 7],
    ],
  )
  assert.deepEqual(
    [...offsets].map(({ blob, offset }) => `${blob} ${offset}`),
    ['a 1', 'a 7', 'b 3'],
  )
  assert.equal(offsets.get({ blob: 'a', generation: second }), 7)
})

test('removing a generation leaves the others of its blob, and a blob without any is forgotten', () => {
  const offsets = new LandedOffsets()
  for (const generation of [first, second]) offsets.set({ blob: 'a', generation, offset: 1 })
  offsets.delete({ blob: 'a', generation: first })
  assert.deepEqual(
    [...offsets].map(({ generation }) => generation),
    [second],
  )
  offsets.delete({ blob: 'a', generation: first })
  assert.equal(offsets.blobCount, 1)
  offsets.delete({ blob: 'a', generation: second })
  assert.deepEqual([offsets.blobCount, [...offsets]], [0, []])
})
